"""The gateway: decide, queue, decide again under the address lock, hand over, record.

There is no second path to a provider. Marketing is handed over at most once; transactional at
least once, under one message id (reliability.md R7).
"""

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs import words
from prefs.domain.address import parse_address
from prefs.domain.catalogue import Sender, Topic
from prefs.domain.decision import Decision, Question, RecipientState, consent_for, decide
from prefs.domain.ledger import ALL
from prefs.domain.provider_codes import Meaning
from prefs.domain.terms import Channel, MessageClass, Outcome, Reason
from prefs.errors import Conflict, InvalidInput, NotFound, ProviderError
from prefs.providers.ports import EmailProvider, Receipt, TextProvider
from prefs.services import mailing, refusals
from prefs.services.decisions import Answer, Asked, Decisions, is_timed
from prefs.services.kit import Kit, open_address
from prefs.services.linking import Linking
from prefs.services.mailing import Content, Recipient
from prefs.services.numbers import Numbers
from prefs.services.organisation import Organisation
from prefs.storage import checks, ledger, messages, people, personal
from prefs.storage.messages import Queued
from prefs.storage.people import KnownAddress

log = logging.getLogger(__name__)

CLAIM_GOOD_FOR = timedelta(seconds=5)
"""A claim older than this is not acted upon: the opt-out may have come since (reliability.md section 0)."""

MOST_ATTEMPTS = 6
SEND_AGAIN_AFTER = timedelta(minutes=10)
LONGEST_TEXT = 1600

