"""The gateway: nothing leaves after an opt-out, nothing leaves twice (R7, I05, I06, I19, I20, W-9)."""

import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from prefs.domain.terms import Channel
from prefs.errors import ProviderError, StoreUnavailable
from prefs.providers.ports import OutgoingEmail, OutgoingText, Receipt
from prefs.services.sending import MessageRequest, Sending
from tests.make import ADA, BEN, World
from tests.webhooks.test_twilio import make_client


@dataclass
class Carrier:
    """A provider that does as it is told."""

    fails: list[Exception] = field(default_factory=list)
    taken: list[OutgoingEmail | OutgoingText] = field(default_factory=list)

    def send_email(self, email: OutgoingEmail) -> Receipt:
        return self._take(email)

    def send_text(self, text: OutgoingText) -> Receipt:
        return self._take(text)

    def _take(self, message: OutgoingEmail | OutgoingText) -> Receipt:
        if self.fails:
            raise self.fails.pop(0)
        self.taken.append(message)
        return Receipt(f"id-{len(self.taken)}")


@pytest.fixture
def carrier(world: World) -> Carrier:
    made = Carrier()
    object.__setattr__(world.services.sending, "email", made)
    object.__setattr__(world.services.sending, "texts", made)
    return made


def send(world: World, topic: str = "product-offers", to: str = ADA, channel: str = "email") -> str:
    request = MessageRequest(channel=Channel(channel), to=to, topic=topic, subject="S", text="T")
    return world.services.sending.accept(request).id


def status(world: World, message: str) -> str:
    return world.services.sending.status(message).status


def test_an_opt_out_between_acceptance_and_hand_over_holds(world: World, carrier: Carrier) -> None:  # promise 2
    message = send(world)
    world.client.post(world.link())

    world.services.sending.hand_over_due()

    assert (status(world, message), carrier.taken) == ("blocked", [])


def test_a_stop_racing_a_batch_of_messages_never_loses(world: World, carrier: Carrier) -> None:  # I05, I06
    people = [f"p{number}@example.com" for number in range(120)]
    for person in people:
        send(world, to=person)
    links = {person: world.link(person) for person in people}
    acknowledged: dict[str, int] = {}

    def opt_out() -> None:
        mine = make_client(world)
        for person in reversed(people):
            assert mine.client.post(links[person]).status_code == 200
            acknowledged[person] = len(carrier.taken)

    thread = threading.Thread(target=opt_out)
    thread.start()
    while world.services.sending.hand_over_due(10):
        pass
    thread.join()

    order = [mail.to for mail in carrier.taken if isinstance(mail, OutgoingEmail)]
    # A hand-over may be under way when the opt-out is answered; one that starts later may not.
    late = [person for person in order if order.index(person) > acknowledged[person] + 1]
    assert late == []
    assert len(order) < len(people)


@pytest.mark.parametrize(("topic", "lost_status", "times"), [("product-offers", "unknown", 0), ("activity", "sent", 1)])
def test_i19_a_worker_that_vanished_leaves_marketing_unknown_and_sends_service_again(
    world: World, carrier: Carrier, topic: str, lost_status: str, times: int
) -> None:
    message = send(world, topic)
    assert world.services.sending._claim(message) is not None  # and then the worker dies
    world.clock.forward(seconds=61)

    world.services.sending.hand_over_due()

    assert (status(world, message), len(carrier.taken)) == (lost_status, times)


def test_i20_a_claim_that_grew_old_is_given_back_instead_of_sent(world: World, carrier: Carrier) -> None:
    message = send(world)
    claimed = world.services.sending._claim(message)
    assert claimed is not None
    world.clock.forward(seconds=6)
    world.client.post(world.link())

    world.services.sending._hand_over(claimed)
    world.services.sending.hand_over_due()

    assert (status(world, message), carrier.taken) == ("blocked", [])


def test_i20_a_worker_that_was_overtaken_reports_nothing(world: World, carrier: Carrier) -> None:
    message = send(world, "activity")
    claimed = world.services.sending._claim(message)
    assert claimed is not None
    world.clock.forward(seconds=61)
    world.services.sending.hand_over_due()
    assert status(world, message) == "sent"

    world.services.sending._record(claimed, "failed")

    assert status(world, message) == "sent"


