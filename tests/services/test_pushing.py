"""Stops on their way to the provider: each minute, after outages, and the alarm when one waits (I17, F10, item 54)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from prefs.cli import main
from prefs.domain.roles import Role
from prefs.services.casework import Right
from prefs.services.mail_sync import MailSync
from prefs.storage import marks
from prefs.storage.checks import errors
from tests.api.test_monitoring import numbers as numbers_in
from tests.double.provider import ProviderDouble
from tests.make import ADA, World, environment_for
from tests.services.test_mail_sync import NEWS_GROUP, settings, sync, with_groups
from tests.services.test_requests import record
from tests.staff import staff

OTHER = "other@example.com"


@dataclass
class Outage:
    """The provider takes calls and answers none; we do not wait long for it meanwhile."""

    double: ProviderDouble
    patch: pytest.MonkeyPatch

    def begin(self) -> None:
        self.patch.setattr("prefs.providers.sendgrid.TIMEOUT_SECONDS", 0.2)
        self.double.black_hole("sendgrid")

    def end(self) -> None:
        self.double.come_back()
        self.patch.setattr("prefs.providers.sendgrid.TIMEOUT_SECONDS", 10)


@pytest.fixture
def outage(double: ProviderDouble, monkeypatch: pytest.MonkeyPatch) -> Outage:
    return Outage(double, monkeypatch)


@pytest.fixture
def pushing(build_world: Callable[..., World], double: ProviderDouble) -> World:
    """A service that passes stops on, after its first comparison."""
    world = with_groups(build_world(**settings(double, PREFS_PUSH_SUPPRESSIONS="on")))
    stopped(world, "first@example.com")
    world.work()
    assert double.suppressed == ["first@example.com"]
    double.suppressed.clear()
    return world


def stopped(world: World, to: str = ADA, scope: str = "all") -> None:
    assert world.post("/v1/suppressions", {"channel": "email", "to": to, "scope": scope}).status_code == 201


def minutes(world: World, number: int) -> None:
    """Let the worker work, a minute at a time."""
    for _ in range(number):
        world.clock.forward(minutes=1)
        world.work()


def rung(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    return [vars(line) for line in caplog.records if line.message == name]


def numbers(world: World) -> dict[str, float]:
    return numbers_in(world.client.get("/metrics").text)


def needs(world: World) -> str:
    page = staff(world, Role.ENGINEER, f"e{world.clock.at.timestamp():.0f}@staff.example").page("/admin/")
    return page.partition("Needs someone today")[2].partition("</section>")[0]


def test_i17_a_provider_that_is_silent_for_an_hour_hears_of_every_stop_and_ours_governs_meanwhile(
    pushing: World, double: ProviderDouble, caplog: pytest.LogCaptureFixture, outage: Outage
) -> None:
    outage.begin()
    stopped(pushing)
    stopped(pushing, OTHER)

    for minute in range(1, 61):
        minutes(pushing, 1)
        assert pushing.decide()["reason"] == pushing.decide(to=OTHER)["reason"] == "unsubscribed"
        assert len(rung(caplog, "push_late")) == (minute > 15)
    assert double.suppressed == []
    (alarm,) = rung(caplog, "push_late")
    assert alarm["levelno"] == logging.CRITICAL
    assert (alarm["provider"], alarm["waiting"], alarm["minutes"]) == ("sendgrid", 2, 16)
    told = needs(pushing)
    assert "SendGrid has not taken opt-outs for 1 h" in told
    assert "2 are waiting. They count here already" in told
    assert numbers(pushing)["prefs_push_oldest_seconds"] == 3600
    assert numbers(pushing)["prefs_push_waiting"] == 2

    outage.end()
    minutes(pushing, 11)

    assert double.suppressed == [ADA, OTHER]
    assert pushing.services.pushes.late() == []
    assert "has not taken opt-outs" not in needs(pushing)
    assert numbers(pushing)["prefs_push_oldest_seconds"] == 0
    assert len(rung(caplog, "push_late")) == len(rung(caplog, "push_caught_up")) == 1
    assert pushing.decide()["allowed"] is False


def test_a_stop_is_passed_on_within_the_minute_and_once(pushing: World, double: ProviderDouble) -> None:
    stopped(pushing)
    minutes(pushing, 1)
    asked = len(double.requests)

    minutes(pushing, 5)

    assert double.suppressed == [ADA]
    assert len(double.requests) == asked


def test_a_stop_of_a_topic_goes_to_its_group(pushing: World, double: ProviderDouble) -> None:
    double.groups[NEWS_GROUP] = []
    stopped(pushing, scope="topic:company-news")
    stopped(pushing, scope="topic:surveys")

    minutes(pushing, 1)

    assert [one["email"] for one in double.groups[NEWS_GROUP]] == [ADA]
    assert double.suppressed == []
    assert pushing.services.pushes.all_untold() == []


def test_a_provider_that_is_away_is_asked_less_and_less_often(
    pushing: World, double: ProviderDouble, outage: Outage
) -> None:
    outage.begin()
    stopped(pushing)
    minutes(pushing, 59)  # the hour's comparison is not among them

    with pushing.services.kit.store.read() as connection:
        tried = [line.ended_at for line in errors(connection, "sendgrid", 50) if line.kind == "push"][::-1]
    pauses = [(after - before).total_seconds() / 60 for before, after in pairwise(tried)]

    assert pauses == [1, 2, 4, 8, 10, 10, 10, 10]


def test_what_was_taken_before_the_provider_went_away_is_not_sent_again(
    pushing: World, double: ProviderDouble, monkeypatch: pytest.MonkeyPatch, outage: Outage
) -> None:
    monkeypatch.setattr("prefs.services.mail_sync._BATCH", 2)
    for number in range(5):
        stopped(pushing, f"p{number}@example.com")
    taken: list[int] = []
    stop = type(pushing.services.mail_sync.lists).stop  # type: ignore[union-attr]

    def once(self: Any, emails: Any, group: Any) -> None:
        if len(taken) == 1:
            outage.begin()
        taken.append(len(emails))
        stop(self, emails, group)

    monkeypatch.setattr("prefs.providers.sendgrid.SendGridLists.stop", once)
    minutes(pushing, 1)
    assert pushing.services.pushes.all_untold()[0].number == 3
    outage.end()

    minutes(pushing, 2)

    assert double.suppressed == [f"p{number}@example.com" for number in range(5)]
    assert taken == [2, 2, 1, 2]  # the second two were not taken; one of the first page is looked at again


def test_who_came_back_meanwhile_is_neither_told_nor_waits(
    pushing: World, double: ProviderDouble, outage: Outage
) -> None:  # I16
    outage.begin()
    made = pushing.post("/v1/suppressions", {"channel": "email", "to": ADA}).json
    minutes(pushing, 20)
    pushing.post(f"/v1/suppressions/{made['id']}/lift", {"source": "letter", "evidence": "Letter of today"})
    outage.end()

    minutes(pushing, 10)

    assert double.suppressed == []
    assert pushing.services.pushes.all_untold() == []


def test_what_came_from_the_provider_waits_for_nobody(pushing: World, double: ProviderDouble, outage: Outage) -> None:
    outage.begin()
    pushing.events(pushing.event("unsubscribe"))

    minutes(pushing, 20)

    assert pushing.services.pushes.all_untold() == []


def test_old_stops_wait_since_pushing_was_switched_on(
    build_world: Callable[..., World], double: ProviderDouble, outage: Outage
) -> None:
    world = with_groups(build_world(**settings(double)))
    stopped(world)
    world.clock.forward(days=30)
    outage.begin()
    later = build_world(**settings(double, PREFS_PUSH_SUPPRESSIONS="on"))
    assert later.services.pushes.all_untold() == []

    later.work()
    assert later.services.pushes.late() == []
    minutes(later, 16)

    (late,) = later.services.pushes.late()
    assert (late.number, late.since) == (1, world.clock.at.replace() - (later.clock.at - late.since))
    outage.end()
    minutes(later, 10)
    assert double.suppressed == [ADA]


def test_w10_where_pushing_is_off_nothing_waits(build_world: Callable[..., World], double: ProviderDouble) -> None:
    world = build_world(**settings(double))
    stopped(world)

    minutes(world, 20)

    assert world.services.pushes.all_untold() == []
    assert numbers(world)["prefs_push_oldest_seconds"] == 0


def test_the_alarm_is_worked_out_without_a_worker(pushing: World) -> None:
    stopped(pushing)
    pushing.clock.forward(minutes=16)

    assert [one.number for one in pushing.services.pushes.late()] == [1]
    assert pushing.services.providers.needing_attention() == 1
    assert numbers(pushing)["prefs_push_oldest_seconds"] == 960
    page = staff(pushing, Role.ENGINEER).page("/admin/providers/sendgrid")
    assert "Opt-outs it was not told of yet" in page


def test_doctor_names_the_provider_and_fails(
    pushing: World, double: ProviderDouble, database_url: str, tmp_path: Path
) -> None:
    pushing.clock.at = datetime.now(UTC) - timedelta(minutes=41)
    stopped(pushing)

    late = doctor(database_url, tmp_path, double)
    pushing.work()
    well = doctor(database_url, tmp_path, double)

    assert late.exit_code == 1
    assert "problem: sendgrid has not taken opt-outs for 41 minutes, 1 waiting" in late.output
    assert "has not taken" not in well.output


def doctor(database_url: str, folder: Path, double: ProviderDouble) -> Result:
    """Run ``prefs doctor`` on the test's own database."""
    environment = environment_for(database_url, folder, **settings(double, PREFS_PUSH_SUPPRESSIONS="on"))
    return CliRunner().invoke(main, ["doctor"], env=environment)


