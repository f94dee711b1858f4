"""The gate in front of a send: marketing fails closed, transactional fails open (contract section 7).

::

    with guard.marketing("ada@example.com", "product-offers"):
        mailer.send(...)          # runs only after a verified "allowed"

The block's own exceptions pass through untouched.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypedDict, Unpack

from prefs.client.answers import Batch, Channel, Decision, MessageClass
from prefs.client.clients import AsyncClient, Client
from prefs.client.errors import Blocked, Deferred, DoNotSend, Unanswered, Unavailable

log = logging.getLogger(__name__)


class Options(TypedDict, total=False):
    """What a question may say besides whom and what; ``links`` brings the unsubscribe links and headers."""

    brand: str
    sender: str
    country: str
    links: bool


@dataclass(frozen=True, slots=True)
class Clearance:
    """Leave to send. ``verified`` is False where a transactional message passes because nobody could be asked."""

    verified: bool
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """Asks before each send; ``channel`` is what a question is about unless it names another."""

    client: Client
    channel: Channel = "email"

    @contextmanager
    def marketing(
        self, to: str, topic: str, *, channel: Channel | None = None, **options: Unpack[Options]
    ) -> Iterator[Clearance]:
        """Run the block only if the service verifiably allows this message.

        Raises:
            Blocked: It may not be sent.
            Deferred: Not before ``not_before``.
            Unanswered: Anything else happened, whatever it was.
        """
        try:
            decision = self.client.decide(
                channel or self.channel, to, topic=topic, message_class="marketing", **options
            )
        except Exception as error:  # whatever went wrong, nobody said yes
            raise _unanswered(error) from error
        yield _cleared(decision)

    @contextmanager
    def transactional(
        self, to: str, topic: str | None = None, *, channel: Channel | None = None, **options: Unpack[Options]
    ) -> Iterator[Clearance]:
        """Run the block unless the service says no; while it is down the message passes, unverified.

        Raises:
            Blocked: It may not be sent; ``decision.alternative`` may name another channel.
            Refused: The question itself is wrong: no such topic, a marketing topic, a key that is not live.
        """
        try:
            decision = self.client.decide(
                channel or self.channel, to, topic=topic, message_class="transactional", **options
            )
        except Unavailable as error:
            clearance = _passed(error)
        else:
            clearance = _allowed(decision)
        yield clearance

    def sendable(
        self, to: Iterable[str], topic: str, *, channel: Channel | None = None, brand: str | None = None
    ) -> list[str]:
        """Return those of these addresses that a marketing message may go to now, in their order.

        Raises:
            Unanswered: Anything went wrong; nothing may be sent.
        """
        asked = list(to)
        try:
            found = self.client.decide_many(
                channel or self.channel, asked, topic=topic, message_class=_MARKETING, brand=brand
            )
        except Exception as error:  # whatever went wrong, nobody said yes
            raise _unanswered(error) from error
        return _cleared_of(found)


@dataclass(frozen=True, slots=True)
class AsyncGuard:
    """The same for ``AsyncClient``: ``async with guard.marketing(…):``."""

    client: AsyncClient
    channel: Channel = "email"

    @asynccontextmanager
    async def marketing(
        self, to: str, topic: str, *, channel: Channel | None = None, **options: Unpack[Options]
    ) -> AsyncIterator[Clearance]:
        """Run the block only if the service verifiably allows this message. Raises as ``Guard.marketing``."""
        try:
            decision = await self.client.decide(
                channel or self.channel, to, topic=topic, message_class="marketing", **options
            )
        except Exception as error:  # whatever went wrong, nobody said yes
            raise _unanswered(error) from error
        yield _cleared(decision)

    @asynccontextmanager
    async def transactional(
        self, to: str, topic: str | None = None, *, channel: Channel | None = None, **options: Unpack[Options]
    ) -> AsyncIterator[Clearance]:
        """Run the block unless the service says no. Raises as ``Guard.transactional``."""
        try:
            decision = await self.client.decide(
                channel or self.channel, to, topic=topic, message_class="transactional", **options
            )
        except Unavailable as error:
            clearance = _passed(error)
        else:
            clearance = _allowed(decision)
        yield clearance

    async def sendable(
        self, to: Iterable[str], topic: str, *, channel: Channel | None = None, brand: str | None = None
    ) -> list[str]:
        """Return those of these addresses that a marketing message may go to now. Raises as ``Guard.sendable``."""
        asked = list(to)
        try:
            found = await self.client.decide_many(
                channel or self.channel, asked, topic=topic, message_class=_MARKETING, brand=brand
            )
        except Exception as error:  # whatever went wrong, nobody said yes
            raise _unanswered(error) from error
        return _cleared_of(found)


_MARKETING: MessageClass = "marketing"


def _cleared(decision: Decision) -> Clearance:
    """Return leave for a marketing message, or raise: an answer nobody verified is no leave."""
    clearance = _allowed(decision)
    if not clearance.verified:
        raise Unanswered("Do not send: the service could not look this up.", decision=decision)
    return clearance


def _allowed(decision: Decision) -> Clearance:
    if decision.allowed is True:
        return Clearance(decision.verified, decision)
    raise _refusal(decision)


def _refusal(decision: Decision) -> DoNotSend:
    reason = decision.reason or "unknown"
    what = f"{decision.topic or decision.message_class} by {decision.channel}"
    if decision.outcome == "deferred":
        words = f"Do not send {what} before {decision.not_before}: {reason}."
        return Deferred(words, reason=reason, decision=decision, not_before=decision.not_before)
    return Blocked(f"Do not send {what}: {reason}.", reason=reason, decision=decision)


def _unanswered(error: Exception) -> Unanswered:
    log.warning("send_unanswered", extra={"cause": type(error).__name__})
    return Unanswered(f"Do not send: nobody could say whether it may be sent ({type(error).__name__}).")


def _passed(error: Unavailable) -> Clearance:
    log.warning("send_unverified", extra={"cause": type(error).__name__})
    return Clearance(verified=False)


def _cleared_of(found: Batch) -> list[str]:
    kept: Sequence[str] = [one.to for one in found.decisions if one.allowed is True and one.verified]
    return list(kept)
