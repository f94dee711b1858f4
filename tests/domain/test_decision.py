"""Every row of the tables of contract D9 and rules.md section 9."""

from dataclasses import replace
from datetime import timedelta

import pytest

from prefs.domain.catalogue import Topic
from prefs.domain.decision import Question, RecipientState, decide, explain
from prefs.domain.ledger import CONFIRMED, Standing
from prefs.domain.reasons import REASONS, Family, Rule
from prefs.domain.terms import Channel, ConsentKind, MessageClass, Need, Outcome, Reason
from prefs.services.catalogue import DEFAULT_NEEDS
from tests.make import NOON

OFFERS = Topic(5, "product-offers", "Offers", MessageClass.MARKETING, DEFAULT_NEEDS[MessageClass.MARKETING])
RECEIPT = Topic(9, "activity", "Activity", MessageClass.TRANSACTIONAL, DEFAULT_NEEDS[MessageClass.TRANSACTIONAL])
RECALL = Topic(11, "recall", "Recall", MessageClass.EMERGENCY, DEFAULT_NEEDS[MessageClass.EMERGENCY])


def question(channel: Channel = Channel.EMAIL, topic: Topic | None = OFFERS, **more: object) -> Question:
    kind = topic.message_class if topic else MessageClass.TRANSACTIONAL
    return Question(channel=channel, message_class=kind, at=NOON, topic=topic, brand=1, sender=20, **more)  # type: ignore[arg-type]


def fact(
    word: str, *, scope: int = 0, channel: Channel | None = Channel.EMAIL, days: int = -1, **more: object
) -> Standing:
    return Standing(channel, scope, word, 1, NOON + timedelta(days=days), **more)  # type: ignore[arg-type]


def state(*facts: Standing, **more: object) -> RecipientState:
    return RecipientState(tuple(facts), **more)  # type: ignore[arg-type]


STOPS = [reason for reason, row in REASONS.items() if row.family is Family.SUPPRESSION]


@pytest.mark.parametrize("reason", [reason for reason, row in REASONS.items() if row.family is not Family.ANSWER])
def test_every_stored_reason_blocks_marketing_on_its_channels(reason: Reason) -> None:
    row = REASONS[reason]
    channel = next(iter(row.channels), Channel.EMAIL)
    consent = fact("express", scope=5, channel=channel, days=-9)

    found = decide(question(channel), state(consent, fact(reason, channel=channel)))

    assert (found.outcome, found.reason) == (Outcome.BLOCKED, reason)


@pytest.mark.parametrize(
    ("reason", "flag", "topic", "blocked"),
    [
        pytest.param("unsubscribed", None, RECEIPT, False, id="a marketing stop lets the receipt through"),
        pytest.param("objection", None, RECEIPT, False, id="an objection does"),
        pytest.param("complaint", None, RECEIPT, False, id="a complaint does"),
        pytest.param("snoozed", None, RECEIPT, False, id="a pause does"),
        pytest.param("erased", None, RECEIPT, False, id="an erasure does"),
        pytest.param("restricted", None, RECEIPT, False, id="G-4: a restriction nobody checked does"),
        pytest.param("restricted", CONFIRMED, RECEIPT, True, id="G-4: a confirmed restriction blocks"),
        pytest.param("restricted", CONFIRMED, replace(RECEIPT, essential=True), False, id="but not the essential"),
        pytest.param("do_not_contact", None, RECEIPT, True, id="do_not_contact blocks"),
        pytest.param("hard_bounce", None, RECEIPT, True, id="a dead address blocks"),
        pytest.param("do_not_contact", None, RECALL, False, id="an emergency passes all"),
    ],
)
def test_transactional_follows_its_own_column(reason: str, flag: str | None, topic: Topic, blocked: bool) -> None:
    found = decide(question(topic=topic), state(fact(reason, flag=flag)))

    assert found.allowed is not blocked


def test_a_stop_to_a_service_number_blocks_every_text_until_that_topic_is_let_in_again() -> None:  # rules.md T-5
    stop = fact("revoked_in_reply", channel=Channel.SMS, sender=21)
    again = fact("own_act", channel=Channel.SMS, scope=9, days=0)

    assert decide(question(Channel.SMS, RECEIPT), state(stop)).reason is Reason.REVOKED_IN_REPLY
    assert decide(question(Channel.SMS, RECEIPT), state(stop, again)).allowed


def test_a_provider_block_stops_marketing_on_the_channel_and_service_texts_on_that_sender_only() -> None:
    block = fact("provider_block", channel=Channel.SMS, scope=20, sender=20)
    consent = fact("express", channel=Channel.SMS, scope=5)

    assert decide(question(Channel.SMS), state(consent, block)).reason is Reason.PROVIDER_BLOCK
    assert decide(question(Channel.SMS, RECEIPT), state(block)).reason is Reason.PROVIDER_BLOCK
    assert decide(replace(question(Channel.SMS, RECEIPT), sender=33), state(block)).allowed


