"""The fold: any order, any duplication, the same state (reliability.md R1, R2; contract D6, D8)."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefs.domain.ledger import Entry, Standing, fold, reopened, still_in_force
from prefs.domain.terms import Act, Channel, ConsentKind, Reason
from tests.make import make_entry


def facts(entries: Sequence[Entry]) -> set[str]:
    return {fact.fact for fact in fold(entries)}


SIX = (
    make_entry(at=0, key="stop-1", sender=7, channel=Channel.SMS),
    make_entry(Act.LIFT, at=1, key="start-1", lifts="sender:7", channel=None),
    make_entry(at=2, key="stop-2", sender=7, channel=Channel.SMS),
    make_entry(Act.OPT_IN, at=2, key="consent", scope=3, channel=Channel.SMS),
    make_entry(at=5, key="topic-stop", scope=3, channel=Channel.SMS, reason=Reason.COMPLAINT),
    make_entry(Act.LIFT, at=6, key="undo", lifts="entry:start-1", channel=None),
)


def test_all_720_orders_of_six_facts_give_the_same_state() -> None:
    states = {fold(order) for order in itertools.permutations(SIX)}

    assert len(states) == 1


@st.composite
def entry_sets(draw: st.DrawFn) -> list[Entry]:
    size = draw(st.integers(1, 10))
    return [draw(one_entry(number)) for number in range(size)]


@st.composite
def one_entry(draw: st.DrawFn, number: int) -> Entry:
    act = draw(st.sampled_from([Act.OPT_OUT, Act.OPT_IN, Act.LIFT, Act.UNREACHABLE]))
    names = ["sender:7", *(f"entry:k{one}" for one in range(10)), *(f"act:a{one}" for one in range(4))]
    return make_entry(
        act,
        at=draw(st.integers(0, 5)),
        key=f"k{number}",
        act_id=f"a{draw(st.integers(0, 3))}",
        channel=draw(st.sampled_from([None, Channel.SMS, Channel.EMAIL])),
        scope=draw(st.sampled_from([0, 3, 4])),
        sender=draw(st.sampled_from([None, 7])),
        reason=draw(st.sampled_from([Reason.UNSUBSCRIBED, Reason.COMPLAINT, Reason.SNOOZED]))
        if act is Act.OPT_OUT
        else Reason.NUMBER_REASSIGNED
        if act is Act.UNREACHABLE
        else None,
        consent=draw(st.sampled_from([ConsentKind.EXPRESS, ConsentKind.OWN_ACT, ConsentKind.IMPLIED]))
        if act is Act.OPT_IN
        else None,
        lifts=draw(st.sampled_from(names)) if act is Act.LIFT else None,
    )


@given(entry_sets(), st.data())
@settings(max_examples=400, deadline=None)
def test_any_order_and_any_duplication_of_the_same_facts_give_the_same_state(
    entries: list[Entry], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(entries + entries[: data.draw(st.integers(0, len(entries)))]))

    assert fold(shuffled) == fold(entries)


def test_a_stop_wins_a_tie_with_a_start(  # invariant I02
) -> None:
    stop = make_entry(at=4, sender=7, channel=Channel.SMS)
    start = make_entry(Act.LIFT, at=4, lifts="sender:7", channel=None)

    assert facts([stop, start]) == {"unsubscribed"}


def test_a_stop_wins_a_tie_with_a_consent() -> None:
    stop, consent = make_entry(at=4), make_entry(Act.OPT_IN, at=4, scope=3)

    standing = fold([stop, consent])

    assert not reopened(next(fact for fact in standing if fact.reason), 3, standing)


def test_a_start_brings_back_what_its_stop_took_and_nothing_else() -> None:  # rules.md S-3
    by_text = make_entry(at=1, sender=7, channel=Channel.SMS, reason=Reason.UNSUBSCRIBED)
    by_letter = make_entry(at=2, channel=Channel.SMS, reason=Reason.OBJECTION)
    start = make_entry(Act.LIFT, at=3, lifts="sender:7", channel=None)

    assert facts([by_text, by_letter, start]) == {"objection"}


def test_an_undone_start_leaves_the_stop_standing() -> None:  # invariant I01
    assert facts(SIX[:2]) == set()
    assert facts([*SIX[:2], SIX[5]]) == {"unsubscribed"}


def test_a_consent_after_all_reopens_its_topic_only_and_the_stop_stays_listed() -> None:  # contract D6
    standing = fold([make_entry(at=1), make_entry(Act.OPT_IN, at=2, scope=3)])
    stop = next(fact for fact in standing if fact.reason)

    assert (reopened(stop, 3, standing), reopened(stop, 4, standing)) == (True, False)


def test_a_recorded_consent_does_not_end_a_complaint_but_the_persons_own_act_does() -> None:  # contract D9
    complaint = make_entry(at=1, scope=3, reason=Reason.COMPLAINT)
    by_caller = make_entry(Act.OPT_IN, at=2, scope=3, consent=ConsentKind.EXPRESS)
    by_person = make_entry(Act.OPT_IN, at=3, scope=3, consent=ConsentKind.OWN_ACT)

    assert "complaint" in facts([complaint, by_caller])
    assert "complaint" not in facts([complaint, by_caller, by_person])


def test_consents_from_before_a_number_changed_hands_are_gone_and_stops_stay() -> None:  # rules.md A-1
    old = make_entry(Act.OPT_IN, at=1, scope=3, channel=Channel.SMS)
    stop = make_entry(at=1, scope=4, channel=Channel.SMS)
    moved = make_entry(Act.UNREACHABLE, at=2, channel=Channel.SMS, reason=Reason.NUMBER_REASSIGNED)
    new = make_entry(Act.OPT_IN, at=3, scope=5, channel=Channel.SMS)

    standing = fold([old, stop, moved, new])

    assert {(fact.fact, fact.scope) for fact in standing} == {("unsubscribed", 4), ("express", 5)}


def test_of_two_implied_consents_the_longer_one_counts() -> None:  # rules.md K-1
    from datetime import timedelta

    from tests.make import NOON

    bought = make_entry(Act.OPT_IN, at=1, scope=3, consent=ConsentKind.IMPLIED, until=NOON + timedelta(days=730))
    asked = make_entry(Act.OPT_IN, at=2, scope=3, consent=ConsentKind.IMPLIED, until=NOON + timedelta(days=180))

    assert [fact.until for fact in fold([bought, asked])] == [NOON + timedelta(days=730)]


@pytest.mark.parametrize(("consent_at", "repeat_counts"), [(None, False), (0, False), (9, True)])
def test_a_repeated_press_counts_only_if_something_was_let_in_since(  # rules.md E-4
    consent_at: int | None, repeat_counts: bool
) -> None:
    entries = [make_entry(at=5)]
    if consent_at is not None:
        entries.append(make_entry(Act.OPT_IN, at=consent_at, scope=3))

    known: Standing | None = still_in_force(fold(entries), make_entry(at=10))

    assert (known is None) is repeat_counts
