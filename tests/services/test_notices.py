"""Our own mails, M1 to M6, in every language: complete, escaped, without anything from elsewhere."""

import re
from datetime import UTC, date, datetime

import pytest

from prefs import words
from prefs.domain.terms import Act, Channel
from prefs.services import notices
from prefs.services.organisation import Organisation

ORG = Organisation("Northwind <b>Imaging</b>", "1 Sample Street, Sampletown", "555 0100", "privacy@northwind.example")
AT = datetime(2026, 5, 12, 10, 24, tzinfo=UTC)
P = "https://prefs.example/p/x"


def every_notice(language: str) -> dict[str, notices.Notice]:
    stopped = {"at": AT, "what": "W", "address": "a••@example.com", "reference": "NW-7K3M-92QD", "choose_url": P}
    return {
        "M1": notices.stopped(language, **stopped, start_url="https://prefs.example/confirm/x"),  # type: ignore[arg-type]
        "M2": notices.link(language, until=AT, choose_url=P, stop_url="https://prefs.example/u/x"),
        "M3": notices.changed(language, at=AT, changes=("C",), choose_url=P, stop_url="https://prefs.example/u/x"),
        "M4": notices.request_received(language, reference="PR-0442", due=date(2026, 6, 10), progress_url=P),
        "M4 delayed": notices.request_delayed(
            language, reference="PR-1", due=date(2026, 8, 1), why="W", progress_url=P
        ),
        "M4 answered": notices.request_answered(language, reference="PR-1", progress_url=P),
        "M4 at once": notices.request_received(
            language, reference="PR-2", due=date(2026, 6, 10), progress_url=P, at_once=True, typed=False
        ),
        "M6": notices.confirm(language, topics="T", address="a", confirm_url=P, stop_url="https://prefs.example/u/x"),
    }


@pytest.mark.parametrize("language", list(words.LANGUAGES))
def test_every_notice_is_whole_in_every_language(language: str) -> None:
    for name, notice in every_notice(language).items():
        made = notices.render(notice, language, ORG)
        assert made["subject"] == notice.subject, name
        assert f'<html lang="{language}" dir="{words.direction(language)}">' in made["html"], name
        assert "Northwind &lt;b&gt;Imaging" in made["html"], name
        assert P in made["text"], name
        assert all(line == line.strip() for line in made["text"].splitlines() if line.startswith("http")), name
        assert not re.search(r"<img|<script|src=|@import", made["html"]), name
        assert made["html"].count('role="presentation"') >= 3, name
        assert "%(" not in made["text"] + made["html"], name


def test_m1_and_m2_say_what_the_design_words() -> None:
    first = notices.render(every_notice("en")["M1"], "en", ORG)["text"]
    second = notices.render(every_notice("en")["M2"], "en", ORG)["text"]

    for said in (
        "We have stopped our marketing emails",
        "You asked us to stop on 12 May 2026 at 10:24 UTC. It is done. Keep this email as your record.",
        "Appointment times, results notices, receipts and safety notices",
        "NW-7K3M-92QD",
        "Choose what we send you",
        "We sent this because you asked us to stop. It is not marketing, and we send it once.",
    ):
        assert said in first
    for said in (
        "Your link to choose what we send you",
        "It works until 12 May 2026 at 10:24 UTC.",
        "Stop all marketing",
        "Someone typed your address on our website. If it was not you, ignore this email. Nothing has changed.",
    ):
        assert said in second


@pytest.mark.parametrize("language", list(words.LANGUAGES))
def test_the_last_mail_of_a_deletion_leads_nowhere(language: str) -> None:
    for passed_on in (True, False):
        notice = notices.request_erased(language, reference="PR-3", passed_on=passed_on)
        made = notices.render(notice, language, ORG)
        assert "http" not in made["text"]
        assert len(notice.paragraphs) == 2 + passed_on


@pytest.mark.parametrize("language", list(words.LANGUAGES))
def test_m3_names_each_channel_in_a_sentence_of_its_own(language: str) -> None:
    said = {notices.change_in_words(language, Act.OPT_OUT, channel, "TOPICS") for channel in (*Channel, None)} | {
        notices.change_in_words(language, Act.OPT_IN, Channel.EMAIL, "TOPICS")
    }

    assert len(said) == len(Channel) + 2
