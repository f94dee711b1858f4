"""``prefs sync sendgrid``: what SendGrid's lists know and we do not, and the other way (M-6, W-10, I16, I17)."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from prefs.domain.address import parse_address
from prefs.domain.roles import Role
from prefs.domain.terms import Channel, Reason
from prefs.errors import ProviderError
from prefs.services.casework import Right
from prefs.services.kit import act, open_address, stop
from prefs.services.mail_sync import ListDrift
from prefs.storage import ledger, people, requests
from prefs.storage.people import Wanted
from tests.double.provider import SENDGRID_KEY, ProviderDouble
from tests.make import ADA, World
from tests.services.test_requests import record
from tests.staff import staff

OTHER = "other@example.com"
NEWS_GROUP = 11


def settings(double: ProviderDouble, **more: str) -> dict[str, str]:
    return {
        "PREFS_EMAIL_TRANSPORT": "sendgrid",
        "SENDGRID_API_KEY": SENDGRID_KEY,
        "SENDGRID_API_BASE_URL": double.url,
        **more,
    }


@pytest.fixture
def live(build_world: Callable[..., World], double: ProviderDouble) -> World:
    return with_groups(build_world(**settings(double)))


@pytest.fixture
def pushing(build_world: Callable[..., World], double: ProviderDouble) -> World:
    return with_groups(build_world(**settings(double, PREFS_PUSH_SUPPRESSIONS="on")))


def with_groups(world: World) -> World:
    """Let the marketing sender of mail say that the provider's group 11 is ``company-news``."""
    world.services.kit.catalogues.apply(
        '[[sender]]\nslug = "news"\nchannel = "email"\nmessage_class = "marketing"\n'
        'address = "Northwind <news@northwind.example>"\n'
        f'groups = {{"{NEWS_GROUP}" = "company-news"}}\n'
    )
    return world


def sync(world: World, **how: Any) -> ListDrift:
    assert world.services.mail_sync is not None
    return world.services.mail_sync.run(**how)


def ago(world: World, **by: float) -> datetime:
    return world.clock.at - timedelta(**by)


@pytest.mark.parametrize(
    ("name", "reason", "since"),
    [
        ("unsubscribes", "unsubscribed", "2026-11-24T14:00:00Z"),
        ("spam_reports", "complaint", "2026-11-24T14:00:00Z"),
        ("bounces", "hard_bounce", "2026-11-24T14:00:00Z"),
        ("invalid_emails", "invalid_address", "2026-11-24T14:00:00Z"),
    ],
)
def test_m6_what_is_on_a_list_becomes_ours_and_counts_from_when_it_got_there(
    live: World, double: ProviderDouble, name: str, reason: str, since: str
) -> None:
    double.listed(name, ADA, ago(live, hours=3))

    drift = sync(live)

    assert drift.stops_missed + drift.bad_addresses_missed == 1
    decision = live.decide()
    assert (decision["reason"], decision["since"]) == (reason, since)


def test_a_block_changes_nothing(live: World, double: ProviderDouble) -> None:
    double.listed("blocks", ADA, ago(live, hours=3))

    assert sync(live).lines_read == 1
    assert live.entries() == []


def test_a_group_nobody_named_stops_all_marketing(live: World, double: ProviderDouble) -> None:
    double.left_group(99, ADA, ago(live, hours=1))

    assert sync(live).stops_missed == 1
    assert live.decide(topic="company-news")["allowed"] is False
    assert live.decide(topic="surveys")["allowed"] is False
    assert sync(live, whole=True).only_ours == 0


def test_who_left_a_group_is_stopped_for_its_topic(live: World, double: ProviderDouble) -> None:
    double.left_group(NEWS_GROUP, ADA, ago(live, hours=1))

    assert sync(live).stops_missed == 1
    assert live.decide(topic="company-news")["allowed"] is False
    assert live.decide(topic="surveys")["allowed"] is True
    assert sync(live, whole=True).only_ours == 0


