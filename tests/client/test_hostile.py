"""What the client makes of a peer without manners: in time, whole, unambiguous, or not at all."""

import json
import os
import socket
import ssl
import threading
import time
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from prefs.client import (
    Client,
    Conflict,
    NewSuppression,
    OddAnswer,
    Patience,
    Problem,
    Refused,
    ServerFailed,
    TimedOut,
    TooManyRequests,
    Unavailable,
    Unreachable,
)
from prefs.client.transport import _Deadline
from tests.client import asking
from tests.client.asking import KEY, QUICK
from tests.double.hostile import (
    Behaviour,
    Hostile,
    answer,
    cut,
    decision,
    echo_decision,
    flood,
    hang,
    problem,
    then_close,
    trickle,
)
from tests.make import ADA

QUESTION = ("decide", "email", ADA)
ask = partial(asking.ask, patience=QUICK)
SUPPRESSION = {
    "id": "sup_1",
    "channel": "email",
    "to": ADA,
    "contact": None,
    "scope": "all",
    "reason": "unsubscribed",
    "source": "api",
    "since": "2026-11-24T12:00:00Z",
    "until": None,
    "exceptions": [],
}
CONTACT = {"external_id": "c", "locale": None, "country": None, "time_zone": None, "addresses": []}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def decide(kind: str, hostile: Hostile, **more: Any) -> Any:
    return ask(kind, hostile.url, *QUESTION, topic="events", **more)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(hang(), id="silence"),
        pytest.param(trickle(HEAD + b"Content-Length: 9999\r\n\r\n" + b" " * 200), id="headers byte by byte"),
        pytest.param(trickle(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200), id="a header without end"),
    ],
)
def test_an_attempt_ends_in_time_whatever_the_other_side_does(
    hostile: Hostile, kind: str, behaviour: Behaviour
) -> None:
    hostile.will(behaviour)
    began = time.monotonic()

    with pytest.raises(TimedOut):
        decide(kind, hostile, patience=Patience(answer=0.4, attempts=1))

    assert time.monotonic() - began < 3


def test_a_body_byte_by_byte_ends_in_time_too(hostile: Hostile, kind: str) -> None:
    def slow_body(peer: socket.socket, asked: bytes) -> bool:
        peer.sendall(HEAD + b"Content-Length: 9999\r\n\r\n")
        return trickle(b" " * 200)(peer, asked)

    hostile.will(slow_body)
    began = time.monotonic()

    with pytest.raises(TimedOut):
        decide(kind, hostile, patience=Patience(answer=0.4, attempts=1))

    assert time.monotonic() - began < 3


def test_a_decision_takes_no_longer_than_the_patience_says(hostile: Hostile, kind: str) -> None:
    hostile.will(hang())
    patience = Patience(connect=0.2, answer=0.3, attempts=3, first_wait=0.05, longest_wait=0.1)
    began = time.monotonic()

    with pytest.raises(TimedOut):
        decide(kind, hostile, patience=patience)

    assert time.monotonic() - began < patience.longest + 2
    assert len(hostile.asked) == 3


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(cut(), id="no answer"),
        pytest.param(cut(HEAD + b"Content-Length: 500\r\n\r\n" + b'{"allowed":true}'), id="cut in the body"),
        pytest.param(cut(b"HTTP/1.1 200 O"), id="cut in the first line"),
        pytest.param(cut(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}   \r\n"), id="cut between chunks"),
        pytest.param(hang(), id="silence"),
        pytest.param(answer("oops", 500, "text/html"), id="500"),
        pytest.param(problem(503, "unavailable", Retry_After="0"), id="503"),
        pytest.param(problem(429, "too_many_requests", Retry_After="0"), id="429"),
    ],
)
def test_a_decision_is_tried_again(hostile: Hostile, kind: str, first: Behaviour) -> None:
    hostile.will(first, echo_decision())

    assert decide(kind, hostile).allowed is True
    assert len(hostile.asked) == 2


def test_a_change_is_tried_again_under_one_idempotency_key(hostile: Hostile, kind: str) -> None:
    hostile.will(cut(), problem(500, "internal_error"), answer(SUPPRESSION, 201))

    assert ask(kind, hostile.url, "suppress", "email", ADA).created is True

    keys = [asked.headers["idempotency-key"] for asked in hostile.asked]
    assert (len(keys), len(set(keys))) == (3, 1)
    assert len({asked.body for asked in hostile.asked}) == 1


