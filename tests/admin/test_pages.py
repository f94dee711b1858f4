"""The operations pages of the console, with all their states (ux.md section 6)."""

import csv
import io
import re
from html import unescape
from typing import Any
from unittest import mock

import pytest

from prefs.admin.words import SITUATION_NAMES
from prefs.domain.roles import Role
from prefs.domain.terms import Channel
from prefs.services import replies
from prefs.storage.audit import AuditFilter
from tests.make import BEN, World
from tests.staff import PASSWORD, staff


def sent(world: World, to: str, campaign: str = "spring", channel: str = "email", topic: str = "events") -> str:
    """Send a marketing message and let the worker hand it over."""
    body = {"channel": channel, "to": to, "topic": topic, "subject": "Hello", "text": "Hello", "campaign": campaign}
    answer = world.post("/v1/messages", body)
    assert answer.status_code == 202, answer.text
    world.work()
    return str(answer.json["id"])


def settle(world: World) -> None:
    """Seal, wait, and let the worker add up."""
    world.services.sealing.seal()
    world.services.upkeep.run_once()
    world.clock.forward(minutes=5)
    world.work()


class TestOverview:
    def test_a_new_installation_says_what_to_do_first(self, world: World) -> None:
        page = staff(world).page("/admin/")

        assert "No sends checked yet" in page
        assert "Nothing needs anyone today." in page
        assert "Nobody opted out in this time." in page

    def test_stops_and_decisions_are_counted_by_day_channel_reason_and_source(self, world: World) -> None:
        for number in range(3):
            world.client.post(world.link(to=f"p{number}@example.com"))
        world.text("STOP")
        world.decide(to="p0@example.com")
        world.decide(to="free@example.com")
        settle(world)

        page = staff(world).page("/admin/")

        assert "Unsubscribe button in the mail app" in page
        assert "STOP by text" in page
        assert "Highest: 3 by email on 24 Nov." in page
        assert "Opted out" in page
        assert "50%" in page

    def test_nothing_is_counted_twice(self, world: World) -> None:
        world.client.post(world.link())
        settle(world)
        settle(world)

        assert world.services.figures.add_up() == 0
        assert world.services.figures.overview(30).stops_total == 1

    def test_a_stop_is_laid_at_the_door_of_the_last_campaign_within_a_week(self, world: World) -> None:
        for number in range(40):
            sent(world, f"p{number}@example.com", "spring" if number % 2 else "autumn")
        for number in (1, 3, 5):
            world.client.post(world.link(to=f"p{number}@example.com", topic="events"))
        world.client.post(world.link(to="stranger@example.com", topic="events"))
        for number in range(40, 80):
            sent(world, f"p{number}@example.com", "spring" if number % 2 else "autumn")
        settle(world)

        rates = {rate.name: (rate.sends, rate.stops) for rate in world.services.figures.overview(7).campaigns}
        assert rates == {"spring": (40, 3), "autumn": (40, 0)}
        page = staff(world).page("/admin/", days=7)
        assert "75.0" in page
        assert "Likely between" in page

    def test_a_stop_after_a_week_is_nobodys(self, world: World) -> None:
        for number in range(30):
            sent(world, f"p{number}@example.com")
        world.clock.forward(days=8)
        world.client.post(world.link(to="p1@example.com", topic="events"))
        settle(world)

        assert [rate.stops for rate in world.services.figures.overview(30).campaigns] == [0]

    def test_what_needs_someone_comes_with_its_consequence_and_a_link(self, world: World) -> None:
        from prefs.storage import jobs

        with world.services.kit.store.write() as connection:
            jobs.add(connection, "no such job", {}, key="x", now=world.clock.at)
        for _ in range(9):
            world.work()
            world.clock.forward(hours=2)
        engineer, marketing = staff(world, Role.ENGINEER), staff(world, Role.MARKETING)

        assert "1 job was given up" in engineer.page("/admin/")
        assert "given up" not in marketing.page("/admin/")

    @pytest.mark.parametrize("days", ["7", "90", "0", "-1", "99999999999", "' OR 1=1", "7; DROP TABLE meta"])
    def test_the_range_is_one_of_three(self, world: World, days: str) -> None:  # V19
        page = staff(world).page("/admin/", days=days)

        shown = re.findall(r'aria-current="true">(\d+) days', page)
        assert shown == [days if days in {"7", "90"} else "30"]