def test_a_stop_of_a_topic_is_passed_on_to_its_group_and_no_further(pushing: World, double: ProviderDouble) -> None:
    double.groups[NEWS_GROUP] = []
    for topic in ("company-news", "surveys"):
        pushing.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": f"topic:{topic}"})

    drift = sync(pushing)

    assert (drift.only_ours, drift.pushed, double.suppressed) == (1, 1, [])
    assert [one["email"] for one in double.groups[NEWS_GROUP]] == [ADA]
    assert sync(pushing, whole=True).only_ours == 0


def test_what_belongs_to_a_group_that_is_gone_never_lands_on_the_global_list(  # rules.md 6.3
    pushing: World, double: ProviderDouble
) -> None:
    pushing.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:company-news"})

    assert sync(pushing).pushed == 0
    assert double.suppressed == []


def test_lists_are_read_to_the_short_page_and_an_address_is_taken_once(live: World, double: ProviderDouble) -> None:
    for number in range(1_203):
        double.listed("unsubscribes", f"p{number}@example.com", ago(live, minutes=number))
    double.listed("unsubscribes", "P1@Example.com", ago(live, minutes=5))

    drift = sync(live)

    assert (drift.lines_read, drift.stops_missed, len(live.entries())) == (1_204, 1_203, 1_203)
    assert sync(live, whole=True).in_both == 1_203
    assert len(live.entries()) == 1_203


def test_i16_a_list_that_has_not_heard_that_a_stop_ended_does_not_bring_it_back(
    live: World, double: ProviderDouble
) -> None:
    made = live.post("/v1/suppressions", {"channel": "email", "to": ADA}).json
    live.clock.forward(hours=1)
    double.listed("unsubscribes", ADA, live.clock.at)
    live.clock.forward(hours=1)
    live.post(f"/v1/suppressions/{made['id']}/lift", {"source": "letter", "evidence": "Letter of today"})

    drift = sync(live)

    assert (drift.stops_missed, drift.ended_here) == (0, 1)
    assert live.decide()["allowed"] is True


def test_a_stop_made_there_after_ours_was_lifted_counts(live: World, double: ProviderDouble) -> None:
    made = live.post("/v1/suppressions", {"channel": "email", "to": ADA}).json
    live.clock.forward(hours=1)
    live.post(f"/v1/suppressions/{made['id']}/lift", {"source": "letter", "evidence": "Letter of today"})
    live.clock.forward(hours=1)
    double.listed("unsubscribes", ADA, live.clock.at)

    assert sync(live).stops_missed == 1
    assert live.decide()["allowed"] is False


def test_a_later_consent_outlives_a_stop_found_late(live: World, double: ProviderDouble) -> None:
    double.listed("unsubscribes", ADA, ago(live, hours=3))
    live.consent("email", ADA, "events", occurred_at="2026-11-24T15:00:00Z")

    sync(live)

    assert live.decide(topic="events")["allowed"] is True
    assert live.decide(topic="surveys")["reason"] == "unsubscribed"


def test_r5_leaving_their_list_opts_nobody_in_and_waits_for_staff(live: World, double: ProviderDouble) -> None:
    double.listed("unsubscribes", ADA, ago(live, hours=3))
    sync(live)
    double.lists.clear()

    drift = sync(live, whole=True)

    assert (drift.only_ours, drift.removed_there, drift.pushed) == (1, 1, 0)
    assert drift.conflicts is not None
    assert [one["kind"] for one in drift.conflicts] == ["removed_there"]
    assert live.decide()["reason"] == "unsubscribed"


def test_w10_nothing_is_pushed_unless_it_is_asked_for(live: World, double: ProviderDouble) -> None:
    live.post("/v1/suppressions", {"channel": "email", "to": ADA})

    assert (sync(live).only_ours, sync(live, whole=True).pushed) == (1, 0)
    assert double.suppressed == []


def test_m6_where_it_is_asked_for_their_lists_get_what_they_lack(pushing: World, double: ProviderDouble) -> None:
    pushing.post("/v1/suppressions", {"channel": "email", "to": ADA})
    pushing.post("/v1/suppressions", {"channel": "email", "to": OTHER})
    double.listed("unsubscribes", OTHER, ago(pushing, hours=1))

    assert sync(pushing).pushed == 1
    assert double.suppressed == [ADA]
    assert sync(pushing, whole=True).only_ours == 0