def test_the_daily_comparison_finds_what_no_push_ever_passed_on(pushing: World, double: ProviderDouble) -> None:
    """Somebody, or a bug, moved the mark: the whole comparison of the day heals it (I17)."""
    stopped(pushing)
    with pushing.services.kit.store.write() as connection:
        marks.write_position(connection, "sendgrid:pushed", len(pushing.entries()))
    minutes(pushing, 2)
    assert double.suppressed == []

    pushing.clock.forward(days=1)
    pushing.work()

    assert double.suppressed == [ADA]


def test_a_deletion_the_provider_was_not_told_of_rings_too(
    pushing: World, double: ProviderDouble, outage: Outage
) -> None:
    pushing.know()
    item = record(pushing, Right.ERASURE)
    outage.begin()
    with pushing.services.kit.store.write() as connection:
        from prefs.storage import requests

        row = requests.read(connection, item.number)
        assert row is not None
        pushing.services.rectifying.telling.queue(connection, item.number, "suppress", emails=[ADA], messages=[])
    minutes(pushing, 16)

    (late,) = pushing.services.pushes.late()

    assert late.number == 1


def test_the_first_push_reads_their_lists_before(
    build_world: Callable[..., World], double: ProviderDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build_world(**settings(double, PREFS_PUSH_SUPPRESSIONS="on"))
    stopped(world)
    double.listed("unsubscribes", ADA, world.clock.at)
    runs: list[bool | None] = []
    run = MailSync.run

    def noted(self: MailSync, **how: Any) -> Any:
        runs.append(how.get("whole"))
        return run(self, **how)

    monkeypatch.setattr(MailSync, "run", noted)
    assert world.services.mail_sync is not None

    assert world.services.mail_sync.push_new() == 0
    stopped(world, OTHER)
    assert world.services.mail_sync.push_new() == 1

    assert runs == [True]
    assert sync(world).pushed == 0