@pytest.mark.parametrize(
    ("channel", "country", "facts", "expected"),
    [
        pytest.param(Channel.EMAIL, None, [], None, id="email asks for no consent"),
        pytest.param(Channel.EMAIL, "DE", [], Reason.NO_CONSENT, id="in the EEA it does"),
        pytest.param(Channel.EMAIL, "GB", [], Reason.NO_CONSENT, id="in the UK it does"),
        pytest.param(Channel.EMAIL, "CA", [], Reason.NO_CONSENT, id="in Canada it does"),
        pytest.param(Channel.EMAIL, "DE", ["soft_opt_in"], None, id="soft opt-in counts in the EEA"),
        pytest.param(Channel.EMAIL, "CA", ["soft_opt_in"], Reason.NO_CONSENT, id="and not in Canada"),
        pytest.param(Channel.EMAIL, "CA", ["implied"], None, id="implied counts in Canada"),
        pytest.param(Channel.EMAIL, "DE", ["implied"], Reason.NO_CONSENT, id="and not in the EEA"),
        pytest.param(Channel.SMS, None, [], Reason.NO_CONSENT, id="texts always ask"),
        pytest.param(Channel.SMS, "DE", ["soft_opt_in"], Reason.NO_CONSENT, id="soft opt-in never for texts"),
        pytest.param(Channel.SMS, None, ["express"], None, id="express counts everywhere"),
        pytest.param(Channel.SMS, None, ["pending"], Reason.CONSENT_PENDING, id="an unconfirmed one is pending"),
        pytest.param(Channel.PUSH, None, [], Reason.NO_CONSENT, id="P-1: push without opt-in"),
    ],
)
def test_consent_is_asked_for_where_the_law_and_the_topic_do(
    channel: Channel, country: str | None, facts: list[str], expected: Reason | None
) -> None:
    given = [fact(word, scope=5, channel=channel) for word in facts]

    assert decide(question(channel, country=country), state(*given)).reason is expected


def test_an_expired_consent_says_so_from_the_very_moment() -> None:  # rules.md K-1
    consent = fact("express", channel=Channel.SMS, scope=5, until=NOON)

    assert decide(question(Channel.SMS), state(consent)).reason is Reason.CONSENT_EXPIRED


def test_push_blocks_service_messages_too_without_an_opt_in() -> None:  # rules.md P-1, section 9
    assert decide(question(Channel.PUSH, RECEIPT), state()).reason is Reason.NO_CONSENT
    assert decide(question(Channel.PUSH, None), state()).reason is Reason.NO_CONSENT


def test_a_pause_ends_by_itself_and_a_stop_beneath_it_stays() -> None:  # invariant I11
    pause = fact("snoozed", until=NOON)
    assert decide(question(), state(pause)).allowed

    assert decide(question(), state(pause, fact("unsubscribed"))).reason is Reason.UNSUBSCRIBED


def test_marketing_is_blocked_and_service_unverified_while_the_store_is_away() -> None:  # contract section 7
    away = state(available=False)

    assert decide(question(), away).reason is Reason.UNAVAILABLE
    service = decide(question(topic=RECEIPT), away)
    assert (service.allowed, service.verified) == (True, False)


@pytest.mark.parametrize("topic", [OFFERS, RECEIPT, RECALL])
def test_no_address_no_message(topic: Topic) -> None:
    assert decide(question(topic=topic), state(parsable=False)).reason is Reason.INVALID_ADDRESS


@pytest.mark.parametrize(
    ("stop", "rule"),
    [
        (fact("unsubscribed", channel=None), Rule.STOPPED_ALL),
        (fact("unsubscribed"), Rule.STOPPED_CHANNEL),
        (fact("unsubscribed", scope=5), Rule.STOPPED_TOPIC),
        (fact("unsubscribed", scope=1), Rule.STOPPED_TOPIC),
        (fact("restricted"), Rule.ERASED_OR_RESTRICTED),
        (fact("hard_bounce"), Rule.ADDRESS_WORKING),
    ],
)
def test_one_rung_decides_and_later_ones_are_skipped(stop: Standing, rule: Rule) -> None:  # contract D14
    decision, steps = explain(question(), state(stop))

    assert decision.rule is rule
    assert [step.rule for step in steps] == list(Rule)
    results = [step.result for step in steps]
    at = results.index("block")
    assert steps[at].rule is rule
    assert set(results[:at]) == {"pass"}
    assert set(results[at + 1 :]) <= {"skip"}


@pytest.mark.parametrize("scope", [4, 2, 33])
def test_a_stop_of_another_topic_brand_or_sender_does_not_reach(scope: int) -> None:
    assert decide(question(), state(fact("unsubscribed", scope=scope))).allowed


def test_without_a_known_sender_any_stop_on_a_sender_blocks() -> None:  # contract D5
    stop = fact("unsubscribed", scope=33, sender=33)

    assert decide(replace(question(), sender=None), state(stop)).reason is Reason.UNSUBSCRIBED


@pytest.mark.parametrize("kind", [ConsentKind.IMPLIED, ConsentKind.SOFT_OPT_IN, ConsentKind.PENDING])
def test_weak_consents_never_outrank_a_stop(kind: ConsentKind) -> None:  # rules.md K-2, contract D12
    later = fact(kind, scope=5, days=0)

    assert decide(question(country="CA"), state(fact("unsubscribed"), later)).reason is Reason.UNSUBSCRIBED


def test_needs_can_ask_for_more_but_never_for_less_than_the_region() -> None:  # contract D11
    strict = replace(OFFERS, needs={Channel.EMAIL: Need.CONSENT})

    assert decide(question(topic=strict), state()).reason is Reason.NO_CONSENT
    assert decide(question(country="FR"), state()).reason is Reason.NO_CONSENT


def test_t6_exempt_topics_survive_a_revoke_all_but_not_a_stop_to_a_service_number() -> None:
    exempt = replace(RECEIPT, exempt=True)
    from_the_date = fact("revoked_in_reply", channel=Channel.SMS, flag="revoke_all")
    to_a_service_number = fact("revoked_in_reply", channel=Channel.SMS)

    assert decide(question(Channel.SMS, exempt), state(from_the_date)).allowed
    assert not decide(question(Channel.SMS, RECEIPT), state(from_the_date)).allowed
    assert not decide(question(Channel.SMS, exempt), state(to_a_service_number)).allowed