def test_i17_a_stop_is_passed_on_within_the_hour_and_after_an_outage(pushing: World, double: ProviderDouble) -> None:
    pushing.post("/v1/suppressions", {"channel": "email", "to": OTHER})
    sync(pushing)
    pushing.post("/v1/suppressions", {"channel": "email", "to": ADA})
    double.fail_next("sendgrid", status=500)
    with pytest.raises(ProviderError):
        sync(pushing)

    assert sync(pushing).pushed == 1
    assert double.suppressed == [OTHER, ADA]
    assert sync(pushing).pushed == 0


def test_what_was_passed_on_and_taken_off_there_is_not_put_back(pushing: World, double: ProviderDouble) -> None:
    pushing.post("/v1/suppressions", {"channel": "email", "to": ADA})
    sync(pushing)
    double.suppressed.clear()

    drift = sync(pushing, whole=True)

    assert (drift.removed_there, drift.pushed) == (1, 0)
    assert double.suppressed == []


def test_i16_whoever_came_back_meanwhile_is_not_pushed(
    pushing: World, double: ProviderDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pushing.post("/v1/suppressions", {"channel": "email", "to": ADA}).json
    service = pushing.services.mail_sync
    assert service is not None
    passing_on = type(service)._pass_on_some

    def late(self: Any, *given: Any) -> int:
        pushing.post(f"/v1/suppressions/{made['id']}/lift", {"source": "letter", "evidence": "Letter"})
        return passing_on(self, *given)

    monkeypatch.setattr(type(service), "_pass_on_some", late)

    assert sync(pushing).pushed == 0
    assert double.suppressed == []


def test_g5_a_persons_copy_says_to_whom_a_stop_was_passed_on(pushing: World, double: ProviderDouble) -> None:
    pushing.post("/v1/suppressions", {"channel": "email", "to": ADA})
    sync(pushing)
    item = record(pushing, Right.ACCESS)
    kit = pushing.services.kit

    with kit.store.write() as connection:
        row = requests.read(connection, item.number)
        assert row is not None
        told = pushing.services.copies.collect(connection, row)["providers"]["told"]

    assert [(one["provider"], one["what"], one["done_at"]) for one in told] == [
        ("sendgrid", "suppress", "2026-11-24T17:00:00Z")
    ]


def test_an_hourly_look_reads_what_is_new_and_a_daily_one_everything(live: World, double: ProviderDouble) -> None:
    double.listed("unsubscribes", ADA, ago(live, hours=30))
    first = sync(live)
    live.clock.forward(hours=2)
    double.listed("unsubscribes", OTHER, ago(live, minutes=30))
    second = sync(live)
    live.clock.forward(hours=20)

    third = sync(live)

    assert [one.lines_read for one in (first, second, third)] == [1, 1, 2]
    assert [one.conflicts is None for one in (first, second, third)] == [False, True, False]


def test_a_dry_run_says_what_is_missing_and_changes_nothing(pushing: World, double: ProviderDouble) -> None:
    double.listed("unsubscribes", OTHER, ago(pushing, hours=1))
    pushing.post("/v1/suppressions", {"channel": "email", "to": ADA})
    before = pushing.entries()

    drift = sync(pushing, dry_run=True)

    assert (drift.stops_missed, drift.only_ours, drift.pushed) == (1, 1, 0)
    assert pushing.entries() == before
    assert double.suppressed == []
    assert sync(pushing).stops_missed == 1


def test_when_the_provider_says_to_slow_down_the_page_is_asked_for_again(
    live: World, double: ProviderDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("prefs.providers.sendgrid.time.sleep", pauses.append)
    double.listed("unsubscribes", ADA, ago(live, hours=1))
    double.fail_next("sendgrid", times=2, status=429)

    assert sync(live).stops_missed == 1
    assert [pause for pause in pauses if pause] == [1, 1]  # the double's own are zero


def test_when_the_provider_is_away_halfway_what_was_read_is_kept_and_read_on_later(
    live: World, double: ProviderDouble
) -> None:
    for number in range(501):
        double.listed("unsubscribes", f"p{number}@example.com", ago(live, hours=1))
    service = live.services.mail_sync
    assert service is not None
    pages = service.lists.pages

    class Halfway:
        def __getattr__(self, name: str) -> Any:
            return getattr(service.lists, name)

        def pages(self, name: str, since: datetime | None) -> Any:
            for number, page in enumerate(pages(name, since)):
                if number:
                    raise ProviderError("away", permanent=False, unknown=True)
                yield page

    with pytest.raises(ProviderError):
        replace(service, lists=Halfway()).run()
    assert len(live.entries()) == 500

    assert sync(live).stops_missed == 1


def test_lines_that_are_no_addresses_are_counted_and_stop_nothing(live: World, double: ProviderDouble) -> None:
    double.listed("invalid_emails", "not an address", ago(live, hours=1))
    double.listed("invalid_emails", ADA, ago(live, hours=1))

    drift = sync(live)

    assert (drift.unreadable, drift.bad_addresses_missed) == (1, 1)


def test_no_address_lies_in_what_a_comparison_leaves_behind(live: World, double: ProviderDouble) -> None:
    double.listed("unsubscribes", ADA, ago(live, hours=3))
    sync(live)
    double.lists.clear()

    live.services.providers.run("sendgrid", "compare")

    found = live.services.providers.comparison("sendgrid")
    assert found is not None
    assert found.found["removed_there"] == 1
    assert ADA not in json.dumps(found.found)


def test_the_worker_compares_by_itself(live: World, double: ProviderDouble) -> None:
    double.listed("unsubscribes", ADA, ago(live, hours=1))

    live.work()

    assert live.decide()["reason"] == "unsubscribed"
    assert live.services.providers.health_of("sendgrid").state == "in_step"


def test_what_the_lists_disagree_about_waits_in_the_queue(live: World, double: ProviderDouble) -> None:
    double.listed("unsubscribes", ADA, ago(live, hours=3))
    live.post("/v1/suppressions", {"channel": "email", "to": OTHER})
    live.work()
    double.lists.clear()
    live.clock.forward(days=1)
    live.work()
    privacy = staff(live, Role.PRIVACY)

    page = privacy.page("/admin/queue", tab="conflicts")

    assert "Taken off their list, stopped here" in page
    assert "Stopped here, not on their list" in page
    assert ADA not in page
    assert '<span class="n n--hot">1<span class="vh"> waiting</span></span>' in page
    entry = next(one for one in live.entries() if one.source == "provider_optout")
    live.post(f"/v1/suppressions/sup_{entry.id}/lift", {"source": "letter", "evidence": "Letter of today"})
    assert "Taken off their list" not in privacy.page("/admin/queue", tab="conflicts")


def test_the_providers_page_shows_what_a_comparison_found(live: World, double: ProviderDouble) -> None:
    double.listed("unsubscribes", ADA, ago(live, hours=3))
    engineer = staff(live, Role.ENGINEER)
    engineer.post("/admin/providers/sendgrid/compare")
    live.work()

    page = engineer.page("/admin/providers/sendgrid")

    assert "Only theirs: stops we had missed" in page
    assert "subject" not in page


def test_an_erased_person_stays_a_bare_key(live: World, double: ProviderDouble) -> None:
    """G-3: a list of theirs must not bring an address back in clear."""

    kit = live.services.kit
    address = parse_address(Channel.EMAIL, ADA)
    with kit.store.write() as connection:
        bare = Wanted(tuple(kit.address_keys.candidates(address)), address.kind)
        known = people.open_addresses(connection, [bare], kit.now())[0]
        book = ledger.open_book(connection, [known])
        doing = act("erasure", kit.now())
        ledger.append(connection, book, [stop(doing, book, known.subject, None, reason=Reason.ERASED)])
    double.listed("unsubscribes", ADA, live.clock.at)

    assert (sync(live).stops_missed, sync(live, whole=True).only_ours) == (0, 0)
    with kit.store.write() as connection:
        assert open_address(connection, kit, address).sealed is None