@pytest.mark.parametrize(
    ("error", "topic", "expected"),
    [
        (ProviderError("x", permanent=True), "product-offers", "failed"),
        (ProviderError("x", permanent=False), "product-offers", "queued"),
        (ProviderError("x", permanent=False, unknown=True), "product-offers", "unknown"),
        (ProviderError("x", permanent=False, unknown=True), "activity", "queued"),
    ],
)
def test_what_a_refusal_means_for_the_message(
    world: World, carrier: Carrier, error: ProviderError, topic: str, expected: str
) -> None:
    carrier.fails.append(error)
    message = send(world, topic)

    world.services.sending.hand_over_due()

    assert status(world, message) == expected


def test_a_retry_asks_again(world: World, carrier: Carrier) -> None:
    carrier.fails.append(ProviderError("x", permanent=False))
    message = send(world)
    world.services.sending.hand_over_due()
    world.client.post(world.link())
    world.clock.forward(minutes=5)

    world.services.sending.hand_over_due()

    assert (status(world, message), carrier.taken) == ("blocked", [])


def test_w9_an_opt_out_only_the_provider_knew_becomes_ours(world: World, carrier: Carrier) -> None:
    world.consent()
    carrier.fails.append(ProviderError("x", permanent=True, provider_code="21610"))
    message = send(world, "events", BEN, "sms")

    world.services.sending.hand_over_due()

    assert status(world, message) == "blocked"
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_w9_on_a_service_sender_it_names_another_way_and_leaves_marketing_choices_alone(
    world: World, carrier: Carrier
) -> None:
    carrier.fails.append(ProviderError("x", permanent=True, provider_code="21610"))
    message = send(world, "account", BEN, "sms")

    world.services.sending.hand_over_due()

    assert world.services.sending.status(message).alternative == "email"
    assert world.decide("sms", BEN, "account")["reason"] == "provider_block"
    assert world.get(f"/v1/suppressions?channel=sms&to=%2B{BEN[1:]}").json["data"] == []


def test_a_start_ends_the_providers_block_too(world: World, carrier: Carrier) -> None:  # contract D9
    carrier.fails.append(ProviderError("x", permanent=True, provider_code="21610"))
    send(world, "account", BEN, "sms")
    world.services.sending.hand_over_due()

    world.text("START", to="+15550100002")

    assert world.decide("sms", BEN, "account")["allowed"] is True


def test_m8_only_service_mail_passes_by_the_providers_unsubscribes(world: World, carrier: Carrier) -> None:
    send(world), send(world, "activity")
    world.services.sending.hand_over_due()

    offer, receipt = carrier.taken
    assert isinstance(offer, OutgoingEmail)
    assert isinstance(receipt, OutgoingEmail)
    assert (offer.bypass_unsubscribes, receipt.bypass_unsubscribes) == (False, True)
    assert set(offer.custom_args) == {"message_id"}
    assert offer.sender != receipt.sender


def test_a_message_for_later_waits_and_asks_then(world: World, carrier: Carrier) -> None:
    request = MessageRequest(
        channel=Channel.EMAIL,
        to=ADA,
        topic="events",
        subject="S",
        text="T",
        send_at=world.clock.at + timedelta(hours=1),
    )
    message = world.services.sending.accept(request).id
    world.services.sending.hand_over_due()
    assert status(world, message) == "queued"

    world.clock.forward(hours=2)
    world.services.sending.hand_over_due()

    assert status(world, message) == "sent"