class TestProviders:
    def test_a_local_outbox_keeps_no_list(self, world: World) -> None:
        page = staff(world, Role.ENGINEER).page("/admin/providers/outbox")

        assert "It keeps no list of its own" in page
        assert "No errors." in page

    def test_holding_says_what_it_touches_holds_and_lets_go(self, world: World) -> None:
        world.know()
        body = {"channel": "email", "to": "ada@example.com", "topic": "events", "subject": "Hello", "text": "Hello"}
        message = world.post("/v1/messages", body).json["id"]
        person = staff(world, Role.ENGINEER)

        asked = person.page("/admin/providers/outbox/hold")
        assert "1 send is due now and would wait." in asked
        assert "Sends are held" in person.press("/admin/providers/outbox/hold")
        world.work()
        assert world.get(f"/v1/messages/{message}").json["status"] == "queued"
        assert "Sends through Local outbox are held" in person.page("/admin/")

        assert "Sends go out again" in person.press("/admin/providers/outbox/release")
        world.work()
        assert world.get(f"/v1/messages/{message}").json["status"] == "sent"
        actions = [one.entry.action for one in world.services.audit.page(AuditFilter(actor=person.user.actor), 9)]
        assert actions[:2] == ["sends_released", "sends_held"]

    def test_a_stop_while_sends_are_held_keeps_the_message_back(self, world: World) -> None:  # promise 2
        body = {"channel": "email", "to": "ada@example.com", "topic": "events", "subject": "Hello", "text": "Hello"}
        message = world.post("/v1/messages", body).json["id"]
        person = staff(world, Role.ENGINEER)
        person.press("/admin/providers/outbox/hold")
        world.client.post(world.link(topic="events"))

        person.press("/admin/providers/outbox/release")
        world.work()

        assert world.get(f"/v1/messages/{message}").json["status"] == "blocked"

    def test_comparing_shows_the_drift_and_failing_says_so_in_plain_words(self, build_world: Any) -> None:
        world = build_world(PREFS_SMS_TRANSPORT="twilio")
        person = staff(world, Role.ENGINEER)
        assert "Nobody asked for one yet." in person.page("/admin/providers/twilio")

        drift = mock.Mock(texts_since=lambda since: iter(()), deactivated_on=lambda day: iter(()))
        object.__setattr__(world.services.sync, "log", drift)
        person.press("/admin/providers/twilio/compare")
        person.press("/admin/providers/twilio/try")
        world.work()
        page = person.page("/admin/providers/twilio")
        assert "Only theirs: stops we had missed" in page
        assert "In step" in page

        world.clock.forward(hours=3)
        person.enter()
        assert "Late" in person.page("/admin/providers/twilio")
        assert "Twilio was not compared for 3 h" in person.page("/admin/")
        broken = mock.Mock(texts_since=mock.Mock(side_effect=ConnectionError("<b>odd</b>")))
        object.__setattr__(world.services.sync, "log", broken)
        world.work()
        page = person.page("/admin/providers/twilio")
        assert "Failing" in page
        assert "sync: ConnectionError" in page
        assert '1<span class="vh"> need attention' in person.page("/admin/")

    def test_looking_is_for_everybody_and_acting_for_engineers(self, world: World) -> None:
        person = staff(world, Role.MARKETING)

        assert "is for engineers" in person.page("/admin/providers/outbox")
        assert person.post("/admin/providers/outbox/hold").status_code == 403
        assert person.post("/admin/providers/outbox/try").status_code == 403

    def test_a_provider_nobody_uses_is_not_there(self, world: World) -> None:
        assert staff(world).get("/admin/providers/nobody").status_code == 404

    def test_what_a_provider_says_is_inert_text(self, world: World) -> None:  # V17
        from prefs.storage.tables import quarantine

        evil = "<script>alert(1)</script>"
        message = sent(world, "ada@example.com", campaign=evil[:60])
        with world.services.kit.store.write() as connection:
            from prefs.storage import messages

            messages.note(connection, message, "failed", {"provider_code": evil}, world.clock.at)
            row = {
                "item_key": "x",
                "provider": evil[:16],
                "problem": evil,
                "sealed": b"",
                "received_at": world.clock.at,
            }
            connection.execute(quarantine.insert(), row)
        person = staff(world)

        for path in ("/admin/providers/outbox", "/admin/keys", "/admin/"):
            page = person.page(path)
            assert "<script>" not in page
        assert "no words for" in person.page("/admin/providers/outbox")