# A provider's words for delivery, in ours, and which may follow which (rules.md 5.5, W-8).
STATUS_WORDS = {"sent": "sent", "delivered": "delivered", "undelivered": "failed", "failed": "failed"}
_OVER = frozenset({"sent", "delivered", "failed", "unknown", "blocked"})
STATUS_ORDER = {"sending": 0, "sent": 1, "unknown": 1, "delivered": 2, "failed": 2, "blocked": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRequest:
    """A message as a caller hands it over."""

    channel: Channel
    to: str
    topic: str
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    sender: str | None = None
    campaign: str | None = None
    send_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a message at once: ``queued``, ``blocked`` or ``deferred``, and why."""

    id: str
    status: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """A message as callers see it later."""

    id: str
    status: str
    channel: str
    topic: str | None
    campaign: str | None
    reason: str | None
    alternative: str | None
    created_at: datetime
    history: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A message taken for one hand-over, with what it needs; nothing of it is in a transaction."""

    queued: Queued
    known: KnownAddress
    sender: Sender
    topic: Topic | None
    content: Content
    claimed_at: datetime
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Sending:
    """The use cases of ``/v1/messages`` and of the worker."""

    kit: Kit
    decisions: Decisions
    numbers: Numbers
    linking: Linking
    organisation: Organisation
    email: EmailProvider
    texts: TextProvider
    base_url: str

    def accept(self, request: MessageRequest, *, key: str | None = None) -> Accepted:
        """Decide about a message, queue it, and say what became of it; with a key, once only.

        Raises:
            InvalidInput: The message cannot be sent as it is; ``field`` names the part.
            UnknownTopic: The topic or sender does not exist.
            Conflict: The sender carries the other message class (rules.md W-12).
        """
        topic = self.kit.catalogue.topic(request.topic)
        sender = self._sender(request, topic)
        content = _checked_content(request)
        asked = Asked(channel=request.channel, topic=topic.slug, sender=sender.slug, brand=sender.brand)
        answer = self.decisions.ask(asked, request.to)
        message_id = _message_id(key)
        status = {Outcome.ALLOWED: "queued", Outcome.BLOCKED: "blocked", Outcome.DEFERRED: "deferred"}[
            answer.decision.outcome
        ]
        if answer.decision.reason is Reason.INVALID_ADDRESS and answer.decision.fact is None:
            return Accepted(message_id, status, answer)
        with self.kit.store.write() as connection:
            self._queue(connection, message_id, request, topic, sender, content, answer, status)
        return Accepted(message_id, status, answer)

    def notify(
        self, connection: Connection, known: KnownAddress, channel: Channel, content: dict[str, Any], *, key: str
    ) -> None:
        """Queue one of our own notices, once per key, in the caller's transaction.

        It is transactional, belongs to no topic, and is decided at hand-over like everything
        else. Nothing is queued for an address we hold no clear text of, or without a sender.
        """
        address, sender = (
            self.kit.clear(known),
            self.kit.catalogue.default_sender(channel, "default", MessageClass.TRANSACTIONAL),
        )
        if address is None or sender is None:
            log.warning("notice_not_possible", extra={"channel": channel, "known": address is not None})
            return
        message_id, now = _message_id(key), self.kit.now()
        values = {
            "id": message_id,
            "subject": known.subject,
            "channel": channel,
            "message_class": MessageClass.TRANSACTIONAL,
            "topic": None,
            "sender": sender.number,
            "campaign": None,
            "status": "queued",
            "reason": None,
            "sealed": self.kit.vault.seal_json({**content, "to": address}, context=_context(message_id)),
            "due_at": now,
            "created_at": now,
        }
        messages.add(connection, values, {"notice": True})

    def status(self, message_id: str) -> MessageStatus:
        """Return what became of a message. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            queued = messages.read(connection, message_id)
            if queued is None:
                raise NotFound("There is no message with this id.")
            history = messages.history(connection, message_id)
        topic = self.kit.catalogue.topic_numbered(queued.topic or ALL)
        alternatives = [line["alternative"] for line in history if "alternative" in line]
        return MessageStatus(
            id=queued.id,
            status=queued.status,
            channel=queued.channel,
            topic=topic.slug if topic else None,
            campaign=queued.campaign,
            reason=queued.reason,
            alternative=alternatives[-1] if alternatives else None,
            created_at=queued.created_at,
            history=history,
        )

    def report(self, provider_id: str, status: str, error_code: str | None) -> None:
        """Take a provider's delivery report: never backwards, and unknown words change nothing (W-8)."""
        word = STATUS_WORDS.get(status)
        if word is None:
            return
        with self.kit.store.write() as connection:
            queued = messages.by_provider_id(connection, provider_id)
            if queued is None or STATUS_ORDER[word] <= STATUS_ORDER.get(queued.status, len(STATUS_ORDER)):
                return
            messages.note(connection, queued.id, word, {"provider_code": error_code}, self.kit.now())
            learnt = refusals.learn(connection, self.kit, queued, error_code) if word == "failed" else None
            if learnt and learnt.meaning is Meaning.LATER and queued.attempts < MOST_ATTEMPTS:
                # It never left the provider: it may go again, and is asked about afresh.
                messages.settle(connection, queued, "queued", self.kit.now(), due_at=self.kit.now() + SEND_AGAIN_AFTER)

    def hand_over_due(self, limit: int = 50) -> int:
        """Hand over what is due and return how many messages were dealt with; one bad item stops nothing.

        Raises:
            StoreUnavailable: Nothing can be claimed; everything stays queued.
        """
        self._settle_lost()
        with self.kit.store.read() as connection:
            waiting = messages.due(connection, self.kit.now(), limit, but=checks.held(connection))
        for message_id in waiting:
            claimed = self._claim(message_id)
            if claimed is not None:
                self._hand_over(claimed)
        return len(waiting)

    def _sender(self, request: MessageRequest, topic: Topic) -> Sender:
        catalogue = self.kit.catalogue
        carried = MessageClass.TRANSACTIONAL if topic.message_class is MessageClass.EMERGENCY else topic.message_class
        if request.sender is None:
            found = catalogue.default_sender(request.channel, "default", topic.message_class)
            if found is None:
                raise InvalidInput(
                    f"The catalogue has no {carried} sender for {request.channel}.", field="sender", code="no_sender"
                )
            return found
        sender = catalogue.sender(request.sender)
        if sender.channel is not request.channel:
            raise InvalidInput(f"This sender is for {sender.channel}.", field="sender", code="wrong_channel")
        if sender.message_class is not carried:
            raise Conflict(
                f"This sender carries {sender.message_class} messages, and the topic is {carried}.", code="wrong_sender"
            )
        return sender

    def _queue(
        self,
        connection: Connection,
        message_id: str,
        request: MessageRequest,
        topic: Topic,
        sender: Sender,
        content: dict[str, Any],
        answer: Answer,
        status: str,
    ) -> None:
        address = parse_address(request.channel, request.to, default_region=self.kit.default_region)
        known = open_address(connection, self.kit, address)
        now = self.kit.now()
        due = max(now, request.send_at or now, answer.decision.not_before or now)
        values = {
            "id": message_id,
            "subject": known.subject,
            "channel": request.channel,
            "message_class": topic.message_class,
            "topic": topic.number,
            "sender": sender.number,
            "campaign": request.campaign,
            "status": status,
            "reason": answer.decision.reason,
            "sealed": self.kit.vault.seal_json({**content, "to": address.original}, context=_context(message_id)),
            "due_at": due,
            "created_at": now,
        }
        detail = {"decision": answer.id, "reason": answer.decision.reason, "alternative": answer.alternative}
        messages.add(connection, values, detail)

    def _claim(self, message_id: str) -> _Claimed | None:
        """Decide again under the address lock and claim in the same transaction (R7, I05, I06)."""
        with self.kit.store.write() as connection:
            queued = messages.read(connection, message_id)
            if queued is None:
                return None
            known = people.locate(connection, queued.subject)
            now = self.kit.now()
            decision, recipient, receipt = self._decide(connection, queued, known, now)
            if not decision.allowed or known is None:
                self._settle_refused(connection, queued, decision, receipt, now)
                return None
            claim = messages.claim(connection, queued, now, decision=receipt)
        sender = self.kit.catalogue.sender_numbered(queued.sender)
        if claim is None or sender is None:
            return None
        content = Content.checked(self.kit.vault.open_json(claim.sealed, context=_context(message_id)))
        topic = self.kit.catalogue.topic_numbered(queued.topic or ALL)
        return _Claimed(claim, known, sender, topic, content, now, recipient)

    def _decide(
        self, connection: Connection, queued: Queued, known: KnownAddress | None, now: datetime
    ) -> tuple[Decision, Recipient, str | None]:
        """Return the decision at the moment of hand-over, with its receipt where it can be worked out again."""
        if known is None:
            return Decision(Outcome.BLOCKED, Reason.ERASED), Recipient(), None
        if queued.message_class is MessageClass.MARKETING and self.decisions.held_back():
            waiting = Decision(Outcome.DEFERRED, Reason.UNAVAILABLE, not_before=now + timedelta(seconds=5))
            return waiting, Recipient(), None
        rows = self.kit.rows_of(connection, known)
        book = ledger.open_book(connection, rows)
        contact = people.contact_of(connection, known.contact) if known.contact is not None else None
        facts = tuple(fact for one in rows for fact in book.standing(one) if fact.channel in (None, queued.channel))
        sender = self.kit.catalogue.sender_numbered(queued.sender)
        brand = self.kit.catalogue.brand(sender.brand) if sender else None
        country = contact.country if contact else None
        question = Question(
            channel=queued.channel,
            message_class=queued.message_class,
            at=now,
            topic=self.kit.catalogue.topic_numbered(queued.topic or ALL),
            brand=brand.number if brand else None,
            sender=queued.sender,
            country=country,
        )
        state = RecipientState(
            facts,
            country,
            contact.time_zone if contact else None,
            max((entry.id for entry in book.entries[known.subject]), default=0),
            max((entry.id for entry in book.entries[known.contact]), default=0) if known.contact is not None else 0,
        )
        number = self.kit.clear(known) if is_timed(question) else None
        if number is not None:
            state = self.numbers.now(state, parse_address(queued.channel, number), now)
        language = words.first_spoken([contact.locale if contact else None])
        receipt = self.decisions.receipt(question, known.key, ledger.position(connection), state)
        recipient = Recipient(country, language, consent_for(question, state) is not None)
        return decide(question, state), recipient, receipt

    def _settle_refused(
        self, connection: Connection, queued: Queued, decision: Decision, receipt: str | None, now: datetime
    ) -> None:
        if queued.status not in {"queued", "deferred"}:
            return
        status = "deferred" if decision.outcome is Outcome.DEFERRED else "blocked"
        later = decision.not_before
        detail = {"decision": receipt}
        messages.settle(connection, queued, status, now, reason=decision.reason, due_at=later, detail=detail)
        content = self.kit.vault.open_json(queued.sealed, context=_context(queued.id))
        if status in _OVER and content.get("forget"):
            personal.forget_message(connection, queued.id)

    def _hand_over(self, claimed: _Claimed) -> None:
        """Call the provider outside any transaction, and only while the claim is fresh (I20)."""
        if self.kit.now() - claimed.claimed_at > CLAIM_GOOD_FOR:
            self._record(claimed, "queued", detail={"note": "the claim grew old before the provider was called"})
            return
        try:
            receipt = self._call(claimed)
        except ProviderError as error:
            self._refused(claimed, error)
            return
        self._record(claimed, "sent", provider_id=receipt.provider_id)

    def _call(self, claimed: _Claimed) -> Receipt:
        queued, topic = claimed.queued, claimed.topic
        if queued.channel is Channel.EMAIL:
            scope = topic.number if topic and queued.message_class is MessageClass.MARKETING else ALL
            links = self.linking.for_address(queued.channel, claimed.known.key, scope)
            return self.email.send_email(
                mailing.build_email(
                    queued.id,
                    queued.message_class,
                    claimed.sender,
                    topic,
                    claimed.content,
                    links,
                    self.organisation,
                    claimed.recipient,
                )
            )
        status_url = f"{self.base_url}/webhooks/twilio/status"
        return self.texts.send_text(
            mailing.build_text(queued.id, queued.message_class, claimed.sender, claimed.content, status_url)
        )

    def _refused(self, claimed: _Claimed, error: ProviderError) -> None:
        """Record a refusal. What may have gone out is never sent twice if it is marketing."""
        queued = claimed.queued
        detail = {"provider_code": error.provider_code}
        marketing = queued.message_class is MessageClass.MARKETING
        with self.kit.store.write() as connection:
            learnt = refusals.learn(connection, self.kit, queued, error.provider_code)
        reason = learnt.reason if learnt else None
        if reason is Reason.PROVIDER_BLOCK:
            alternative = None if marketing else Channel.EMAIL
            self._record(claimed, "blocked", reason=reason, detail={**detail, "alternative": alternative})
        elif error.unknown and marketing:
            self._record(claimed, "unknown", detail=detail)
        elif error.permanent or queued.attempts >= MOST_ATTEMPTS:
            self._record(claimed, "failed", reason=reason, detail=detail)
        else:
            wait = timedelta(seconds=5 * 3**queued.attempts)
            self._record(claimed, "queued", detail=detail, due_at=self.kit.now() + wait)

    def _record(
        self,
        claimed: _Claimed,
        status: str,
        *,
        reason: Reason | None = None,
        provider_id: str | None = None,
        detail: dict[str, Any] | None = None,
        due_at: datetime | None = None,
    ) -> None:
        with self.kit.store.write() as connection:
            held = messages.settle(
                connection,
                claimed.queued,
                status,
                self.kit.now(),
                reason=reason,
                provider_id=provider_id,
                detail=detail,
                due_at=due_at,
            )
            if claimed.content.forget and status in _OVER:
                personal.forget_message(connection, claimed.queued.id)
            gone = not held and messages.read(connection, claimed.queued.id) is None
        if gone:
            # Its person was erased while it was handed over: there is nothing left to note it on (I15).
            log.info("message_was_erased", extra={"message_id": claimed.queued.id})
        elif not held:
            log.error("claim_was_taken_over", extra={"message_id": claimed.queued.id})

    def _settle_lost(self) -> None:
        """Deal with claims whose worker vanished: marketing is never sent again, the rest is (I19)."""
        now = self.kit.now()
        with self.kit.store.write() as connection:
            for queued in messages.lost(connection, now):
                status = "unknown" if queued.message_class is MessageClass.MARKETING else "queued"
                messages.settle(connection, queued, status, now, detail={"note": "the worker vanished"}, due_at=now)


def _checked_content(request: MessageRequest) -> dict[str, Any]:
    if request.channel is Channel.EMAIL:
        if not request.subject or not (request.text or request.html):
            raise InvalidInput("An email needs a `subject` and a `text` or `html`.", field="subject", code="missing")
    elif not request.text:
        raise InvalidInput("A text message needs `text`.", field="text", code="missing")
    elif len(request.text) > LONGEST_TEXT:
        raise InvalidInput(f"A text message has {LONGEST_TEXT} characters at most.", field="text", code="too_long")
    if request.channel not in {Channel.EMAIL, Channel.SMS}:
        raise InvalidInput("The gateway sends email and sms.", field="channel", code="no_transport")
    content = {"to": request.to, "subject": request.subject, "text": request.text, "html": request.html}
    Content.checked(content)
    return content


def _message_id(key: str | None) -> str:
    """The same key gives the same message, so a repeated request queues it once."""
    number = hashlib.sha256(key.encode()).hexdigest()[:24] if key else secrets.token_hex(12)
    return f"msg_{number}"


def _context(message_id: str) -> bytes:
    return f"message:{message_id}".encode()
