"""Inbound texts at the door: rules.md W-1 to W-7, T-4 to T-8, S-2, S-3; reliability.md V24 to V29."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from prefs import simulate
from tests.make import BEN, MARKETING_NUMBER, SECRETS, SERVICE_NUMBER, Clock, World
from webhooks.twilio import signed_url

TOKEN = SECRETS["TWILIO_AUTH_TOKEN"]


def form(body: str = "STOP", **more: str) -> dict[str, str]:
    return simulate.text_form(SECRETS["TWILIO_ACCOUNT_SID"], BEN, MARKETING_NUMBER, body, **more)


def test_w1_the_helper_librarys_own_vector_holds() -> None:
    parameters = {
        "CallSid": "CA1234567890ABCDE",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
        "Caller": "+14158675309",
    }

    made = simulate.sign_text("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", parameters)

    assert made == {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}


@pytest.mark.parametrize("signature", [None, "", " ", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "é" * 20, "A" * 100_000])
def test_w1_a_missing_or_wrong_signature_is_403_and_stores_nothing(world: World, signature: str | None) -> None:
    headers = {} if signature is None else {"X-Twilio-Signature": signature}

    answer = world.client.post(simulate.TEXTS_PATH, data=form(), headers=headers)

    assert answer.status_code == 403
    assert world.entries() == []


@pytest.mark.parametrize("name", ["Body", "From", "To", "FromCity", "MessageSid"])
def test_w1_one_changed_parameter_breaks_the_signature(world: World, name: str) -> None:
    sent = form()
    headers = simulate.sign_text(TOKEN, world.services.base_url + simulate.TEXTS_PATH, sent)

    answer = world.client.post(simulate.TEXTS_PATH, data={**sent, name: sent[name] + "x"}, headers=headers)

    assert answer.status_code == 403


def test_w1_unknown_parameters_pass_when_they_are_signed(world: World) -> None:
    assert world.text("STOP", SomethingNew="1").status_code == 200


def test_v28_a_recut_request_signs_alike_and_is_refused(world: World) -> None:
    sent = form()
    del sent["Body"]
    recut = {**sent, "BodySTOP": ""}
    headers = simulate.sign_text(TOKEN, world.services.base_url + simulate.TEXTS_PATH, {**sent, "Body": "STOP"})

    assert world.client.post(simulate.TEXTS_PATH, data=recut, headers=headers).status_code == 403


def test_another_accounts_text_is_refused(world: World) -> None:
    assert world.post_text(form() | {"AccountSid": "AC" + "0" * 32}).status_code == 403


def test_v25_without_a_configured_credential_the_door_is_shut(build_world: Callable[..., World]) -> None:
    closed = build_world(TWILIO_AUTH_TOKEN="", SENDGRID_WEBHOOK_PUBLIC_KEY="")

    assert closed.text("STOP").status_code == 403
    assert closed.events(closed.event("unsubscribe")).status_code == 403


def test_a_second_auth_token_works_while_rotating(build_world: Callable[..., World]) -> None:
    rotating = build_world(TWILIO_AUTH_TOKEN=f"newer,{TOKEN}")

    assert rotating.text("STOP").status_code == 200


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"RAW_URI": "/webhooks/twilio/messages?a=%E2%9C%93"}, "/webhooks/twilio/messages?a=%E2%9C%93"),
        ({"REQUEST_URI": "http://internal:8000/webhooks/twilio/messages"}, "/webhooks/twilio/messages"),
        ({"RAW_URI": "/webhooks/twilio/messages#rc=2"}, "/webhooks/twilio/messages"),
    ],
)
def test_w2_the_url_is_the_configured_origin_and_the_raw_target(environ: dict[str, str], target: str) -> None:
    assert signed_url("https://prefs.example", environ, "/x") == f"https://prefs.example{target}"


@pytest.mark.parametrize(
    ("base_url", "signed"),
    [
        pytest.param("https://prefs.example", "https://prefs.example", id="behind a proxy that ends TLS"),
        pytest.param("https://prefs.example", "https://prefs.example:443", id="the usual port written out"),
        pytest.param("https://prefs.example:8443", "https://prefs.example:8443", id="another port"),
    ],
)
@pytest.mark.parametrize("query", ["", "?tenant=%E2%9C%93&x=a%20b"], ids=["plain", "percent-escapes"])
def test_w2_the_signature_holds_for_the_configured_url_whatever_proxies_say(
    build_world: Callable[..., World], base_url: str, signed: str, query: str
) -> None:
    world = build_world(PREFS_BASE_URL=base_url)
    path = simulate.TEXTS_PATH + query
    sent = form()
    headers = simulate.sign_text(TOKEN, signed + path, sent)
    forged = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "81"}

    answer = world.client.post(
        path, data=sent, headers={**headers, **forged}, base_url=base_url, environ_overrides={"RAW_URI": path}
    )

    assert answer.status_code == 200
    assert len(world.entries()) == 1


def test_w2_a_signature_over_the_forwarded_host_is_refused(build_world: Callable[..., World]) -> None:
    world = build_world(PREFS_BASE_URL="https://prefs.example", PREFS_TRUSTED_PROXY_HOPS="1")
    sent = form()
    headers = simulate.sign_text(TOKEN, "https://evil.example" + simulate.TEXTS_PATH, sent)

    answer = world.client.post(
        simulate.TEXTS_PATH,
        data=sent,
        headers={**headers, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
        base_url="https://prefs.example",
    )

    assert answer.status_code == 403


def test_w3_fifty_copies_at_once_are_one_text_one_stop_one_answer(world: World) -> None:
    sent = form()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: world.services and make_client(world).post_text(sent), range(50)))

    assert {answer.status_code for answer in answers} == {200}
    assert sum("<Message>" in answer.text for answer in answers) == 1
    assert len(world.entries()) == 1


def make_client(world: World) -> World:
    """Return the world with a test client of its own: one client is not for several threads."""
    return World(world.services, world.client.application.test_client(), world.clock, world.key)


@pytest.mark.parametrize(
    ("body", "opt_out_type"), [("STOP", ""), ("STOP", "STOP"), ("ARRETEZ", "STOP"), ("help stop", "HELP")]
)
def test_w4_a_stop_is_found_whoever_found_it(world: World, body: str, opt_out_type: str) -> None:
    world.consent()

    world.text(body, **({"OptOutType": opt_out_type} if opt_out_type else {}))

    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_w5_no_second_answer_where_the_provider_answered(world: World) -> None:
    assert "<Message>" not in world.text("STOP", OptOutType="STOP").text
    assert "<Message>" not in world.text("HELP", from_="+14155550199", to="+18005550100").text


def test_w6_with_the_database_away_the_stop_is_journalled_and_answered_503(world: World, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    world.consent()
    break_writes(world, monkeypatch)

    answer = world.text("STOP")

    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert world.decide("sms", BEN, "events")["reason"] == "unavailable"  # D24: nothing leaves meanwhile
    monkeypatch.undo()
    world.services.upkeep.run_once()
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    assert not world.services.journal.pending()


def break_writes(world: World, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from contextlib import contextmanager

    from prefs.errors import StoreUnavailable

    @contextmanager
    def away(_store):  # type: ignore[no-untyped-def]
        raise StoreUnavailable("away")
        yield

    monkeypatch.setattr(type(world.services.kit.store), "write", away)


def test_w7_whatsapp_is_its_own_channel_and_rcs_is_sms(world: World) -> None:
    world.consent()
    world.consent("whatsapp")

    world.text("STOP", from_=f"whatsapp:{BEN}")
    assert world.decide("whatsapp", BEN, "events")["reason"] == "unsubscribed"
    assert world.decide("sms", BEN, "events")["allowed"] is True

    world.text("STOP", from_=f"rcs:{BEN}")
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_a_stop_from_a_number_the_library_calls_invalid_is_kept(world: World) -> None:
    world.consent(to="+15555550100")
    world.text("STOP", from_="+15555550100")

    assert world.decide("sms", "+15555550100", "events")["reason"] == "unsubscribed"


def test_t4_a_stop_to_a_marketing_sender_leaves_service_texts(world: World) -> None:
    world.text("STOP")

    assert world.decide("sms", BEN, "account")["allowed"] is True


@pytest.mark.parametrize(
    ("today", "allowed"), [("2027-01-30T17:00:00+00:00", True), ("2027-01-31T17:00:00+00:00", False)]
)
def test_t6_from_the_set_date_any_stop_ends_every_text(
    build_world: Callable[..., World], clock: Clock, today: str, allowed: bool
) -> None:
    from datetime import datetime

    clock.at = datetime.fromisoformat(today)
    dated = build_world(PREFS_REVOKE_ALL_FROM="2027-01-31")

    dated.text("STOP")

    assert dated.decide("sms", BEN, "account")["allowed"] is allowed


def test_t6_unset_the_date_never_comes(world: World) -> None:
    world.clock.forward(days=400)

    world.text("STOP")

    assert world.decide("sms", BEN, "account")["allowed"] is True


def test_t8_a_second_stop_gets_no_second_answer_and_no_second_entry(world: World) -> None:
    first, second = world.text("STOP"), world.text("Stop!")

    assert ("<Message>" in first.text, "<Message>" in second.text) == (True, False)
    assert len(world.entries()) == 1


def test_s2_help_changes_nothing_and_says_how_to_stop(world: World) -> None:
    answer = world.text("HELP")

    assert "Reply STOP" in answer.text
    assert world.entries() == []


def test_s3_start_brings_back_what_stop_took_at_once_and_not_what_a_letter_took(world: World) -> None:
    world.consent()
    world.text("STOP")
    world.text("START")
    assert world.decide("sms", BEN, "events")["allowed"] is True

    world.text("STOP")
    world.post("/v1/suppressions", {"channel": "sms", "to": BEN, "source": "letter"})
    world.text("START")
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_s3_start_on_another_sender_brings_nothing_back(world: World) -> None:
    world.consent()
    world.text("STOP")
    world.text("START", to=SERVICE_NUMBER)

    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_d8_start_with_nothing_to_bring_back_asks_and_yes_within_a_week_agrees(world: World) -> None:
    assert world.decide("sms", BEN, "events")["reason"] == "no_consent"
    assert "reply YES" in world.text("START").text
    world.clock.forward(days=6)

    world.text("YES")

    assert world.decide("sms", BEN, "events")["allowed"] is True


def test_d8_a_yes_nobody_asked_for_is_no_consent(world: World) -> None:
    world.text("YES")

    assert world.decide("sms", BEN, "events")["reason"] == "no_consent"


def test_v29_a_start_replayed_after_a_later_stop_does_nothing(world: World) -> None:
    world.consent()
    world.text("STOP")
    start = form("START")
    world.post_text(start)
    world.clock.forward(days=1)
    world.text("STOP")

    world.clock.forward(days=365)
    assert world.post_text(start).status_code == 200

    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_t2_plain_words_hold_marketing_marked_as_inferred(world: World) -> None:
    world.consent()
    world.text("please stop texting me")

    decision = world.decide("sms", BEN, "events", explain=True)

    assert decision["reason"] == "unsubscribed"
    assert any("inferred" in step["detail"] for step in decision["steps"])


def test_d10_a_stop_from_a_european_number_objects_on_every_channel(world: World) -> None:
    number = "+4915112345678"
    world.consent("whatsapp", number)

    answer = world.text("STOP", from_=number)

    assert world.decide("whatsapp", number, "events")["reason"] == "objection"
    assert "no more marketing from us" in answer.text


def test_i01_a_start_sent_before_its_stop_is_undone(world: World) -> None:
    from datetime import timedelta

    from sqlalchemy import select

    from prefs.providers.ports import ProviderTimes
    from prefs.storage.tables import job

    object.__setattr__(world.services.inbound, "twilio_times", True)
    world.consent()
    stop, start = form("STOP"), form("START")
    world.post_text(stop)
    world.post_text(start)
    assert world.decide("sms", BEN, "events")["allowed"] is True
    with world.services.kit.store.read() as connection:
        payload = connection.execute(select(job.c.payload)).scalar_one()
    sent = {stop["MessageSid"]: world.clock.at, start["MessageSid"]: world.clock.at - timedelta(minutes=1)}

    world.services.inbound.settle_times(payload, lambda sid: ProviderTimes(sent[sid]))

    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_t7_no_answer_is_longer_than_one_part_or_leaves_gsm_7() -> None:
    from prefs.services import replies
    from prefs.services.organisation import Organisation

    longest = Organisation(
        "Northwind Imaging and Diagnostics of Sampletown Incorporated",
        "x",
        "+1 800 555 0100",
        "privacy@northwind.example",
    )
    for situation in replies.SITUATIONS:
        text = replies.word(situation, longest, reference="NW-7K3M-92QD", link="https://nwi.example/p/" + "x" * 54)
        assert len(text) <= replies.LONGEST
        assert replies.not_gsm_7(text) == []


CLARIFIES = """[[sender]]
slug = "service-sms"
channel = "sms"
message_class = "transactional"
address = "+15550100002"
clarify = true
"""


@pytest.fixture
def asking(world: World) -> World:
    """A world whose service sender asks what a STOP was meant for."""
    present = next(s for s in world.services.kit.catalogue.senders if s.address == SERVICE_NUMBER)
    world.services.kit.catalogues.apply(CLARIFIES.replace("service-sms", present.slug))
    return world


def test_t5_a_stop_to_a_service_sender_ends_every_text_and_names_another_way(world: World) -> None:
    answer = world.text("STOP", to=SERVICE_NUMBER)

    blocked = world.decide("sms", BEN, "account")
    assert (blocked["reason"], blocked["alternative"]) == ("revoked_in_reply", "postal")
    assert "no more texts from us" in answer.text


def test_t6a_asked_what_was_meant_and_no_answer_everything_stays_blocked(asking: World) -> None:
    assert "reply KEEP" in asking.text("STOP", to=SERVICE_NUMBER).text
    asking.clock.forward(days=30)

    assert asking.decide("sms", BEN, "account")["reason"] == "revoked_in_reply"


@pytest.mark.parametrize("words", ["KEEP", "keep reminders please", "Keep appointments.", "citas", "Termine"])
def test_t6a_keep_restores_appointments_and_no_marketing(asking: World, words: str) -> None:
    asking.consent()
    asking.text("STOP", to=SERVICE_NUMBER)

    asking.text(words, to=SERVICE_NUMBER)

    assert asking.decide("sms", BEN, "account")["allowed"] is True
    assert asking.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_t6a_keep_is_conversation_where_nobody_asked_or_too_long_ago(asking: World) -> None:
    asking.text("KEEP", to=SERVICE_NUMBER)
    assert asking.entries() == []
    asking.text("STOP", to=SERVICE_NUMBER)
    asking.clock.forward(days=8)

    asking.text("KEEP", to=SERVICE_NUMBER)

    assert asking.decide("sms", BEN, "account")["reason"] == "revoked_in_reply"


def test_t6a_a_stop_after_keep_stops_again(asking: World) -> None:
    for words in ("STOP", "KEEP", "STOP"):
        asking.text(words, to=SERVICE_NUMBER)
        asking.clock.forward(minutes=1)

    assert asking.decide("sms", BEN, "account")["reason"] == "revoked_in_reply"


def test_a_short_code_answers_every_stop_and_a_long_code_the_first(world: World) -> None:  # rules.md section 4
    first, second = (world.text("STOP", to="55555").text for _ in range(2))

    assert "no more" in first
    assert "already stopped" in second


def test_where_appointments_share_the_number_the_answer_does_not_promise_them(world: World) -> None:  # ux.md section 5
    for sender in world.services.kit.catalogue.senders:
        if sender.address == SERVICE_NUMBER:
            world.services.kit.catalogues.apply(
                f'[[sender]]\nslug = "{sender.slug}"\nchannel = "sms"\nmessage_class = "transactional"\n'
                f'address = "{MARKETING_NUMBER}"\n'
            )

    assert "appointment" not in world.text("STOP").text


def test_t7_after_five_minutes_nothing_is_answered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_writes(world, monkeypatch)
    world.text("STOP")
    monkeypatch.undo()
    world.clock.forward(minutes=6)

    world.services.upkeep.run_once()

    assert world.mails(BEN) == []
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


@pytest.mark.parametrize(
    ("words", "said"),
    [("ARRET", "plus de SMS"), ("ALTO", "ya no le enviamos"), ("Abmelden", "keine Werbe-SMS"), ("sair", "publicidade")],
)
def test_s4_the_answer_is_in_the_language_of_the_keyword(world: World, words: str, said: str) -> None:
    assert said in world.text(words).text


def test_the_offending_letter_of_a_setting_is_named() -> None:
    from prefs.services import replies
    from prefs.services.organisation import Organisation

    (problem,) = replies.problems(Organisation("Northwind – Imaging", "x", "555 0100", "privacy@northwind.example"))

    assert "PREFS_ORG_NAME holds “–” (U+2013)" in problem
    assert replies.problems(Organisation("Northwind Imaging", "x", "555 0100", "privacy@northwind.example")) == []


@pytest.mark.parametrize("seed", range(20))
def test_s3_stops_and_starts_in_any_order_of_arrival_are_what_the_fold_says(world: World, seed: int) -> None:
    """Texts come in some order at some times; what stands is the fold of what was written, on both senders."""
    import random

    from prefs.domain.ledger import fold

    chance = random.Random(seed)
    world.consent()
    for _ in range(6):
        world.text(
            chance.choice(["STOP", "START", "stop please", "HELP"]),
            to=chance.choice([MARKETING_NUMBER, SERVICE_NUMBER]),
        )
        world.clock.forward(seconds=chance.choice([0, 1, 60]))

    entries = world.entries()
    last = {
        to: next((e for e in reversed(entries) if e.sender == number_of(world, to)), None)
        for to in (MARKETING_NUMBER, SERVICE_NUMBER)
    }
    stopped = any(entry is not None and entry.act == "opt_out" for entry in last.values())
    assert world.decide("sms", BEN, "events")["allowed"] is not stopped
    assert any(fact.reason for fact in fold(entries)) is stopped


def number_of(world: World, address: str) -> int:
    sender = world.services.kit.catalogue.sender_receiving(address, None)
    assert sender is not None
    return sender.number