class TestKeys:
    def test_a_key_is_shown_once_works_and_is_revoked(self, world: World) -> None:
        person = staff(world, Role.ENGINEER)

        made = person.post("/admin/keys", name="campaigns", scopes=["decide"]).text
        key = re.findall(r"prf_test_[0-9a-f_]+", made)[0]
        assert "Ask whether a message may be sent" in made
        assert (
            world.post(
                "/v1/decisions", {"channel": "email", "to": "a@b.example", "topic": "events"}, key=key
            ).status_code
            == 200
        )
        page = person.page("/admin/keys")
        assert key not in page
        assert "campaigns" in page
        assert "24 November 2026" in page

        key_id = key.split("_")[2]
        assert "refused within five seconds" in person.page(f"/admin/keys/{key_id}/revoke")
        assert "The key is revoked" in person.press(f"/admin/keys/{key_id}/revoke")
        assert world.services.keys.check(key) is None
        log = world.services.audit.page(AuditFilter(about=f"key:{key_id}"), 9)
        assert [one.entry.action for one in log] == ["key_revoked", "key_created"]
        assert key not in str(log)

    def test_a_key_needs_a_name_and_a_scope(self, world: World) -> None:
        person = staff(world, Role.ENGINEER)

        answer = person.post("/admin/keys", name="", scopes=["nonsense"])

        assert answer.status_code == 422
        assert "There are 2 things to fix" in answer.text
        assert "Error: Keys and webhooks" in answer.text
        assert len(world.services.keys.every()) == 1

    def test_making_one_needs_a_fresh_proof(self, world: World) -> None:  # item 24
        person = staff(world, Role.ENGINEER).later()

        assert person.post("/admin/keys", name="x", scopes=["decide"]).location.startswith("/admin/confirm")
        assert len(world.services.keys.every()) == 1


class TestTeam:
    def test_somebody_is_added_and_gets_a_link_that_works(self, world: World) -> None:
        boss = staff(world)

        page = boss.post("/admin/team", email="New@staff.example", role="privacy").text
        link = re.findall(r"/admin/set-up/[\w-]+", page)[0]

        assert "we cannot show it again" in page
        assert "new@staff.example" in boss.page("/admin/team")
        assert "Not set up" in boss.page("/admin/team")
        assert world.client.get(link).status_code == 200

    @pytest.mark.parametrize(
        ("form", "sentence"),
        [
            ({"email": "", "role": ""}, "There are 2 things to fix"),
            ({"email": "no address", "role": "admin"}, "There is one thing to fix"),
            ({"email": "admin@staff.example", "role": "admin"}, "There is a user with this address already."),
            ({"email": "x@staff.example", "role": "root"}, "Choose a role."),
        ],
    )
    def test_what_cannot_be_is_said_at_its_field(self, world: World, form: dict[str, str], sentence: str) -> None:
        boss = staff(world)

        answer = boss.post("/admin/team", **form)

        assert answer.status_code == 422
        assert sentence in answer.text
        assert len(world.services.team.everyone()) == 1

    def test_a_person_is_changed_and_told_what_happened(self, world: World) -> None:
        boss, other = staff(world), staff(world, Role.MARKETING)
        path = f"/admin/team/{other.user.id}"

        assert "The role is changed" in boss.press(path, what="role", role="privacy")
        assert other.get("/admin/").status_code == 303
        assert "They can no longer sign in" in boss.press(path, what="disable")
        assert "They can sign in again" in boss.press(path, what="enable")
        assert "The second factor is reset" in boss.press(path, what="second_factor")
        assert "Pass on this link" in boss.post(path, what="link").text
        assert boss.post(path, what="role", role="root").status_code == 422
        assert boss.post("/admin/team/999", what="disable").status_code == 404

    def test_the_last_admin_cannot_take_their_own_role(self, world: World) -> None:
        boss = staff(world)

        answer = boss.post(f"/admin/team/{boss.user.id}", what="role", role="privacy")

        assert answer.status_code == 409
        assert "This is the last admin" in answer.text


