"""One row of people who agreed: what it says, and that nothing without proof is taken (contract D12, D31; G-6)."""

from typing import Any

import pytest

from prefs.domain.agreed import EXAMPLE, AgreedPlan, make_agreed_plan
from prefs.domain.formats import NO_CONSENTS, named, recognise
from prefs.domain.listed import RowProblem
from prefs.domain.terms import Channel, ConsentKind
from prefs.errors import InvalidInput
from tests.make import ADA, NOON

TOPICS = {"events": "events", "company news": "company-news", "company-news": "company-news"}
GOOD = {
    "email": ADA,
    "topic": "events",
    "kind": "express",
    "agreed_at": "2026-03-02",
    "source": "booking form",
    "wording": "Yes, tell me about events",
}


def plan(header: list[str], row: list[str], **more: Any) -> AgreedPlan:
    known: dict[str, Any] = {"channel": None, "column": None, "topic": None, "topics": TOPICS, "now": NOON}
    return make_agreed_plan(header, [row], **{**known, **more})


def read(**cells: str) -> Any:
    """Read one row that is good but for these cells; the address is for texts where it has no @."""
    row = {**GOOD, **cells}
    channel = Channel.EMAIL if "@" in row["email"] else Channel.SMS
    return plan(list(row), list(row.values()), channel=channel, column="email").reader()(list(row.values()))


def test_a_row_says_who_to_what_how_when_where_and_in_which_words() -> None:
    found = read(reference="form 7")

    assert (found.text, found.topic, found.kind, found.source) == (ADA, "events", ConsentKind.EXPRESS, "booking form")
    assert found.agreed_at.isoformat() == "2026-03-02T00:00:00+00:00"
    assert found.wording == "Yes, tell me about events"
    assert found.evidence == {"reference": "form 7"}


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        pytest.param({"kind": ""}, "How they agreed is not said", id="no kind"),
        pytest.param({"kind": "double"}, "A kind of consent that cannot be imported", id="unknown kind"),
        pytest.param({"kind": "own_act"}, "A kind of consent that cannot be imported", id="only the person's own"),
        pytest.param({"agreed_at": ""}, "When they agreed is not said", id="no date"),
        pytest.param({"agreed_at": "03/04/2026"}, "The date they agreed on cannot be told for sure", id="unclear"),
        pytest.param({"agreed_at": "2026-11-25"}, "The date they agreed on is in the future", id="future"),
        pytest.param({"source": ""}, "Where they agreed is not said", id="no source"),
        pytest.param({"wording": " "}, "The proof is missing: the words they agreed to", id="no words"),
        pytest.param({"topic": ""}, "What they agreed to is not said", id="no topic"),
        pytest.param({"topic": "nope"}, "A topic that there is not", id="unknown topic"),
        pytest.param({"expires_at": "soon"}, "The date it ends on cannot be told for sure", id="end"),
        pytest.param({"wording": "x" * 5_000}, "A cell of this row is too long", id="long"),
        pytest.param(
            {"email": "+14155550123", "kind": "implied"},
            "This kind of consent does not count for texts, calls and push",
            id="implied by text",
        ),
    ],
)
def test_what_is_missing_or_unclear_is_refused_with_the_mend(cells: dict[str, str], what: str) -> None:
    with pytest.raises(RowProblem) as refused:
        read(**cells)

    assert refused.value.what == what
    assert refused.value.how.endswith((".", "events."))


def test_a_topic_may_be_named_or_said_for_every_row() -> None:
    assert read(topic="Company News").topic == "company-news"
    row = {name: value for name, value in GOOD.items() if name != "topic"}

    found = plan(list(row), list(row.values()), topic="events").reader()(list(row.values()))

    assert found.topic == "events"


def test_a_list_that_cannot_say_it_is_refused_whole() -> None:
    with pytest.raises(InvalidInput) as refused:
        plan(["email", "kind"], [ADA, "express"])

    assert "topic, agreed_at, source are missing" in str(refused.value)


def test_the_example_can_be_read() -> None:
    import csv

    header, *rows = csv.reader(EXAMPLE.splitlines())
    topics = {"events": "events", "product-offers": "product-offers"}
    read_row = plan(header, rows[0], topics=topics).reader()

    assert [read_row(row).kind for row in rows] == ["express", "soft_opt_in"]


def test_nothing_else_reads_it() -> None:
    for asked in (lambda: named("consents"), lambda: recognise(("email", "topic", "kind", "agreed_at", "source"))):
        with pytest.raises(InvalidInput) as refused:
            asked()
        assert str(refused.value) == NO_CONSENTS
