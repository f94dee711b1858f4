"""What an inbound text asks for: ``read_keyword(text)``, by tables with their sources, and why.

First what the person did not write themselves is taken away: reactions to our own text, quotes,
footers, signatures. Then the whole text is compared with the table of words (rules.md section
4), politeness and single typing mistakes aside; then searched for the sentences of
``sentences`` (T-2); what is left is weighed by the table of ``weights``. Words are compared
after NFKC, case folding, stripping accents and keeping only letters, digits and single spaces.
"""

import re
import unicodedata
from dataclasses import dataclass

from prefs.domain.sentences import CONTRARY, DATED, SENTENCES
from prefs.domain.terms import TextClass
from prefs.domain.weights import NO_STOP_BELOW, STOPS_FROM, SURE_FROM, weigh

RULE_VERSION = f"{DATED}.3"


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
    Word(("sair", "pare", "parem"), TextClass.STOP, "pt", "from memory"),
    Word(("de baja", "darme de baja", "dame de baja", "desuscribir"), TextClass.STOP, "es", "from memory"),
    Word(("desabonnement", "desinscription", "desabonnez moi"), TextClass.STOP, "fr", "from memory"),
    Word(("austragen", "abmeldung", "kundigen"), TextClass.STOP, "de", "from memory"),
    Word(("basta cosi", "disiscrivimi", "cancellami", "cancellatemi", "disdetta"), TextClass.STOP, "it", "from memory"),
    Word(("uitschrijven", "stoppen", "afmelding"), TextClass.STOP, "nl", "from memory"),
    Word(("remove me", "take me off", "unsubscribe me", "opt me out now"), TextClass.STOP, "en", "CTIA 5.1.3"),
    Word(("help", "info"), TextClass.HELP, "en", "Twilio default list"),
    Word(("aide",), TextClass.HELP, "fr", "CWTA"),
    Word(("ayuda",), TextClass.HELP, "es", "Twilio Spanish short codes"),
    Word(("hilfe",), TextClass.HELP, "de", "from memory"),
    Word(("start", "unstop", "yes"), TextClass.START, "en", "Twilio default list"),
)

# Answers to our question whether appointment texts may stay (rules.md T-6a). They mean that only
# where we have just asked; anywhere else they are conversation.
KEEP = {
    "en": ("keep", "keep reminders", "keep appointments", "keep appointment texts", "reminders", "appointments only"),
    "es": ("mantener", "conservar", "solo citas", "recordatorios", "citas"),
    "fr": ("garder", "conserver", "rappels", "rendez vous", "garder les rappels"),
    "de": ("behalten", "termine", "nur termine", "erinnerungen"),
    "pt": ("manter", "consultas", "lembretes", "so consultas"),
    "it": ("mantenere", "appuntamenti", "promemoria"),
    "nl": ("behouden", "afspraken", "herinneringen"),
}
_KEEP_LANGUAGE = {word: language for language, said in KEEP.items() for word in said}

_BY_WORD = {word: row for row in TABLE for word in row.words}

# Words that change nothing about what a text asks for.
_POLITE = frozenset(
    (
        "please pls plz plss plzz pleaseee pleas pleeease thanks thank you thx ty u n hi hello hey yo ok okay k "
        "just now and the all already immediately asap right away sir maam madam guys dear kindly so bruh bro dude "
        "lol ffs omg again must will ya really me my this it to at once today texts messages sms text message "
        "bitte danke jetzt sofort endlich bitteschon hallo por favor porfavor porfa pf pfv pfavor xfavor x gracias "
        "ahora hola obrigado obrigada agora ja svp stp sil vous plait merci bonjour maintenant tout per favore "
        "grazie subito adesso ciao aub alsjeblieft alstublieft graag nu dank je "
    ).split()
)
# Keywords that are a wish even as one sentence among others; "end" or "cancel" may be anything there.
_STRONG = frozenset({"stop", "stopall", "stop all", "unsubscribe", "unsub", "optout", "opt out", "remove me", "stopp"})
# One letter wrong, missing, doubled or swapped: only as the whole text, and never another word.
_TYPED_OFTEN = (
    "stop",
    "stopp",
    "unsubscribe",
    "optout",
    "remove",
    "cancel",
    "arret",
    "abmelden",
    "abbestellen",
    "afmelden",
)
_OTHER_WORDS = frozenset(
    (
        "shop step top stow slop atop swop crop drop stoop stomp strop slot spot stock stope stoup sop tops pots post "
        "stops soap canal camel cancer concel removed remover removes caret arrete arretes garret"
    ).split()
)

