"""Our own mails, M1 to M6: what each says, in the person's language. None is marketing.

No offer, no tracking pixel, no list headers; text always goes with HTML.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from prefs import words
from prefs.domain.terms import Act, Channel
from prefs.services.organisation import Organisation
from prefs.services.rendering import mail_templates

Link = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One mail: ``facts`` are names with values, ``links`` are words with a link behind them."""

    subject: str
    preview: str
    why: str
    paragraphs: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    button: Link | None = None
    links: tuple[tuple[str, Link], ...] = ()


def render(notice: Notice, language: str, organisation: Organisation) -> dict[str, Any]:
    """Return a notice as the gateway's queue keeps it: subject, text and HTML."""
    say = partial(words.gettext, language)
    office = say(
        "Privacy Office, %(organisation)s, %(address)s",
        organisation=organisation.name,
        address=organisation.postal_address,
    )
    right_to_left = words.direction(language) == "rtl"
    values = {"notice": notice, "org": organisation, "privacy_office": office}
    values |= {"start": "right" if right_to_left else "left"}
    templates = mail_templates(language)
    return {
        "subject": notice.subject,
        "text": templates.get_template("notice.txt").render(values),
        "html": templates.get_template("notice.html").render(values),
        "own": True,
    }


def stopped(
    language: str, *, at: datetime, what: str, address: str, reference: str, choose_url: str, start_url: str | None
) -> Notice:
    """M1: the record of a stop, with the way back for somebody who did not ask for it."""
    say = partial(words.gettext, language)
    when = words.day_and_time(at, language)
    back = ((say("If you did not ask for this:"), (say("start the emails again"), start_url)),) if start_url else ()
    return Notice(
        subject=say("We have stopped our marketing emails"),
        preview=say("Your request of %(date)s is done. Keep this as your record.", date=words.day(at, language)),
        paragraphs=(say("You asked us to stop on %(when)s. It is done. Keep this email as your record.", when=when),),
        facts=(
            (say("Stopped"), what),
            (say("Address"), address),
            (say("Still sent"), say("Appointment times, results notices, receipts and safety notices")),
            (say("Reference"), reference),
        ),
        button=(say("Choose what we send you"), choose_url),
        links=back,
        why=say("We sent this because you asked us to stop. It is not marketing, and we send it once."),
    )


def link(language: str, *, until: datetime, choose_url: str, stop_url: str) -> Notice:
    """M2: the link somebody asked for."""
    say = partial(words.gettext, language)
    return Notice(
        subject=say("Your link to choose what we send you"),
        preview=say("It works for 24 hours."),
        paragraphs=(say("It works until %(when)s.", when=words.day_and_time(until, language)),),
        button=(say("Choose what we send you"), choose_url),
        links=((say("Just want it to stop? This link does not run out:"), (say("Stop all marketing"), stop_url)),),
        why=say(
            "Someone typed your address on our website. If it was not you, ignore this email. Nothing has changed."
        ),
    )


def changed(language: str, *, at: datetime, changes: tuple[str, ...], choose_url: str, stop_url: str) -> Notice:
    """M3: what the privacy office changed on somebody's behalf."""
    say = partial(words.gettext, language)
    return Notice(
        subject=say("We changed what we send you"),
        preview=say("As you asked on %(date)s.", date=words.day(at, language)),
        paragraphs=(say("You asked us on %(date)s to change this:", date=words.day(at, language)), *changes),
        button=(say("Choose what we send you"), choose_url),
        links=((say("This is not marketing. To stop marketing:"), (say("Stop all marketing"), stop_url)),),
        why=say("We sent this because we changed your choices for you, and we send it once."),
    )


