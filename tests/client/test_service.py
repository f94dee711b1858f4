"""Everything the client can ask, against the real app on a real socket, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefs.client import (
    Blocked,
    ChoiceChange,
    Conflict,
    Forbidden,
    Invalid,
    NewSuppression,
    NotFound,
    Unanswered,
    Unauthorized,
    operations,
)
from tests.client.asking import ask, clear, follow, sendable
from tests.client.conftest import Live
from tests.make import ADA, BEN, NOON


def test_an_acknowledged_stop_blocks_the_next_question(live: Live, kind: str) -> None:  # promise 1
    before = ask(kind, live.url, "decide", "email", ADA, topic="product-offers", key=live.key)

    made = ask(kind, live.url, "suppress", "email", ADA, source="letter", note="She wrote.", key=live.key)

    after = ask(kind, live.url, "decide", "email", ADA, topic="product-offers", key=live.key)
    assert (before.allowed, made.created, made.since) == (True, True, NOON)
    assert (after.allowed, after.outcome, after.reason) == (False, "blocked", "unsubscribed")
    assert (after.suppression_id, after.since, after.to) == (made.id, NOON, ADA)


def test_an_old_decision_is_worked_out_again_with_its_steps(live: Live, kind: str) -> None:
    old = ask(kind, live.url, "decide", "email", ADA, topic="events", links=True, explain=True, key=live.key)
    ask(kind, live.url, "suppress", "email", ADA, key=live.key)

    again = ask(kind, live.url, "decision", old.id, key=live.key)

    assert (again.allowed, again.id, again.to) == (True, old.id, "")
    assert [step.rule for step in again.steps] == [step.rule for step in old.steps]
    assert old.links.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "/u/" in old.links.unsubscribe


def test_a_long_list_is_split_and_keeps_its_order(live: Live, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST_DECISIONS", 2)
    people = ["a@example.com", "not an address", ADA, "ü@exämple.com", ADA]
    ask(kind, live.url, "suppress", "email", ADA, key=live.key)

    found = ask(kind, live.url, "decide_many", "email", people, topic="events", key=live.key)
    blocked = ask(kind, live.url, "decide_many", "email", people, topic="events", only="blocked", key=live.key)

    assert [one.to for one in found.decisions] == people
    assert [one.reason for one in found.decisions] == [None, "invalid_address", "unsubscribed", None, "unsubscribed"]
    assert found.counts == {"allowed": 2, "blocked": 3, "deferred": 0} == blocked.counts
    assert [one.to for one in blocked.decisions] == ["not an address", ADA, ADA]
    assert sendable(kind, live.url, people, "events", key=live.key) == ["a@example.com", "ü@exämple.com"]


def test_nobody_in_a_list_asks_nothing(live: Live, kind: str) -> None:
    assert ask(kind, live.url, "decide_many", "email", [], topic="events", key=live.key).decisions == ()


def test_the_same_stop_again_changes_nothing(live: Live, kind: str) -> None:
    first = ask(kind, live.url, "suppress", "email", ADA, idempotency_key="letter-1", key=live.key)
    repeated = ask(kind, live.url, "suppress", "email", ADA, idempotency_key="letter-1", key=live.key)
    anew = ask(kind, live.url, "suppress", "email", ADA, key=live.key)

    assert first.id == repeated.id == anew.id
    assert (first.created, anew.created) == (True, False)
    assert len(live.world.entries()) == 1


def test_many_stops_have_a_result_each_numbered_as_in_the_whole_list(
    live: Live, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MOST_SUPPRESSIONS", 2)
    wishes = [NewSuppression("email", ADA), NewSuppression("sms", BEN), NewSuppression("email", ADA)]
    wishes.append(NewSuppression("email", "nobody"))

    results = ask(kind, live.url, "suppress_many", wishes, idempotency_key="list-1", key=live.key)

    assert [one.status for one in results] == ["created", "created", "already", "invalid"]
    assert results[3].errors[0].field.startswith("suppressions.3")
    assert len(live.world.entries()) == 2
    assert ask(kind, live.url, "suppress_many", wishes, idempotency_key="list-1", key=live.key) == results


def test_stops_are_listed_and_lifted(live: Live, kind: str) -> None:
    made = ask(kind, live.url, "suppress", "email", ADA, scope="topic:events", key=live.key)

    listed = ask(kind, live.url, "suppressions", "email", ADA, key=live.key)
    everybody = ask(kind, live.url, "suppressions", scope="topic:events", limit=10, key=live.key)
    lifted = ask(kind, live.url, "lift", made.id, evidence="Call of 24 November", source="phone", key=live.key)

    assert [one.id for one in listed.data] == [made.id] == [lifted.id]
    assert listed == everybody
    assert ask(kind, live.url, "suppressions", "email", ADA, key=live.key).data == ()


def test_a_consent_never_outranks_a_later_stop(live: Live, kind: str) -> None:
    agreed = NOON - timedelta(days=1)
    given = ask(kind, live.url, "consent", "sms", BEN, "events", source="form", occurred_at=agreed, key=live.key)
    assert (given.status, given.since, given.wording_on_record) == ("given", agreed, False)
    ask(kind, live.url, "suppress", "sms", BEN, key=live.key)

    with pytest.raises(Conflict) as caught:
        ask(kind, live.url, "consent", "sms", BEN, "events", source="form", occurred_at=agreed, key=live.key)

    assert caught.value.problem.code == "later_opt_out"


def test_a_double_opt_in_is_pending(live: Live, kind: str) -> None:
    given = ask(kind, live.url, "consent", "email", ADA, "events", source="form", double_opt_in=True, key=live.key)

    assert given.status == "pending"


@pytest.mark.parametrize("external_id", ["c-1", "Ada Lovelace 7 %?#", "ü"])
def test_a_contact_is_found_under_whatever_id_it_has(live: Live, kind: str, external_id: str) -> None:
    addresses = [("email", ADA), ("sms", BEN)]

    saved = ask(kind, live.url, "save_contact", external_id, addresses, country="DE", key=live.key)

    found = ask(kind, live.url, "contact", external_id, key=live.key)
    assert found == saved
    assert (found.external_id, found.country, set(found.addresses)) == (external_id, "DE", set(addresses))
    assert ask(kind, live.url, "decide", "sms", contact=external_id, topic="account", key=live.key).to == BEN


def test_a_contacts_choices_are_read_changed_and_remembered(live: Live, kind: str) -> None:
    ask(kind, live.url, "save_contact", "ada", [("email", ADA), ("sms", BEN)], key=live.key)
    changes = [ChoiceChange("sms", True, "events"), ChoiceChange("email", False)]

    results = ask(kind, live.url, "change_preferences", "ada", changes, source="phone", key=live.key)

    choices = {(one.channel, one.topic): one.send for one in ask(kind, live.url, "preferences", "ada", key=live.key)}
    past = ask(kind, live.url, "history", "ada", key=live.key)
    assert [(one.channel, one.result) for one in results] == [("email", "stopped"), ("sms", "started")]
    assert (choices["sms", "events"], choices["email", "events"]) == (True, False)
    assert [(line.act, line.to, line.source) for line in past.data] == [
        ("opt_out", ADA, "phone"),
        ("opt_in", BEN, "phone"),
    ]


def test_a_message_is_taken_and_followed(live: Live, kind: str) -> None:
    taken = ask(kind, live.url, "send", "email", ADA, "account", subject="Hello", text="Hi", key=live.key)
    live.world.work()

    found = ask(kind, live.url, "message", taken.id, key=live.key)

    assert (taken.status, taken.decision.allowed, found.status) == ("queued", True, "sent")
    assert [line["status"] for line in found.history][-1] == "sent"


def test_links_and_topics(live: Live, kind: str) -> None:
    made = ask(kind, live.url, "links", "email", ADA, "events", key=live.key)
    topics = {topic.slug: topic for topic in ask(kind, live.url, "topics", key=live.key)}

    assert made.mailto.startswith("mailto:")
    assert "/p/" in made.preferences
    assert topics["events"].needs["sms"] == "consent"


def test_the_feed_is_followed_to_its_end(live: Live, kind: str) -> None:
    for number in range(3):
        ask(kind, live.url, "suppress", "email", f"p{number}@example.com", key=live.key)
    live.world.services.sealing.seal()

    everything = follow(kind, live.url, 0, key=live.key)
    page = ask(kind, live.url, "changes", limit=2, key=live.key)

    assert [change.act for change in everything] == ["opt_out"] * 3
    assert (len(page.data), page.next) == (2, str(page.data[-1].position))
    assert follow(kind, live.url, int(page.next), key=live.key) == everything[2:]


@pytest.mark.parametrize(
    ("name", "args", "more", "error", "code"),
    [
        pytest.param("decide", ("email", ADA), {"topic": "no-such"}, Invalid, "unknown_topic", id="unknown topic"),
        pytest.param("contact", ("nobody",), {}, NotFound, "not_found", id="unknown contact"),
        pytest.param("decision", ("dec_forged",), {}, NotFound, "not_found", id="forged receipt"),
        pytest.param("suppress", ("sms", "nobody"), {}, Invalid, "", id="no address"),
    ],
)
def test_a_refusal_carries_the_problem(
    live: Live, kind: str, name: str, args: Any, more: Any, error: type[Exception], code: str
) -> None:
    with pytest.raises(error) as caught:
        ask(kind, live.url, name, *args, key=live.key, **more)

    problem = caught.value.problem  # type: ignore[attr-defined]  # every Refused has one
    assert problem.code == code or (not code and problem.errors)
    assert problem.request_id
    assert ADA not in str(caught.value)


def test_a_key_that_is_not_live_or_lacks_the_scope_is_named_as_such(live: Live, kind: str) -> None:
    reader = live.world.services.keys.create("reader", ["read"])

    with pytest.raises(Unauthorized) as unknown:
        ask(kind, live.url, "decide", "email", ADA, topic="events", key="prf_test_nonsense")
    with pytest.raises(Forbidden, match="scope `decide`"):
        ask(kind, live.url, "decide", "email", ADA, topic="events", key=reader)

    assert "nonsense" not in str(unknown.value) + repr(unknown.value)


def test_a_key_used_for_another_request_is_a_conflict(live: Live, kind: str) -> None:
    ask(kind, live.url, "suppress", "email", ADA, idempotency_key="k", key=live.key)

    with pytest.raises(Conflict) as caught:
        ask(kind, live.url, "suppress", "sms", BEN, idempotency_key="k", key=live.key)

    assert caught.value.problem.code == "idempotency_mismatch"


def test_a_guard_lets_pass_what_may_be_sent_and_nothing_else(live: Live, kind: str) -> None:
    allowed = clear(kind, live.url, "marketing", ADA, "events", key=live.key, links=True)
    assert allowed.verified is True
    assert allowed.decision is not None
    assert allowed.decision.links is not None
    ask(kind, live.url, "suppress", "email", ADA, key=live.key)

    with pytest.raises(Blocked) as caught:
        clear(kind, live.url, "marketing", ADA, "events", key=live.key)

    assert caught.value.reason == "unsubscribed"
    assert ADA not in str(caught.value) + repr(caught.value.decision)
    assert clear(kind, live.url, "transactional", ADA, "account", key=live.key).verified is True  # promise 4


def test_a_guard_for_one_class_does_not_let_the_other_pass(live: Live, kind: str) -> None:
    with pytest.raises(Unanswered) as caught:
        clear(kind, live.url, "marketing", ADA, "account", key=live.key)
    assert isinstance(caught.value.__cause__, Invalid)

    with pytest.raises(Invalid, match="marketing"):
        clear(kind, live.url, "transactional", ADA, "events", key=live.key)


def test_a_wrong_key_stops_marketing_and_is_loud_for_receipts(live: Live, kind: str) -> None:
    with pytest.raises(Unanswered):
        clear(kind, live.url, "marketing", ADA, "events", key="prf_revoked")
    with pytest.raises(Unauthorized):
        clear(kind, live.url, "transactional", ADA, "account", key="prf_revoked")


def test_with_the_database_away_marketing_waits_and_receipts_pass_unverified(
    live: Live, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear(kind, live.url, "marketing", ADA, "events", key=live.key)  # the key is known from now on
    for way in ("read", "ask"):
        monkeypatch.setattr(type(live.world.services.kit.store), way, _away)

    with pytest.raises(Blocked) as caught:
        clear(kind, live.url, "marketing", ADA, "events", key=live.key)

    assert caught.value.reason == "unavailable"
    receipt = clear(kind, live.url, "transactional", ADA, "account", key=live.key)
    assert receipt.verified is False
    assert receipt.decision is not None


def _away(_store: object, *_questions: object) -> Any:
    from prefs.errors import StoreUnavailable

    raise StoreUnavailable("The database is away.")


def test_times_without_a_zone_are_refused_before_anything_is_sent(live: Live, kind: str) -> None:
    naive = datetime(2026, 11, 24, tzinfo=UTC).replace(tzinfo=None)

    with pytest.raises(ValueError, match="`occurred_at` needs a time zone"):
        ask(kind, live.url, "suppress", "email", ADA, occurred_at=naive, key=live.key)