_REACTION = re.compile(
    r"^\s*(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted\s+\S+\s+to|removed an? \S+ from"
    r"|le gust[oó]|a aim[eé]|gef[aä]llt|\S+ to)\s+(?:an image|[\"“”«„'‘])",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"(?:^|\n)\s*(?:-{2,}\s*forwarded|fwd?:|begin forwarded|from:.*\n(?:sent|to|date):)", re.IGNORECASE
)
_QUOTED = re.compile(r"[“\"«„](?:[^“”\"«»„]*\s){3,}[^“”\"«»„]*(?:[”\"»“]|$)")
_QUOTED_LINE = re.compile(r"(?m)^\s*>.*$")
_SIGNATURE = re.compile(
    r"(?:\n\s*--\s*\n|\n?\s*sent from (?:my|a) \w+|\n?\s*get outlook for).*$", re.IGNORECASE | re.DOTALL
)
# What companies write under their texts; a person who sends it back did not mean it.
_FOOTER = re.compile(
    r"(?:(?:reply|text|txt|send|responda|r[eé]pondez|antworten sie|reply with|replying)\s+[\"']?stop[\"']?"
    r"\s*(?:to|2|para|pour|um|a|at)?\s*(?:\d{4,6}|opt[ -]?out|end|unsubscribe|quit|cancel|stop|unsub|parar|arr[eê]ter)?"
    r"|stop\s*(?:2|to)\s*(?:opt[ -]?out|end|unsubscribe|quit|cancel|unsub|stop)"
    r"|opt[ -]?out:?\s*(?:reply|txt|text)\s+stop|txtstop\w*)",
    re.IGNORECASE,
)
# "don't stop", "can't stop", "never stop": no wish to stop.
_NOT_STOP = re.compile(
    r"\b(?:dont|do not|cant|cannot|can t|couldnt|wont|will not|never|didnt|doesnt|not|wouldnt|non|nonstop) "
    r"(?:ever |wanna |want to |have to )?stop\b"
)
_SIGNS = {"🛑": " stop ", "⛔": " stop ", "🚫": " stop ", "#": " number "}
# Words whose slips are put right before sentences are searched, in short texts only.
_PUT_RIGHT = ("stop", "texting", "messaging", "remove", "unsubscribe")
_SHORT = 14
_LONGEST_RULE = 64


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text was understood as: the class, the rule that matched, and the language of its words.

    ``evident`` is True for a sentence that no reasonable person could read otherwise: it takes
    what STOP takes, marked as inferred, and a person sees it.
    """

    kind: TextClass
    rule: str
    language: str
    normalised: str
    evident: bool = False

    @property
    def wants_no_more(self) -> bool:
        """True where marketing is stopped, or held until a person has looked."""
        return self.kind in {TextClass.STOP, TextClass.UNCLEAR}


def normalise(text: str) -> str:
    """Return a text as the tables are compared with: apostrophes closed up, everything else spaces."""
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    plain = re.sub(r"(?<=\w)['’`´ʼ](?=\w)", "", plain)
    kept = "".join(letter if letter.isalnum() else " " for letter in plain if not unicodedata.combining(letter))
    spread = " ".join(kept.split())
    # Letters typed one by one, "s t o p", are one word.
    return re.sub(r"\b(?:\w )+\w\b", lambda run: _closed_up(run[0]), spread)


def own_words(text: str) -> str:
    """Return what the person wrote themselves, without reactions, quotes, footers and signatures."""
    if _REACTION.match(text):
        return ""
    forwarded = _FORWARDED.search(text)
    if forwarded:
        text = text[: forwarded.start()]
    for pattern in (_QUOTED_LINE, _SIGNATURE, _QUOTED):
        # A text that is one quotation and nothing else is what the person wanted to say.
        text = pattern.sub(" ", text).strip() or text
    return _FOOTER.sub(" ", text)


def read_keyword(text: str) -> Reading:
    """Return what a text asks for, and by which rule (T-1, T-2, S-1).

    A keyword alone, with politeness or one typing mistake, is sure; a sentence is ``unclear``,
    evident or not. What no table knows is weighed word by word: what sounds like a wish to stop
    is ``unclear`` too, and never evident. A wish to stop wins over any other.
    """
    found = read_by_tables(text)
    if found.kind not in {TextClass.NONE, TextClass.UNCLEAR}:
        return found
    weighed = weigh(found.normalised)
    contrary = next((row for row in CONTRARY if row.pattern.search(found.normalised)), None)
    if contrary is not None and weighed.total < SURE_FROM:
        return Reading(TextClass.NONE, f"contrary:{contrary.name}", "", found.normalised)
    if found.kind is TextClass.NONE and found.normalised and weighed.total >= STOPS_FROM:
        rule = f"weighed:{weighed.total:.1f} {', '.join(weighed.spoke)}"[:_LONGEST_RULE]
        return Reading(TextClass.UNCLEAR, rule, "", found.normalised)
    if found.kind is TextClass.UNCLEAR and weighed.total < NO_STOP_BELOW:
        return Reading(
            TextClass.NONE, f"weighed:{weighed.total:.1f} against {found.rule}"[:_LONGEST_RULE], "", found.normalised
        )
    return found


def read_by_tables(text: str) -> Reading:
    """Return what the tables of words and sentences alone make of a text."""
    mine = own_words(text)
    normalised = normalise(mine)
    found = _as_keyword(normalised) or _as_typing_mistake(normalised)
    if found is not None:
        return found
    for sentence in re.split(r"[.!?\n;,:…]+|\s-+\s", mine):
        one = _as_keyword(normalise(sentence))
        if one is not None and one.kind is TextClass.STOP and one.rule.removeprefix("word:") in _STRONG:
            return Reading(TextClass.UNCLEAR, f"sentence:own_{one.rule}", one.language, normalised, evident=True)
    searched = {_NOT_STOP.sub("goes on", said): None for said in (normalised, _put_right(normalised))}
    for row in SENTENCES:
        if any(row.pattern.search(said) for said in searched):
            return Reading(TextClass.UNCLEAR, f"sentence:{row.name}", row.language, normalised, row.evident)
    return Reading(TextClass.NONE, "none", "", normalised)


def wants_to_keep(text: str) -> str | None:
    """Return the language of an answer that keeps appointment texts, or None for any other text."""
    meant = [word for word in normalise(own_words(text)).split() if word not in _POLITE - _KEEP_LANGUAGE.keys()]
    return _KEEP_LANGUAGE.get(" ".join(meant))


def _as_keyword(normalised: str) -> Reading | None:
    """Return the reading of a text that is keywords and politeness only; of several, STOP wins."""
    row = _BY_WORD.get(normalised)
    if row is not None:
        return Reading(row.kind, f"word:{normalised}", row.language, normalised)
    meant = [word for word in normalised.split() if word not in _POLITE]
    if not meant or len(meant) > 4:
        return None
    several = _BY_WORD.get(" ".join(meant))
    rows = [(" ".join(meant), several)] if several else [(word, _BY_WORD.get(word)) for word in meant]
    if any(row is None for _, row in rows):
        return None
    known = [(word, row) for word, row in rows if row is not None]
    stops = [one for one in known if one[1].kind is TextClass.STOP]
    # "yes please" and "thanks for the info" are conversation: only a stop may be dressed up.
    if not stops:
        return None
    word, row = stops[0]
    return Reading(TextClass.STOP, f"word:{word}", row.language, normalised)


def _as_typing_mistake(normalised: str) -> Reading | None:
    """Return STOP for a text that is one keyword with one slip of the finger."""
    meant = [word for word in normalised.split() if word not in _POLITE]
    if len(meant) != 1 or meant[0] in _OTHER_WORDS or len(meant[0]) < 4:
        return None
    for wanted in _TYPED_OFTEN:
        if meant[0] != wanted and _one_slip(meant[0], wanted):
            return Reading(TextClass.STOP, f"typo:{wanted}", _BY_WORD[wanted].language, normalised)
    return None


def _put_right(normalised: str) -> str:
    """Return a short text with single slips in the words that matter most put right."""
    words = normalised.split()
    if len(words) > _SHORT:
        return normalised
    return " ".join(next((w for w in _PUT_RIGHT if _is_slip_of(word, w)), word) for word in words)


def _is_slip_of(typed: str, wanted: str) -> bool:
    return typed != wanted and len(typed) >= 4 and typed not in _OTHER_WORDS and _one_slip(typed, wanted)


def _one_slip(typed: str, wanted: str) -> bool:
    """True where one letter is wrong, missing, too many, or two neighbours are swapped."""
    if abs(len(typed) - len(wanted)) > 1 or typed[0] != wanted[0]:
        return False
    squeezed = re.sub(r"(.)\1+", r"\1", typed)
    if squeezed == re.sub(r"(.)\1+", r"\1", wanted):
        return True
    at = next((n for n, (a, b) in enumerate(zip(typed, wanted, strict=False)) if a != b), min(len(typed), len(wanted)))
    rest, goal = typed[at:], wanted[at:]
    swapped = len(rest) > 1 and len(goal) > 1 and rest[:2] == goal[1::-1] and rest[2:] == goal[2:]
    return swapped or rest[1:] == goal[1:] or rest == goal[1:] or rest[1:] == goal


def _closed_up(letters: str) -> str:
    return letters.replace(" ", "") if len(letters) >= 5 else letters