def test_with_the_store_away_everything_stays_queued(
    world: World, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.webhooks.test_twilio import break_writes

    message = send(world)
    break_writes(world, monkeypatch)
    with pytest.raises(StoreUnavailable):
        world.services.sending.hand_over_due()
    monkeypatch.undo()

    assert (status(world, message), carrier.taken) == ("queued", [])


@pytest.mark.parametrize("report", [["delivered", "sent"], ["sent", "delivered", "delivered"], ["weird", "delivered"]])
def test_w8_reports_in_any_order_never_move_back(world: World, carrier: Carrier, report: list[str]) -> None:
    message = send(world, "account", BEN, "sms")
    world.services.sending.hand_over_due()
    for word in report:
        world.services.sending.report("id-1", word, "99999")

    assert status(world, message) == "delivered"
    assert world.entries() == []


REPORTED = [
    pytest.param("21610", "unsubscribed", "provider_block", id="an opt-out the provider holds"),
    pytest.param("63014", "unsubscribed", "provider_block", id="blocked by the person"),
    pytest.param("21211", "invalid_address", "invalid_address", id="no number"),
    pytest.param("21614", "not_sms_capable", "not_sms_capable", id="not a mobile"),
    pytest.param("21635", "not_sms_capable", "not_sms_capable", id="a landline"),
    pytest.param("30006", "not_sms_capable", "not_sms_capable", id="unreachable carrier"),
    pytest.param("30005", "number_reassigned", "number_reassigned", id="in nobody's hands: the consent is stale too"),
    pytest.param("30003", None, None, id="out of reach once"),
    pytest.param("30004", None, None, id="blocked message"),
    pytest.param("30007", None, None, id="filtered: our own fault"),
    pytest.param("63017", None, None, id="our rate limit"),
    pytest.param("99999", None, None, id="unknown"),
]


@pytest.mark.parametrize(("code", "marketing", "service"), REPORTED)
def test_w8_w9_each_code_of_a_delivery_report_teaches_what_its_row_says(
    world: World, carrier: Carrier, code: str, marketing: str | None, service: str | None
) -> None:
    for topic, expected in (("events", marketing), ("account", service)):
        world.consent()
        sent = send(world, topic, BEN, "sms")
        world.services.sending.hand_over_due()
        world.services.sending.report(f"id-{len(carrier.taken)}", "undelivered", code)

        assert status(world, sent) in {"failed", "queued"}
        assert world.decide("sms", BEN, topic)["reason"] == expected
        forget(world)


def forget(world: World) -> None:
    """End everything on record about Ben, so that the next topic starts afresh."""
    from sqlalchemy import delete

    from prefs.storage.tables import address, message, message_event, standing

    with world.services.kit.store.write() as connection:
        for table in (message_event, message, standing, address):
            connection.execute(delete(table))


def test_a_number_out_of_reach_on_three_days_is_bad_and_on_two_is_not(world: World, carrier: Carrier) -> None:
    for expected in (None, None, "invalid_address"):
        send(world, "account", BEN, "sms")
        world.services.sending.hand_over_due()
        for _ in range(3):
            world.services.sending.report(f"id-{len(carrier.taken)}", "undelivered", "30003")
        assert world.decide("sms", BEN, "account")["reason"] == expected
        world.clock.forward(days=1)


def test_a_full_queue_sends_again_and_asks_again_first(world: World, carrier: Carrier) -> None:  # rules.md 5.5, 30001
    world.consent()
    first = send(world, "events", BEN, "sms")
    world.services.sending.hand_over_due()
    for _ in range(2):
        world.services.sending.report("id-1", "undelivered", "30001")
    assert status(world, first) == "queued"
    world.text("STOP")
    world.clock.forward(minutes=11)

    world.services.sending.hand_over_due()

    assert (status(world, first), len(carrier.taken)) == ("blocked", 1)


def test_caller_placeholders_are_filled_and_nothing_else_is_a_template(world: World, carrier: Carrier) -> None:  # V18
    request = MessageRequest(
        channel=Channel.EMAIL, to=ADA, topic="events", subject="{{7*7}}", text="{{7*7}} {{unsubscribe_url}} ${7*7}"
    )
    world.services.sending.accept(request)
    world.services.sending.hand_over_due()

    (mail,) = carrier.taken
    assert isinstance(mail, OutgoingEmail)
    assert mail.subject == "{{7*7}}"
    assert mail.text.startswith("{{7*7}} http://127.0.0.1:8080/u/")
    assert mail.text.endswith(" ${7*7}")


def test_sending_has_no_second_path_to_a_provider() -> None:
    import inspect

    source = inspect.getsource(Sending)

    assert source.count(".send_email(") == 1
    assert source.count(".send_text(") == 1
