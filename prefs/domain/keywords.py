"""What an inbound text asks for: ``read_keyword(text)``, by a table of words with their sources.

The table is rules.md section 4; the few plain sentences are T-2. Words are compared after NFKC,
case folding, stripping accents and keeping only letters, digits and single spaces.
"""

import re
import unicodedata
from dataclasses import dataclass

from prefs.domain.terms import TextClass

RULE_VERSION = "2026-11-24"


@dataclass(frozen=True, slots=True)
class Word:
    """One row of the table; ``source`` says who lists the word (rules.md section 4)."""

    words: tuple[str, ...]
    kind: TextClass
    language: str
    source: str


TABLE = (
    Word(("stop", "quit", "end", "revoke", "optout", "opt out", "cancel", "unsubscribe"), TextClass.STOP, "en", "FCC"),
    Word(("stopall", "stop all"), TextClass.STOP, "en", "Twilio default list"),
    Word(("remove", "unsub", "opt me out", "please opt me out"), TextClass.STOP, "en", "AWS, CTIA, CWTA lists"),
    Word(("arret", "arrete", "arrett"), TextClass.STOP, "fr", "Twilio Proxy list"),
    Word(("arreter", "desabonner", "desinscrire"), TextClass.STOP, "fr", "from memory"),
    Word(("alto", "no mas"), TextClass.STOP, "es", "Twilio Spanish short codes; FCC example"),
    Word(("parar", "cancelar", "basta", "baja"), TextClass.STOP, "es", "from memory"),
    Word(("stopp", "abmelden", "abbestellen"), TextClass.STOP, "de", "from memory"),
    Word(("annulla", "disiscrivi"), TextClass.STOP, "it", "from memory"),
    Word(("afmelden",), TextClass.STOP, "nl", "from memory"),
    Word(("sair",), TextClass.STOP, "pt", "from memory"),
    Word(("help", "info"), TextClass.HELP, "en", "Twilio default list"),
    Word(("aide",), TextClass.HELP, "fr", "CWTA"),
    Word(("ayuda",), TextClass.HELP, "es", "Twilio Spanish short codes"),
    Word(("hilfe",), TextClass.HELP, "de", "from memory"),
    Word(("start", "unstop", "yes"), TextClass.START, "en", "Twilio default list"),
)

_BY_WORD = {word: row for row in TABLE for word in row.words}

# Evident wishes in plain words (T-2). Each must be the whole text, give or take politeness, so
# that "don't stop believing" and "what time do you stop?" stay ordinary conversation.
_POLITE = r"(?:(?:please|pls|hi|hello|ok|and|just|now|thanks|thank you) )*"
_PLAIN_STOPS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(rf"{_POLITE}(?:{pattern})(?: (?:please|now|immediately|thanks|thank you|already))*"))
    for name, pattern in (
        ("stop_with_politeness", r"stop|unsubscribe me|unsubscribe|opt me out"),
        (
            "stop_doing_that",
            r"(?:(?:can|could|will|would) you )?stop (?:texting|messaging|contacting|sending|spamming|bothering)"
            r"(?: (?:me|us|this|these|them|texts|messages|to me|me texts|me messages|me these|this number|my phone))*",
        ),
        (
            "off_your_list",
            r"(?:take|remove|get) (?:me|my number|this number) (?:off|from) (?:of )?(?:your|the|this) "
            r"(?:\w+ )?(?:lists?|texts?|messages|database)",
        ),
        ("no_more", r"no more (?:texts?|messages?|texts? or messages?|of these(?: texts?)?)(?: from you)?"),
        (
            "do_not_contact",
            r"(?:do not|don t|dont|never) (?:text|message|contact|call) (?:me|us|this number)(?: again| anymore)?",
        ),
        ("leave_me_alone", r"leave me alone"),
        ("wrong_number_stop", r"(?:you have the |this is the )?wrong number (?:please )?stop(?: texting(?: me)?)?"),
        ("two_keywords", r"(?:help|info|start|yes) stop|stop (?:help|info|start|yes)"),
    )
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text was understood as: the class, the rule that matched, and the language of its word."""

    kind: TextClass
    rule: str
    language: str
    normalised: str


def normalise(text: str) -> str:
    """Return a text as the table is compared with."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(letter if letter.isalnum() else " " for letter in plain if not unicodedata.combining(letter))
    return " ".join(kept.split())


def read_keyword(text: str) -> Reading:
    """Return what a text asks for. A keyword alone is sure; an evident sentence is ``unclear`` (T-1, T-2, S-1)."""
    normalised = normalise(text)
    row = _BY_WORD.get(normalised)
    if row is not None:
        return Reading(row.kind, f"word:{normalised}", row.language, normalised)
    for name, pattern in _PLAIN_STOPS:
        if pattern.fullmatch(normalised):
            return Reading(TextClass.UNCLEAR, f"sentence:{name}", "en", normalised)
    return Reading(TextClass.NONE, "none", "", normalised)
