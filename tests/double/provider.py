"""The double itself: a small web app on a loopback port.

It answers as Twilio's and SendGrid's own documentation says they do: status codes, error bodies,
magic numbers, an opted-out recipient (21610). ``fail_next`` makes the next calls fail.
"""

import base64
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

ACCOUNT, TOKEN, SENDGRID_KEY = "AC" + "1" * 32, "token", "SG.key"

# Numbers the real test credentials answer specially (rules.md 5.6).
MAGIC_TO = {"+15005550001": 21211, "+15005550004": 21610, "+15005550009": 21614}
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}


@dataclass(frozen=True)
class Failure:
    """What the next call answers; ``drop`` cuts the connection ``before`` or ``after`` taking the message."""

    provider: str
    status: int = 500
    code: int | None = None
    delay: float = 0
    drop: str | None = None


@dataclass
class Seen:
    """One request as it arrived, for checks against the providers' own descriptions."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ProviderDouble:
    """Both providers at one address; use it in a ``with`` block."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    suppressed: list[str] = field(default_factory=list)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    groups: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    deactivated: dict[str, list[str]] = field(default_factory=dict)
    url: str = ""
    _failures: deque[Failure] = field(default_factory=deque)
    _silent: set[str] = field(default_factory=set)
    _back: threading.Event = field(default_factory=threading.Event)
    _opted_out: set[tuple[str, str]] = field(default_factory=set)

    def __enter__(self) -> "ProviderDouble":
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.come_back()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fail_next(self, provider: str, *, times: int = 1, **how: Any) -> None:
        """Make the next calls to a provider fail."""
        self._failures.extend([Failure(provider, **how)] * times)

    def black_hole(self, provider: str) -> None:
        """Take calls to a provider and answer none of them, until ``come_back``."""
        self._back.clear()
        self._silent.add(provider)

    def come_back(self) -> None:
        """Answer again; what was called meanwhile was never taken."""
        self._silent.clear()
        self._back.set()

    def opt_out(self, number: str, sender: str) -> None:
        """Do as if a person had texted STOP to a sender."""
        self._opted_out.add((number, sender))

    def logged(self, **of_text: Any) -> str:
        """Put a text into Twilio's log as if it had been sent or received; return its id."""
        sid = "SM" + secrets.token_hex(16)
        sent_at: datetime = of_text.pop("sent_at")
        known = {"sid": sid, "account_sid": ACCOUNT, "status": "received", "direction": "inbound", "error_code": None}
        known |= {"messaging_service_sid": None, "date_sent": format_datetime(sent_at), **of_text}
        self.messages.append({**known, "_at": sent_at})
        return sid

    def listed(self, name: str, email: str, created: datetime) -> None:
        """Put an address on one of SendGrid's lists (``unsubscribes``, ``bounces`` …) as if it had got there itself."""
        self.lists.setdefault(name, []).append({"created": int(created.timestamp()), "email": email})

    def left_group(self, group: int, email: str, created: datetime) -> None:
        """Do as if a person had left an unsubscribe group on SendGrid's own page."""
        line = {"email": email, "group_id": group, "group_name": "News", "created_at": int(created.timestamp())}
        self.groups.setdefault(group, []).append(line)

    def _app(self) -> Flask:
        app = Flask("double")
        base = "/2010-04-01/Accounts/<account>"
        app.add_url_rule(f"{base}/Messages.json", view_func=self._guarded("twilio", self._create), methods=["POST"])
        one = f"{base}/Messages/<sid>.json"
        app.add_url_rule(one, view_func=self._guarded("twilio", self._fetch))
        app.add_url_rule(one, view_func=self._guarded("twilio", self._delete), methods=["DELETE"])
        for path, view in (
            ("/v3/mail/send", self._mail),
            ("/v3/recipients/erasejob", self._erase),
            ("/v3/asm/suppressions/global", self._suppress),
            ("/v3/asm/groups/<int:group>/suppressions", self._suppress_in_group),
        ):
            app.add_url_rule(path, view_func=self._guarded("sendgrid", view), methods=["POST"])
        app.add_url_rule("/v3/suppression/<name>", view_func=self._guarded("sendgrid", self._listed))
        app.add_url_rule("/v3/asm/suppressions", view_func=self._guarded("sendgrid", self._left_groups))
        app.add_url_rule("/v3/asm/groups", view_func=self._guarded("sendgrid", self._groups))
        app.add_url_rule(f"{base}/Messages.json", view_func=self._guarded("twilio", self._list))
        app.add_url_rule("/v1/Deactivations", view_func=self._guarded("twilio", self._deactivations))
        app.add_url_rule("/lists/<day>.txt", view_func=self._deactivated_on)
        return app

    def _guarded(self, provider: str, view: Callable[..., Any]) -> Callable[..., Any]:
        def run(**path: str) -> Any:
            self.requests.append(Seen(request.method, request.url, dict(request.headers), request.get_data()))
            if not _authorised(provider):
                return _refusal(provider, 401, 20003, "Authentication Error")
            if provider in self._silent:
                self._back.wait(timeout=30)
                return _cut()
            failure = self._failures.popleft() if self._failures and self._failures[0].provider == provider else None
            if failure is None:
                return view(**path)
            time.sleep(failure.delay)
            if failure.drop == "after":
                view(**path)
            if failure.drop:
                return _cut()
            return _refusal(provider, failure.status, failure.code, "on demand") if not failure.delay else view(**path)

        run.__name__ = view.__name__
        return run

    def _create(self, account: str) -> Any:
        form = request.form
        sender = form.get("MessagingServiceSid") or form.get("From") or ""
        problem = self._problem(form.get("To", ""), sender, form.get("Body", ""))
        if problem:
            return _refusal("twilio", 400, problem, "refused")
        sid = "SM" + secrets.token_hex(16)
        made = {
            "sid": sid,
            "account_sid": account,
            "to": form["To"],
            "from": form.get("From"),
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "body": form["Body"],
            "status": "accepted",
            "date_sent": "Tue, 24 Nov 2026 17:00:00 +0000",
            "num_segments": "1",
            "num_media": "0",
            "direction": "outbound-api",
            "api_version": "2010-04-01",
        }
        self.messages.append(made)
        return jsonify(made), 201

    def _problem(self, to: str, sender: str, body: str) -> int | None:
        checks = (
            (not to, 21604),
            (not body, 21602),
            (not sender, 21603),
            (len(body) > 1600, 21617),
            ((to, sender) in self._opted_out, 21610),
            (not to.startswith("+"), 21211),
        )
        return MAGIC_TO.get(to) or MAGIC_FROM.get(sender) or next((code for wrong, code in checks if wrong), None)

    def _list(self, account: str) -> Any:
        """Answer a page of the log, newest first, as Twilio pages it."""
        since = request.args.get("DateSent>", "")
        size, page = int(request.args.get("PageSize", 50)), int(request.args.get("Page", 0))
        wanted = [one for one in self.messages if one["account_sid"] == account and "_at" in one]
        wanted = [one for one in wanted if not since or one["_at"] >= datetime.fromisoformat(since)]
        wanted.sort(key=lambda one: one["_at"], reverse=True)
        here = [{k: v for k, v in one.items() if k != "_at"} for one in wanted[page * size : (page + 1) * size]]
        more = len(wanted) > (page + 1) * size
        following = f"{request.path}?PageSize={size}&Page={page + 1}&DateSent%3E={quote(since)}" if more else None
        return jsonify(messages=here, next_page_uri=following, page=page, page_size=size)

    def _deactivations(self) -> Any:
        day = request.args["Date"]
        if day not in self.deactivated:
            return _refusal("twilio", 404, 20404, "not found")
        target = f"{self.url}/lists/{day}.txt"
        return jsonify(redirect_to=target), 307, {"Location": target}

    def _deactivated_on(self, day: str) -> Any:
        return Response("\n".join(self.deactivated[day]) + "\n", mimetype="text/plain")

    def _fetch(self, account: str, sid: str) -> Any:
        found = next((one for one in self.messages if (one["account_sid"], one["sid"]) == (account, sid)), None)
        return jsonify(found) if found else _refusal("twilio", 404, 20404, "not found")

    def _delete(self, account: str, sid: str) -> Any:
        left = [one for one in self.messages if (one["account_sid"], one["sid"]) != (account, sid)]
        if len(left) == len(self.messages):
            return _refusal("twilio", 404, 20404, "not found")
        self.messages[:] = left
        return Response(status=204)

    def _erase(self) -> Any:
        """Erase as the real service does: its own lists of these addresses may go with the rest."""
        wanted = (request.get_json(silent=True) or {}).get("email_addresses") or []
        if not wanted or len(wanted) > 5000 or any("@" not in one for one in wanted):
            return _refusal("sendgrid", 400, "email_addresses", "invalid email addresses")
        self.erased += wanted
        self.suppressed[:] = [one for one in self.suppressed if one not in wanted]
        return jsonify(job_id=secrets.token_hex(8)), 202

    def _suppress(self) -> Any:
        wanted = (request.get_json(silent=True) or {}).get("recipient_emails") or []
        if not wanted:
            return _refusal("sendgrid", 400, "recipient_emails", "missing")
        self.suppressed += [one for one in wanted if one not in self.suppressed]
        return jsonify(recipient_emails=wanted), 201

    def _listed(self, name: str) -> Any:
        """Answer a page of a list, newest first; the global list has what was put there by the API too."""
        lists = ("unsubscribes", "bounces", "blocks", "invalid_emails", "spam_reports")
        limit, offset = int(request.args.get("limit", 500)), int(request.args.get("offset", 0))
        if name not in lists or not 1 <= limit <= 500 or offset % limit:
            return _refusal("sendgrid", 400, "limit", "invalid")
        found = list(self.lists.get(name, []))
        if name == "unsubscribes":
            own = {one["email"] for one in found}
            found += [{"created": 1795539600, "email": one} for one in self.suppressed if one not in own]
        since = int(request.args.get("start_time", 0))
        found = sorted((one for one in found if one["created"] >= since), key=lambda one: -one["created"])
        return jsonify(found[offset : offset + limit])

    def _left_groups(self) -> Any:
        return jsonify([one for lines in self.groups.values() for one in lines])

    def _groups(self) -> Any:
        return jsonify(
            [
                {
                    "id": group,
                    "name": "News",
                    "description": "News",
                    "last_email_sent_at": None,
                    "is_default": False,
                    "unsubscribes": len(lines),
                }
                for group, lines in self.groups.items()
            ]
        )

    def _suppress_in_group(self, group: int) -> Any:
        """Put addresses into a group; without such a group the real service takes the global list, and so does this."""
        wanted = (request.get_json(silent=True) or {}).get("recipient_emails") or []
        if not wanted or group not in self.groups:
            return self._suppress()
        there = {one["email"] for one in self.groups[group]}
        now = datetime.fromtimestamp(1795539600, UTC)
        for email in wanted:
            if email not in there:
                self.left_group(group, email, now)
        return jsonify(recipient_emails=wanted), 201

    def _mail(self) -> Any:
        body = request.get_json(silent=True) or {}
        for name in ("personalizations", "from", "subject", "content"):
            if not body.get(name):
                return _refusal("sendgrid", 400, name, f"The {name} is required.")
        if any("@" not in person["email"] for one in body["personalizations"] for person in one.get("to", [])):
            return _refusal("sendgrid", 400, "personalizations.0.to.0.email", "Does not contain a valid address.")
        self.mails.append(body)
        return Response(status=202, headers={"X-Message-Id": secrets.token_urlsafe(16)})


def _authorised(provider: str) -> bool:
    given = request.headers.get("Authorization", "")
    basic = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    return given == (basic if provider == "twilio" else f"Bearer {SENDGRID_KEY}")


def _refusal(provider: str, status: int, code: int | str | None, words: str) -> Any:
    if provider == "twilio":
        more = f"https://www.twilio.com/docs/errors/{code}"
        return jsonify(code=code, message=words, more_info=more, status=status), status
    return jsonify(errors=[{"message": words, "field": code, "help": None}]), status


def _cut() -> Response:
    """Close the connection without an answer."""
    request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response(status=500)
