"""What one fact's outcome hangs on is its row without its times: that is why a batch decides once for each sort."""

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefs.domain.catalogue import Topic
from prefs.domain.decision import Question, decide
from prefs.domain.terms import Channel, ConsentKind, MessageClass, Need, Reason
from prefs.storage.states import shape_of, state_of
from prefs.storage.tables import to_microseconds
from tests.make import NOON

MICROSECONDS = st.integers(min_value=0, max_value=to_microseconds(datetime.fromisoformat("2100-01-01T00:00:00Z")))
TOPIC = Topic(
    5, "offers", "Offers", MessageClass.MARKETING, {Channel.EMAIL: Need.NO_OBJECTION, Channel.SMS: Need.CONSENT}
)
SERVICE = Topic(6, "account", "Account", MessageClass.TRANSACTIONAL, {Channel.EMAIL: Need.NO_OBJECTION})
QUESTIONS = st.builds(
    lambda channel, topic, country: Question(
        channel=channel, message_class=topic.message_class, at=NOON, topic=topic, brand=1, sender=3, country=country
    ),
    st.sampled_from([Channel.EMAIL, Channel.SMS, Channel.VOICE]),
    st.sampled_from([TOPIC, SERVICE]),
    st.sampled_from([None, "DE", "US", "CA"]),
)
SORTS = st.tuples(
    st.sampled_from([None, "DE", "CA"]),
    st.none(),
    st.sampled_from([0, 1, 3, 5, 6, 9]),
    st.sampled_from([*map(str, Reason), *map(str, ConsentKind)]),
    st.booleans(),
    st.one_of(st.none(), MICROSECONDS),
    st.sampled_from([None, 3, 4]),
    st.sampled_from([None, "confirmed", "revoke_all", "inferred"]),
)
TIMES = st.tuples(st.integers(1, 10**6), MICROSECONDS, st.sampled_from(["import", "one_click", "api"]))


def row(times: tuple[Any, ...], sort: tuple[Any, ...]) -> tuple[Any, ...]:
    return (10**6, b"k" * 16, times[0], None, *times, *sort)


@given(QUESTIONS, SORTS, TIMES, TIMES)
def test_two_addresses_of_one_shape_are_answered_alike(
    question: Question, sort: tuple[Any, ...], one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    rows = [row(one, sort)], [row(other, sort)]
    assert shape_of(rows[0]) == shape_of(rows[1])

    first, second = (decide(question, state_of(found, question.channel)) for found in rows)

    assert (first.outcome, first.reason, first.verified) == (second.outcome, second.reason, second.verified)