def test_two_changes_never_share_a_key(hostile: Hostile, kind: str) -> None:
    hostile.will(answer(SUPPRESSION, 201))

    ask(kind, hostile.url, "suppress", "email", ADA)
    ask(kind, hostile.url, "suppress", "email", ADA)

    assert len({asked.headers["idempotency-key"] for asked in hostile.asked}) == 2


@pytest.mark.parametrize(
    "first", [cut(), problem(503, "unavailable", Retry_After="0"), hang()], ids=["cut", "unavailable", "hung"]
)
def test_what_has_no_idempotency_key_is_never_tried_again(hostile: Hostile, kind: str, first: Behaviour) -> None:
    hostile.will(first, answer(CONTACT))

    with pytest.raises(Unavailable):
        ask(kind, hostile.url, "save_contact", "c")

    assert len(hostile.asked) == 1


def test_our_own_earlier_try_that_still_runs_is_waited_for(hostile: Hostile, kind: str) -> None:  # contract D26
    hostile.will(problem(409, "still_running", Retry_After="1"), answer(SUPPRESSION, 200))
    began = time.monotonic()

    assert ask(kind, hostile.url, "suppress", "email", ADA).created is False
    assert time.monotonic() - began >= 1


def test_a_conflict_is_not_tried_again(hostile: Hostile, kind: str) -> None:
    hostile.will(problem(409, "later_opt_out"))

    with pytest.raises(Conflict):
        ask(kind, hostile.url, "consent", "email", ADA, "events", source="form")

    assert len(hostile.asked) == 1


def test_nobody_is_asked_sooner_than_they_said(hostile: Hostile, kind: str) -> None:
    hostile.will(problem(429, "too_many_requests", Retry_After="30"))

    with pytest.raises(TooManyRequests) as caught:
        decide(kind, hostile)

    assert (caught.value.retry_after, len(hostile.asked)) == (30, 1)


def test_retry_after_may_be_a_date(hostile: Hostile, kind: str) -> None:  # RFC 9110 section 10.2.3
    hostile.will(problem(503, "unavailable", Retry_After=formatdate(time.time() + 100, usegmt=True)))

    with pytest.raises(ServerFailed) as caught:
        decide(kind, hostile)

    assert caught.value.retry_after is not None
    assert 90 < caught.value.retry_after <= 101


@pytest.mark.parametrize("nonsense", ["soon", "-5", "٣", "Tue, 99 Foo 2026"])
def test_a_retry_after_that_says_nothing_is_none(hostile: Hostile, kind: str, nonsense: str) -> None:
    def run(peer: socket.socket, _: bytes) -> bool:
        head = f"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: {nonsense}\r\n\r\n"
        peer.sendall(head.encode())
        return True

    hostile.will(run, echo_decision())

    assert decide(kind, hostile).allowed is True


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(hostile: Hostile, kind: str, status: int) -> None:
    hostile.will(answer("", status, Location=f"{hostile.url}/elsewhere"))

    with pytest.raises(OddAnswer, match="never followed"):
        decide(kind, hostile)

    assert [asked.line for asked in hostile.asked] == ["POST /v1/decisions HTTP/1.1"]


def test_an_answer_without_end_is_left_behind(hostile: Hostile, kind: str) -> None:
    hostile.will(flood(64 * 1024 * 1024))

    with pytest.raises(OddAnswer, match="larger"):
        decide(kind, hostile, patience=Patience(answer=20))