def change_in_words(language: str, act: Act, channel: Channel | None, topics: str) -> str:
    """Return one change that staff made for somebody as a sentence."""
    say = partial(words.gettext, language)
    if act is Act.OPT_IN:
        return say("We will send you %(topics)s.", topics=topics)
    if channel is Channel.EMAIL:
        return say("We stopped %(topics)s by email. An email already on its way may still arrive today.", topics=topics)
    if channel is Channel.PUSH:
        return say("We stopped %(topics)s as push notifications.", topics=topics)
    if channel is Channel.POSTAL:
        return say("We stopped %(topics)s by letter.", topics=topics)
    if channel is None:
        return say("We stopped %(topics)s on every channel.", topics=topics)
    return {
        Channel.VOICE: say("We stopped marketing calls."),
        Channel.WHATSAPP: say("We stopped marketing by WhatsApp."),
    }.get(channel, say("We stopped marketing texts."))


def request_received(
    language: str, *, reference: str, due: date, progress_url: str, at_once: bool = False, typed: bool = True
) -> Notice:
    """M4, first: when a privacy request will be answered.

    ``at_once`` is for what took effect already and needs no check of who asks; ``typed`` for what
    was typed on our website, perhaps by somebody else.
    """
    say = partial(words.gettext, language)
    on = words.day(due, language)
    return Notice(
        subject=say("Your request %(reference)s: we will answer by %(date)s", reference=reference, date=on),
        preview=say("We have your request."),
        paragraphs=(
            say("We have your request. We will answer by %(date)s.", date=on),
            say("What you asked us to stop has stopped.")
            if at_once
            else say("Press the button to show us that this address is yours, and to see how far we are."),
        ),
        facts=((say("Reference"), reference), (say("Answer by"), on)),
        button=(say("See progress"), progress_url),
        why=say("Someone typed your address on our website. If it was not you, ignore this email.")
        if typed
        else say("We sent this because you made a request."),
    )


def request_delayed(language: str, *, reference: str, due: date, why: str, progress_url: str) -> Notice:
    """M4, second: more time is needed; sent before the first date."""
    say = partial(words.gettext, language)
    on = words.day(due, language)
    return Notice(
        subject=say("Your request %(reference)s: we need until %(date)s", reference=reference, date=on),
        preview=say("We need more time, and say why."),
        paragraphs=(say("We need more time for your request: %(why)s", why=why),),
        facts=((say("Reference"), reference), (say("Answer by"), on)),
        button=(say("See progress"), progress_url),
        why=say("We sent this because you made a request."),
    )


def request_answered(language: str, *, reference: str, progress_url: str) -> Notice:
    """M4, last: the answer is there."""
    say = partial(words.gettext, language)
    return Notice(
        subject=say("Your request %(reference)s: our answer", reference=reference),
        preview=say("We have answered your request."),
        paragraphs=(say("We have answered your request. The button shows the answer."),),
        facts=((say("Reference"), reference),),
        button=(say("See the answer"), progress_url),
        why=say("We sent this because you made a request."),
    )


def request_erased(language: str, *, reference: str, passed_on: bool) -> Notice:
    """M4, last, of a deletion: there is no page left to lead to."""
    say = partial(words.gettext, language)
    return Notice(
        subject=say("Your request %(reference)s: our answer", reference=reference),
        preview=say("We have answered your request."),
        paragraphs=(
            say("We have deleted your data."),
            *([say("We have asked the companies that carry our messages to do the same.")] if passed_on else []),
            say(
                "We keep a fingerprint of your address, which nobody can read, so that we do not write to you again. "
                "It is kept for that alone."
            ),
        ),
        facts=((say("Reference"), reference),),
        why=say("We sent this because you made a request. This address is deleted with it."),
    )


def confirm(language: str, *, topics: str, address: str, confirm_url: str, stop_url: str) -> Notice:
    """M6: nothing starts until the person presses the button on the page behind this link."""
    say = partial(words.gettext, language)
    return Notice(
        subject=say("Confirm your choice"),
        preview=say("Nothing changes until you do."),
        paragraphs=(
            say("You asked for %(topics)s emails at %(address)s.", topics=topics, address=address),
            say("Open the page and press the button there. The link works for 7 days."),
        ),
        button=(say("Confirm your choice"), confirm_url),
        links=((say("This is not marketing. To stop marketing:"), (say("Stop all marketing"), stop_url)),),
        why=say("Did not ask for this? Ignore this email. Nothing has changed."),
    )
