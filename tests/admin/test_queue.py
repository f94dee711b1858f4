"""The staff queue: one press each; mails have a clock, and are read by the privacy office only (T-2, T-9)."""

import re

import pytest

from prefs.domain.roles import Role
from prefs.services.mailbox import InboundMail
from prefs.storage.audit import AuditFilter
from tests.make import ADA, BEN, World
from tests.staff import staff

WRONG_NUMBER = "I think you have the wrong number"


def mail(world: World, number: int = 1, from_: str = "stranger@example.com", **more: str) -> None:
    taken = world.services.mailbox.take(
        InboundMail(
            mail_id=f"m{number}",
            to=("privacy@northwind.example",),
            from_=from_,
            subject=more.get("subject", "A question"),
            text=more.get("text", "Who are you?"),
            authentic=False,
            automatic=False,
        )
    )
    assert taken == "queue"


def unclear(world: World) -> int:
    world.know(("sms", BEN))
    world.consent("sms", BEN, "events")
    world.text(WRONG_NUMBER)
    waiting = world.services.texts.waiting()
    assert len(waiting) == 1
    return waiting[0].id


def test_an_unclear_text_waits_with_its_words_and_a_masked_number(world: World) -> None:
    unclear(world)

    page = staff(world, Role.MARKETING).page("/admin/queue")

    assert WRONG_NUMBER in page
    assert "••• ••• 0123" in page
    assert BEN not in page
    assert "Marketing held" in page


@pytest.mark.parametrize(("answer", "allowed"), [("stop", False), ("no_stop", True)])
def test_one_press_decides_about_a_text(world: World, answer: str, allowed: bool) -> None:
    number = unclear(world)
    privacy = staff(world, Role.PRIVACY)

    page = privacy.press(f"/admin/queue/texts/{number}", answer=answer)
    again = privacy.post(f"/admin/queue/texts/{number}", answer=answer)

    assert "No text waits for a person." in page
    assert again.status_code == 409
    assert world.decide("sms", BEN, "events")["allowed"] is allowed


def test_a_mail_shows_by_when_it_has_to_be_done_and_that_it_is_late(world: World) -> None:
    mail(world)
    in_time = staff(world, Role.PRIVACY).page("/admin/queue", tab="mails")
    world.clock.forward(days=15)

    late = staff(world, Role.PRIVACY, "two@staff.example").page("/admin/queue", tab="mails")

    assert "8 December 2026" in in_time
    assert "Overdue by 1 business day" in late


def test_a_mail_becomes_an_opt_out_with_one_form_filled_in(world: World) -> None:
    mail(world, from_=ADA)
    privacy = staff(world, Role.PRIVACY)
    page = privacy.page("/admin/queue", tab="mails")
    url = re.search(r'href="(/admin/optout/new\?mail=\d+)"', page)[1]  # type: ignore[index]
    form = privacy.page(url)
    seen = {one.entry.about for one in world.services.audit.page(AuditFilter(action="address_revealed"), 9)}

    privacy.press(
        "/admin/optout/new",
        **dict(re.findall(r'name="(mail|received_\w+)"[^>]* value="(\d+)"', form)),
        addresses=ADA,
        scope="all",
        how="email",
    )

    assert f">{ADA}</textarea>" in form
    assert ADA not in page
    assert seen == {"queue:mails", "mail:1"}
    assert world.decide()["allowed"] is False
    assert "No mail waits for a person." in privacy.page("/admin/queue", tab="mails")


def test_mails_may_hold_requests_so_marketing_never_reads_them(world: World) -> None:
    mail(world, subject="About my scan of Tuesday")
    marketing = staff(world, Role.MARKETING)

    page = marketing.page("/admin/queue", tab="mails")

    assert "About my scan" not in page
    assert ">Mails" not in page
    assert marketing.post("/admin/queue/mails/1").status_code == 403
    assert "stranger" not in marketing.page("/admin/optout/new", mail="1")


def test_a_mail_is_dealt_with_once(world: World) -> None:
    mail(world)
    privacy = staff(world, Role.PRIVACY)

    privacy.press("/admin/queue/mails/1")

    assert privacy.post("/admin/queue/mails/1").status_code == 409
    assert privacy.post("/admin/queue/mails/77").status_code == 404


def test_what_could_not_be_applied_is_shown_inert_and_dealt_with(world: World) -> None:
    world.events(world.event("unsubscribe", "<script>alert(1)</script>"))
    privacy = staff(world, Role.PRIVACY)

    page = privacy.page("/admin/queue", tab="items")

    assert "sendgrid" in page
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;" not in staff(world, Role.MARKETING).page("/admin/queue", tab="items")
    assert "Nothing was set aside." in privacy.press("/admin/queue/items/1")
    assert privacy.post("/admin/queue/items/1").status_code == 404


def test_the_navigation_counts_what_waits(world: World) -> None:
    mail(world)
    unclear(world)

    page = staff(world, Role.PRIVACY).page("/admin/people")

    assert '<span class="n n--hot">2<span class="vh"> waiting</span></span>' in page


def test_more_than_fifty_go_on_another_page(world: World) -> None:
    for number in range(52):
        mail(world, number)
    privacy = staff(world, Role.PRIVACY)

    first = privacy.page("/admin/queue", tab="mails")
    more = privacy.page(re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&"))  # type: ignore[index]

    assert first.count("Read it") == 50
    assert more.count("Read it") == 2