class TestAudit:
    def test_the_log_is_listed_filtered_and_exported_and_the_export_is_in_it(self, world: World) -> None:
        boss = staff(world)
        for number in range(60):
            world.services.audit.note("cli", "exported", f"file:{number}", rows=number)

        page = boss.page("/admin/audit", action="exported")
        assert "file:59" in page
        assert "file:9<" not in page
        older = re.findall(r'rel="next" href="([^"]+)"', page)[0]
        assert "action=exported" in older
        page = boss.page(unescape(older))
        assert "file:9<" in page
        newer = re.findall(r'rel="prev" href="([^"]+)"', page)[0]
        assert "file:59" in boss.page(unescape(newer))

        answer = boss.get("/admin/audit.csv", action="exported")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["about"] for row in rows[:2]] == ["file:0", "file:1"]
        assert len(rows) == 60
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        newest = world.services.audit.page(AuditFilter(), 1)[0].entry
        assert (newest.action, newest.actor) == ("audit_exported", boss.user.actor)

    def test_a_spreadsheet_takes_no_line_for_a_formula(self, world: World) -> None:  # V20
        world.services.audit.note("cli", "exported", "=HYPERLINK(1)")

        assert "'=HYPERLINK(1)" in staff(world).get("/admin/audit.csv").text

    def test_filters_by_day_count_in_the_viewers_zone(self, world: World) -> None:
        world.services.audit.note("cli", "exported", "late")
        boss = staff(world)
        boss.press("/admin/account/time-zone", time_zone="Pacific/Kiritimati")  # already the next day

        assert ">late<" in boss.page("/admin/audit", since="2026-11-25", until="2026-11-25")
        assert "Nothing matches." in boss.page("/admin/audit", until="2026-11-24", about="late")

    @pytest.mark.parametrize(
        "query",
        [
            {"since": "12/05/2026"},
            {"before": "-1"},
            {"after": "x' OR 1=1"},
            {"actor": "' OR '1'='1"},
            {"about": "%"},
            {"before": "99999999999999999999999"},
        ],
    )
    def test_odd_filters_are_literal_or_said(self, world: World, query: dict[str, str]) -> None:  # V19
        page = staff(world).page("/admin/audit", **query)

        assert ("Write the day like" in page) is ("since" in query)


class TestCatalogue:
    def topic(self, **more: str) -> dict[str, str]:
        needs = {f"need_{channel}": "consent" for channel in Channel}
        return {"name": "Open days", "description": "Come and see.", **needs, **more}

    def test_a_topic_is_added_changed_and_retired_keeping_its_place(self, world: World) -> None:
        person = staff(world, Role.MARKETING)
        before = [one.slug for one in world.services.kit.catalogue.topics]

        form = self.topic(slug="open-days", message_class="marketing", name_de="Offene Türen")
        assert "The topic is saved" in person.press("/admin/topics/new", **form)
        found = world.services.kit.catalogue.topic("open-days")
        assert found.said("de")[0] == "Offene Türen"
        assert [one.slug for one in world.services.kit.catalogue.topics] == [*before, "open-days"]

        person.press("/admin/topics/events", **self.topic(name="Events near you"))
        assert [one.slug for one in world.services.kit.catalogue.topics] == [*before, "open-days"]
        assert world.services.kit.catalogue.topic("events").name == "Events near you"

        world.client.post(world.link(topic="events"))
        world.client.post(world.link(to="ben@example.com", topic="events"))
        page = person.page("/admin/topics/events/retire")
        assert "2 addresses have a choice about it on record." in page
        assert "The topic is retired" in person.press("/admin/topics/events/retire")
        assert world.services.kit.catalogue.topic("events").retired
        assert "The topic can be used again" in person.press("/admin/topics/events/retire", what="back")

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"name": ""}, "Give it a name people understand."),
            ({"slug": "Not A Slug"}, "a slug is lower-case letters"),
            ({"slug": "events"}, "There is a topic with this short name."),
            ({"message_class": "emergency"}, "Choose what it is."),
            ({"need_sms": "maybe"}, "Choose what it needs."),
            ({"description_fr": "Sans nom"}, "Give it a name in Français too"),
            ({"name": "x" * 3000}, "Use 2000 characters at most."),
        ],
    )
    def test_what_cannot_be_is_said_and_the_rest_kept(
        self, world: World, change: dict[str, str], sentence: str
    ) -> None:
        person = staff(world, Role.MARKETING)

        answer = person.post(
            "/admin/topics/new",
            **self.topic(slug="open-days", message_class="marketing", **change)
            if not set(change) & {"name", "slug", "message_class", "need_sms"}
            else {**self.topic(slug="open-days", message_class="marketing"), **change},
        )

        assert answer.status_code == 422
        assert sentence in unescape(answer.text)
        assert "Come and see." in answer.text

    def test_a_topic_not_said_in_a_language_is_shown_as_such(self, world: World) -> None:
        person = staff(world, Role.MARKETING)
        person.press("/admin/topics/new", **self.topic(slug="open-days", message_class="marketing", name_de="Offen"))

        assert "Missing: Español, Français, Português and العربية" in person.page("/admin/topics")
        assert "Missing in Français, shown in English" in person.page("/admin/topics/open-days")
        assert "Open days" in person.page("/admin/words")

    def test_others_look_and_do_not_change(self, world: World) -> None:
        person = staff(world, Role.PRIVACY)

        assert "Topics are changed by marketing operations." in person.page("/admin/topics")
        assert person.post("/admin/topics/events", **self.topic()).status_code == 403
        assert person.get("/admin/topics/nothing").status_code == 404

    def test_channels_name_their_senders_and_carriers(self, world: World) -> None:
        page = staff(world, Role.ENGINEER).page("/admin/channels")

        assert "Carried by Local outbox" in page
        assert "No sender. Nothing can go out on this channel." in page