ALLOWED = decision({"channel": "email", "to": ADA, "topic": "events"})


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answer(ALLOWED, kind="text/html"), id="wrong content type"),
        pytest.param(answer(ALLOWED, kind="application/json-seq"), id="nearly the content type"),
        pytest.param(answer(ALLOWED, Content_Encoding="gzip"), id="an encoding we did not ask for"),
        pytest.param(answer(ALLOWED, 201), id="another success"),
        pytest.param(answer("", 204), id="no content"),
        pytest.param(answer("{"), id="broken JSON"),
        pytest.param(answer(""), id="empty"),
        pytest.param(answer("true"), id="not an object"),
        pytest.param(answer([ALLOWED]), id="a list"),
        pytest.param(answer("[" * 100_000), id="too deep"),
        pytest.param(answer('{"allowed":false,' + json.dumps(ALLOWED)[1:]), id="a name twice"),
        pytest.param(answer('{"more":NaN,' + json.dumps(ALLOWED)[1:]), id="NaN"),
        pytest.param(answer("<h1>Not found</h1>", 404, "text/html"), id="somebody else's 404"),
        pytest.param(answer("{}", 404, "application/problem+json"), id="a problem without a code"),
        pytest.param(echo_decision(allowed="true"), id="allowed is a text"),
        pytest.param(echo_decision(allowed=1), id="allowed is a number"),
        pytest.param(echo_decision(allowed=None), id="allowed is null"),
        pytest.param(echo_decision(allowed=...), id="allowed is missing"),
        pytest.param(echo_decision(outcome="blocked"), id="allowed but blocked"),
        pytest.param(echo_decision(allowed=False), id="not allowed but allowed"),
        pytest.param(echo_decision(outcome="maybe"), id="an outcome nobody knows"),
        pytest.param(echo_decision(allowed=False, outcome="deferred"), id="deferred for ever"),
        pytest.param(echo_decision(allowed=False, outcome="deferred", not_before="soon"), id="no time"),
        pytest.param(
            echo_decision(allowed=False, outcome="deferred", not_before="2026-11-24T12:00:00"), id="a time without zone"
        ),
        pytest.param(echo_decision(verified="no"), id="verified is a text"),
        pytest.param(echo_decision(to="ben@example.com"), id="about somebody else"),
        pytest.param(echo_decision(topic="account"), id="about another topic"),
        pytest.param(echo_decision(channel="sms"), id="about another channel"),
        pytest.param(echo_decision(ledger_position=True), id="a position that is none"),
        pytest.param(echo_decision(steps={}), id="steps are no list"),
        pytest.param(echo_decision(links={"unsubscribe": 1}), id="links are no texts"),
    ],
)
def test_an_odd_answer_is_no_answer_and_is_not_asked_for_again(
    hostile: Hostile, kind: str, behaviour: Behaviour
) -> None:
    hostile.will(behaviour)

    with pytest.raises(OddAnswer) as caught:
        decide(kind, hostile)

    assert len(hostile.asked) == 1
    assert ADA not in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([ADA], id="too few"),
        pytest.param([ADA, "b@example.com", ADA], id="too many"),
        pytest.param(["b@example.com", ADA], id="another order"),
    ],
)
def test_a_batch_that_is_about_others_is_no_answer(hostile: Hostile, kind: str, lines: list[str]) -> None:
    answers = [{"to": to, "allowed": True, "outcome": "allowed", "reason": None} for to in lines]
    counts = {"allowed": 2, "blocked": 0, "deferred": 0}
    hostile.will(answer({"ledger_position": 1, "counts": counts, "decisions": answers}))

    with pytest.raises(OddAnswer, match="other addresses"):
        ask(kind, hostile.url, "decide_many", "email", [ADA, "b@example.com"], topic="events")


def test_a_batch_of_stops_without_a_result_each_is_no_answer(hostile: Hostile, kind: str) -> None:
    hostile.will(answer({"data": [{"status": "created", "suppression": SUPPRESSION}]}))

    with pytest.raises(OddAnswer, match="one result per item"):
        ask(kind, hostile.url, "suppress_many", [NewSuppression("email", ADA)] * 2)


