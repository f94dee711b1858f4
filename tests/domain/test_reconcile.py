"""A provider's line against our entries: the newer one wins, whatever order they came in (reliability.md I16)."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from prefs.domain.ledger import ALL, Entry
from prefs.domain.reconcile import Verdict, judge
from prefs.domain.terms import Act, Channel, ConsentKind, Reason
from tests.make import NOON, make_entry

NEWS = 5
STOP = make_entry(at=0, key="stop")
TOPIC_STOP = make_entry(at=0, key="topic", scope=NEWS)
OBJECTION = make_entry(at=0, key="objection", reason=Reason.OBJECTION, channel=None)
COMPLAINT = make_entry(at=0, key="complaint", reason=Reason.COMPLAINT)
ERASED = make_entry(at=0, key="erased", reason=Reason.ERASED, channel=None)
BY_TEXT = make_entry(at=0, key="sms", channel=Channel.SMS)


def line(at: int, reason: Reason = Reason.UNSUBSCRIBED, scope: int = ALL) -> Entry:
    act = Act.OPT_OUT if reason in {Reason.UNSUBSCRIBED, Reason.COMPLAINT} else Act.UNREACHABLE
    moment = NOON + timedelta(seconds=at)
    made = make_entry(act, key="theirs", reason=reason, scope=scope)
    return replace(made, effective_at=moment, occurred_at=moment, id=0)


def lifted(at: int, key: str = "stop") -> Entry:
    return make_entry(Act.LIFT, at=at, key=f"lift-{at}", channel=None, lifts=f"entry:{key}")


def agreed(at: int, topic: int = NEWS) -> Entry:
    return make_entry(Act.OPT_IN, at=at, key=f"yes-{at}", scope=topic, consent=ConsentKind.EXPRESS)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([], line(0), Verdict.MISSED),
        ([STOP], line(10), Verdict.KNOWN),
        ([OBJECTION], line(10), Verdict.KNOWN),
        ([ERASED], line(10), Verdict.KNOWN),
        ([ERASED], line(10, Reason.HARD_BOUNCE), Verdict.KNOWN),
        ([STOP], line(10, scope=NEWS), Verdict.KNOWN),
        ([TOPIC_STOP], line(10), Verdict.MISSED),
        ([BY_TEXT], line(10), Verdict.MISSED),
        ([COMPLAINT], line(10), Verdict.MISSED),
        ([STOP], line(10, Reason.COMPLAINT), Verdict.MISSED),
        ([STOP], line(10, Reason.HARD_BOUNCE), Verdict.MISSED),
        ([STOP, lifted(20)], line(10), Verdict.ENDED),
        ([STOP, lifted(20)], line(-10), Verdict.ENDED),
        ([STOP, lifted(20)], line(30), Verdict.MISSED),
        ([COMPLAINT, lifted(20, "complaint")], line(10), Verdict.MISSED),
        ([TOPIC_STOP, agreed(20)], line(10, scope=NEWS), Verdict.ENDED),
        ([TOPIC_STOP, agreed(20)], line(30, scope=NEWS), Verdict.MISSED),
        ([STOP, agreed(20)], line(30), Verdict.MISSED),
        ([STOP, agreed(20)], line(10), Verdict.KNOWN),
        ([agreed(20)], line(10, scope=NEWS), Verdict.ENDED),
        ([agreed(20)], line(10), Verdict.MISSED),
    ],
)
def test_the_newer_one_wins_in_whatever_order_the_entries_lie(
    ours: list[Entry], theirs: Entry, verdict: Verdict
) -> None:
    assert {judge(order, theirs) for order in permutations(ours)} == {verdict}
