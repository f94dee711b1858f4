"""The real SDKs against the double: what goes out, and what each kind of failure means."""

import pytest

from prefs.domain.terms import MessageClass
from prefs.errors import InvalidInput, ProviderError
from prefs.providers.sendgrid import SendGridEmail
from prefs.providers.twilio import TwilioTexts
from tests.double.provider import ACCOUNT, SENDGRID_KEY, TOKEN, ProviderDouble
from tests.double.specs import _email, _text

SERVICE = "MG" + "2" * 32


@pytest.fixture
def texts(double: ProviderDouble) -> TwilioTexts:
    return TwilioTexts(ACCOUNT, TOKEN, base_url=double.url)


@pytest.fixture
def mails(double: ProviderDouble) -> SendGridEmail:
    return SendGridEmail(SENDGRID_KEY, base_url=double.url)


def test_a_text_goes_out_by_its_service_or_its_number(double: ProviderDouble, texts: TwilioTexts) -> None:
    for sender in (SERVICE, "+15005550006"):
        assert texts.send_text(_text(sender)).provider_id is not None

    by_service, by_number = double.messages
    assert (by_service["messaging_service_sid"], by_service["from"]) == (SERVICE, None)
    assert by_number["from"] == "+15005550006"
    assert b"ValidityPeriod=900" in double.requests[0].body


def test_the_providers_own_time_of_a_text_is_read(texts: TwilioTexts) -> None:
    sid = texts.send_text(_text(SERVICE)).provider_id

    sent = texts.message_times(str(sid)).sent_at

    assert sent is not None
    assert sent.isoformat() == "2026-11-24T17:00:00+00:00"


def test_an_opted_out_number_is_refused_for_good_with_its_code(double: ProviderDouble, texts: TwilioTexts) -> None:
    double.opt_out("+14155550123", SERVICE)

    with pytest.raises(ProviderError) as refusal:
        texts.send_text(_text(SERVICE))

    assert (refusal.value.permanent, refusal.value.provider_code) == (True, "21610")
    assert "4155550123" not in str(refusal.value)


@pytest.mark.parametrize(
    ("how", "permanent", "unknown"),
    [
        ({"status": 429}, False, False),
        ({"status": 503}, False, True),
        ({"status": 401}, True, False),
        ({"drop": "before"}, False, True),
        ({"drop": "after"}, False, True),
    ],
)
@pytest.mark.parametrize("provider", ["twilio", "sendgrid"])
def test_each_failure_says_whether_to_try_again_and_whether_it_may_have_gone_out(
    double: ProviderDouble,
    texts: TwilioTexts,
    mails: SendGridEmail,
    provider: str,
    how: dict[str, object],
    permanent: bool,
    unknown: bool,
) -> None:
    double.fail_next(provider, **how)

    send = {
        "twilio": lambda: texts.send_text(_text(SERVICE)),
        "sendgrid": lambda: mails.send_email(_email(MessageClass.MARKETING, None)),
    }

    with pytest.raises(ProviderError) as refusal:
        send[provider]()

    assert (refusal.value.permanent, refusal.value.unknown) == (permanent, unknown)


def test_nobody_listening_means_it_did_not_go_out() -> None:
    for send in (
        lambda: TwilioTexts(ACCOUNT, TOKEN, base_url="http://127.0.0.1:9").send_text(_text(SERVICE)),
        lambda: SendGridEmail(SENDGRID_KEY, base_url="http://127.0.0.1:9").send_email(
            _email(MessageClass.MARKETING, None)
        ),
    ):
        with pytest.raises(ProviderError) as refusal:
            send()
        assert (refusal.value.permanent, refusal.value.unknown) == (False, False)


def test_m7_marketing_mail_has_its_headers_per_person_and_tracking_off(
    double: ProviderDouble, mails: SendGridEmail
) -> None:
    mails.send_email(_email(MessageClass.MARKETING, "<p>x</p>"))

    (mail,) = double.mails
    (person,) = mail["personalizations"]
    assert person["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["tracking_settings"]["subscription_tracking"] == {"enable": False}
    assert "mail_settings" not in mail
    assert person["custom_args"] == {"message_id": "msg_1"}


def test_m8_service_mail_has_exactly_the_one_bypass_and_marketing_can_never(
    double: ProviderDouble, mails: SendGridEmail
) -> None:
    from dataclasses import replace

    mails.send_email(_email(MessageClass.TRANSACTIONAL, None))
    assert double.mails[0]["mail_settings"] == {"bypass_unsubscribe_management": {"enable": True}}

    with pytest.raises(InvalidInput):
        mails.send_email(replace(_email(MessageClass.MARKETING, None), bypass_unsubscribes=True))
    assert len(double.mails) == 1


def test_the_sdks_log_neither_numbers_nor_keys(
    double: ProviderDouble, texts: TwilioTexts, mails: SendGridEmail, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        texts.send_text(_text(SERVICE))
        mails.send_email(_email(MessageClass.MARKETING, None))

    assert not any(secret in caplog.text for secret in ("4155550123", "ada@example.com", SENDGRID_KEY))