def test_a_list_is_also_split_by_its_size(hostile: Hostile, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefs.client import operations

    def run(peer: socket.socket, asked: bytes) -> bool:
        to = json.loads(asked)["to"]
        answers = [{"to": one, "allowed": True, "outcome": "allowed", "reason": None} for one in to]
        counts = {"allowed": len(to), "blocked": 0, "deferred": 0}
        return answer({"ledger_position": 1, "counts": counts, "decisions": answers})(peer, asked)

    monkeypatch.setattr(operations, "MOST_BODY", 50)
    hostile.will(run)

    found = ask(kind, hostile.url, "decide_many", "email", ["x" * 30, "y" * 30, "z" * 10], topic="events")

    assert [len(asked.json()["to"]) for asked in hostile.asked] == [1, 2]
    assert (len(found.decisions), found.counts["allowed"]) == (3, 3)


def test_connections_are_kept(hostile: Hostile) -> None:
    with Client(hostile.url, KEY, patience=QUICK) as client:
        for _ in range(5):
            client.decide("email", ADA, topic="events")

    assert (len(hostile.asked), hostile.connections) == (5, 1)


def test_a_kept_connection_that_was_dropped_between_two_calls_costs_nothing(hostile: Hostile) -> None:
    hostile.will(then_close(echo_decision()))

    with Client(hostile.url, KEY, patience=QUICK) as client:
        for _ in range(5):
            assert client.decide("email", ADA, topic="events").allowed
            time.sleep(0.02)  # the peer's close arrives

    assert (len(hostile.asked), hostile.connections) == (5, 5)


def test_a_change_on_a_dropped_connection_is_carried_out(hostile: Hostile) -> None:
    hostile.will(then_close(answer(SUPPRESSION, 201)))

    with Client(hostile.url, KEY, patience=QUICK) as client:
        for _ in range(3):
            assert client.suppress("email", ADA).created

    assert len(hostile.asked) >= 3


def test_threads_share_a_client_and_each_keeps_its_own_deadline(hostile: Hostile) -> None:
    with Client(hostile.url, KEY, patience=QUICK) as client:
        answers: list[str] = []

        def run(number: int) -> None:
            for turn in range(10):
                to = f"p{number}-{turn}@example.com"
                answers.append(client.decide("email", to, topic="events").to)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(set(answers)) == 80
    assert hostile.connections <= 8


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_does_not_speak_on_its_parents_connection(hostile: Hostile) -> None:
    client = Client(hostile.url, KEY, patience=QUICK)
    client.decide("email", ADA, topic="events")

    child = os.fork()
    if child == 0:  # pragma: no cover  another process
        os._exit(0 if client.decide("email", ADA, topic="events").allowed else 1)
    _, status = os.waitpid(child, 0)
    client.decide("email", ADA, topic="events")
    client.close()

    assert status == 0
    assert (len(hostile.asked), hostile.connections) == (3, 2)


def test_nobody_at_home_is_unreachable(kind: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(Unreachable):
        ask(kind, f"http://127.0.0.1:{port}", *QUESTION, topic="events")
    with pytest.raises(Unreachable):
        ask(kind, "http://prefs.invalid", *QUESTION, topic="events", patience=Patience(attempts=1))


def test_a_certificate_nobody_vouches_for_is_refused(kind: str, tmp_path: Path) -> None:
    with _TlsPeer(tmp_path) as url, pytest.raises(Unreachable):
        ask(kind, url, *QUESTION, topic="events", patience=Patience(attempts=1))


def test_nothing_of_the_environment_sends_the_key_elsewhere(
    hostile: Hostile, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert decide(kind, hostile).allowed


@pytest.mark.parametrize(
    "url", ["prefs.example.com", "ftp://x", "https://", "https://key@x", "https://x?y", "https://x#y"]
)
def test_an_address_that_cannot_be_the_services_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        Client(url, KEY)


@pytest.mark.parametrize("key", ["", "two words", "line\r\nInjected: yes", "schlüssel"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        Client("http://127.0.0.1", key)

    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("key", ["", "a b", "x\ny", "é", "k" * 241])
def test_an_idempotency_key_that_is_no_header_is_refused(hostile: Hostile, kind: str, key: str) -> None:
    with pytest.raises(ValueError, match="idempotency_key"):
        ask(kind, hostile.url, "suppress", "email", ADA, idempotency_key=key)

    assert hostile.asked == []


@pytest.mark.parametrize("name", [".", "..", ""])
def test_an_id_that_would_lead_elsewhere_is_refused(hostile: Hostile, kind: str, name: str) -> None:
    with pytest.raises(ValueError, match="id is needed"):
        ask(kind, hostile.url, "contact", name)


def test_an_id_stays_one_segment_of_the_path(hostile: Hostile, kind: str) -> None:
    hostile.will(answer(CONTACT))

    ask(kind, hostile.url, "contact", "a/../b?c#d")

    assert hostile.asked[0].line == "GET /v1/contacts/a%2F..%2Fb%3Fc%23d HTTP/1.1"


def test_a_base_url_may_have_a_path(hostile: Hostile, kind: str) -> None:
    ask(kind, f"{hostile.url}/prefs/", *QUESTION, topic="events")

    assert hostile.asked[0].line == "POST /prefs/v1/decisions HTTP/1.1"
    assert hostile.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_status_the_api_does_not_have_yet_is_a_refusal(hostile: Hostile, kind: str) -> None:
    hostile.will(problem(451, "not_here"))

    with pytest.raises(Refused) as caught:
        decide(kind, hostile)

    assert caught.value.problem == Problem(451, "not_here", detail="On demand.")


def test_a_deadline_that_has_passed_leaves_no_time() -> None:
    import httpcore

    deadline = _Deadline()
    deadline.at = time.monotonic() - 1

    with pytest.raises(httpcore.ReadTimeout):
        deadline.left(5)


class _TlsPeer:
    """Answers with a certificate it made itself."""

    def __init__(self, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(_own_certificate(folder))

    def __enter__(self) -> str:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return f"https://localhost:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        try:
            while True:
                peer, _ = self._listener.accept()
                with peer:
                    peer.settimeout(2)
                    self._context.wrap_socket(peer, server_side=True).close()
        except OSError:
            return


def _own_certificate(folder: Path) -> Path:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    path = folder / "own.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path