class TestWords:
    def test_every_language_says_what_is_missing(self, world: World) -> None:
        page = staff(world).page("/admin/words")

        for name in ("Español", "Français", "Deutsch", "Português", "العربية"):
            assert name in page

    def test_every_text_by_sms_says_when_it_is_sent(self) -> None:
        assert SITUATION_NAMES.keys() == replies.SITUATIONS.keys()

    def test_texts_by_sms_are_counted_and_the_letter_outside_gsm_7_is_named(self, world: World) -> None:
        assert "Outside GSM-7" not in staff(world).page("/admin/words/texts", language="en")
        assert "Outside GSM-7" in staff(world, Role.PRIVACY).page("/admin/words/texts", language="ar")

    def test_a_text_that_does_not_fit_says_by_how_much(self, build_world: Any) -> None:
        world = build_world(PREFS_ORG_PHONE="1" * 200)

        assert "too many" in staff(world).page("/admin/words/texts")

    def test_texts_of_pages_are_searched_in_both_languages(self, world: World) -> None:
        person = staff(world)

        assert "Abmelden" in person.page("/admin/words/pages", language="de", q="unsubscribe")
        assert "No text has these words." in person.page("/admin/words/pages", language="de", q="xyzzy%")
        assert "1 to 50 of" in person.page("/admin/words/pages", language="de")

    def test_the_words_of_a_version_are_what_evidence_names(self, world: World) -> None:
        person = staff(world)
        assert "Nobody has acted on a page yet." in person.page("/admin/words/versions")
        world.client.post(f"{world.link()}/stop", data={"scope": "all"})

        page = person.page("/admin/words/versions")
        version = re.findall(r"/admin/words/versions/([0-9a-f]{16})", page)[0]

        assert "Unsubscribe from all marketing emails" in person.page(f"/admin/words/versions/{version}")
        assert person.get("/admin/words/versions/0000000000000000").status_code == 404


def test_no_page_shows_an_address_to_marketing(world: World) -> None:  # contract D31
    world.know(("email", "ada@example.com"), ("sms", BEN))
    sent(world, "ada@example.com")
    settle(world)
    person = staff(world, Role.MARKETING)

    for path in ("/admin/", "/admin/providers/outbox", "/admin/topics", "/admin/channels", "/admin/words/versions"):
        assert "ada@example.com" not in person.page(path)
        assert BEN not in person.page(path)


PSEUDO = (
    "/admin/",
    "/admin/account",
    "/admin/approvals",
    "/admin/audit",
    "/admin/channels",
    "/admin/find",
    "/admin/keys",
    "/admin/providers",
    "/admin/providers/outbox",
    "/admin/team",
    "/admin/topics",
    "/admin/topics/new",
    "/admin/words",
    "/admin/words/texts",
)


def test_every_text_of_the_console_goes_through_the_catalogue(world: World) -> None:
    """In the made-up language every text of a template shows in brackets; what does not is hard-coded."""
    person = staff(world, Role.ADMIN)
    hard_coded: dict[str, list[str]] = {}
    for path in PSEUDO:
        page = person.page(path, lang="en-XA")
        heads = re.findall(r"<(?:h1|h2|th|dt|label|legend)[^>]*>([^<]+)<", page)
        hard_coded[path] = [one for one in heads if "⟦" not in one and re.search(r"[A-Za-z]{3}", one)]

    # Names and dates: of people, of languages in their own words, of providers, of senders and topics.
    names = r"@staff.example|Español|Français|Deutsch|Português|English|Twilio|SendGrid|^tests$|Local outbox|\d{4}$"
    allowed = re.compile(names)
    catalogue = world.services.kit.catalogue
    known = {one.slug for one in catalogue.senders} | {one.name for one in catalogue.topics}
    left = {
        path: [one for one in found if not allowed.search(one) and one not in known]
        for path, found in hard_coded.items()
    }
    assert {path: found for path, found in left.items() if found} == {}


def test_passwords_are_of_no_page(world: World) -> None:
    boss = staff(world)
    world.services.team.create("p@staff.example", Role.ADMIN, by="tests", password=PASSWORD)

    for path in ("/admin/team", "/admin/audit", "/admin/account"):
        page = boss.page(path)
        assert PASSWORD not in page
        assert "argon2" not in page
