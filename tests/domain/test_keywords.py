"""Keywords: rules.md S-1, T-1, T-2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefs.domain.keywords import TABLE, normalise, read_keyword
from prefs.domain.terms import TextClass

ROWS = [(word, row.kind) for row in TABLE for word in row.words]
# As phones correct words into: composed in some, a letter and a mark behind it in others.
ACCENTED = {"a": "á", "e": "ê", "i": "i\u0301", "o": "ó", "u": "ü", "n": "n"}
SHAPES = {
    "lower": str.lower,
    "upper": str.upper,
    "mixed": str.title,
    "trailing period": lambda word: word + ".",
    "spaces": lambda word: f"  {word} \n",
    "full width": lambda word: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word),
    "quotes": lambda word: f"“{word}”",
    "accents": lambda word: "".join(ACCENTED.get(letter, letter) for letter in word),
    "exclamation": lambda word: f"¡{word}!!!",
    "lines": lambda word: f"\n{word}\r\n",
    "emoji": lambda word: f"{word} 🙏",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("word", "kind"), ROWS)
def test_s1_the_whole_table_in_every_shape(word: str, kind: TextClass, shape: str) -> None:
    assert read_keyword(SHAPES[shape](word)).kind is kind


@pytest.mark.parametrize("text", ["opt-out", "OPT OUT", "optout", "Opt–Out!", "arrêt", "ARRÊTE", "no más"])
def test_t1_spellings_of_the_same_word(text: str) -> None:
    assert read_keyword(text).kind is TextClass.STOP


@pytest.mark.parametrize(
    "text",
    [
        "Stop texting me",
        "please take me off your list",
        "no more messages",
        "leave me alone",
        "wrong number, stop",
        "Don't text me again",
        "Hi there. I never signed up. STOP",
        "Harold is deceased, please stop texting his phone",
        "If you text me again I will report you to the FCC",
        "no mas mensajes por favor",
        "Ne m'envoyez plus de SMS",
        "Bitte schreiben Sie mir nicht mehr",
        "me tira dessa lista",
        "Smettila di mandarmi messaggi",
        "Stuur me geen sms'jes meer",
    ],
)
def test_t2_an_evident_wish_in_plain_words_stops_marked_for_a_person(text: str) -> None:
    reading = read_keyword(text)

    assert (reading.kind, reading.evident) == (TextClass.UNCLEAR, True)
    assert reading.rule.startswith("sentence:")


@pytest.mark.parametrize(
    "text", ["STOP PLEASE", "help stop", "pls stop", "S T O P", "Sotp", "stopp!!", "🛑", "unsuscribe", "STOP, gracias"]
)
def test_t1_a_keyword_with_politeness_or_one_slip_is_the_keyword(text: str) -> None:
    assert read_keyword(text).kind is TextClass.STOP


@pytest.mark.parametrize(
    "text", ["I think you have the wrong number", "not interested", "Kein Interesse", "Stop Quickfit"]
)
def test_t2_a_hint_holds_marketing_until_a_person_looked(text: str) -> None:
    reading = read_keyword(text)

    assert (reading.kind, reading.evident) == (TextClass.UNCLEAR, False)


@pytest.mark.parametrize(
    "text",
    [
        "what time do you stop?",
        "don't stop believing",
        "I'll be there at the end",
        "can you cancel my Tuesday slot?",
        "Is there a bus stop nearby?",
        "yes please see you then",
        "",
        "👍",
        "Liked “Spring offers. Reply STOP to opt out”",
        "Loved “Northwind: your scan is on Friday. Reply STOP to end”",
        "See you Friday.\n> Spring offers. Reply STOP to opt out",
        "Thanks! Reply STOP to end",
        "Fwd: please take me off your list",
        "Running late, can't stop, be there at 9",
        "Please don't stop sending these, I love them",
        "step",
        "shop",
        "The nonstop flight is cheaper",
        "Do you take walk-ins? I can't text while driving",
        "My number changed, please use this one",
        "Ich kann heute nicht mehr kommen, geht Freitag?",
        "Ich melde mich morgen wieder",
        "No puedo ir hoy, ¿puede ser el viernes?",
        "No quiero llegar tarde",
        "Je ne peux plus venir demain",
        "Je n'ai pas reçu la facture",
        "Não consigo ir hoje, pode ser sexta?",
        "Non posso venire oggi, va bene venerdì?",
        "Ik kan vandaag niet meer komen",
        "Sent from my iPhone",
    ],
)
def test_s1_ordinary_conversation_is_nothing(text: str) -> None:
    assert read_keyword(text).kind is TextClass.NONE


@given(st.text(max_size=200))
def test_reading_never_crashes_and_normalising_twice_changes_nothing(text: str) -> None:
    read_keyword(text)

    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize("held", [False, True], ids=["seen", "held out"])
def test_the_reader_keeps_what_was_measured(held: bool) -> None:
    """docs/reading-texts.md has the figures; ``python -m tests.reading`` prints them and the misses."""
    from tests.reading import optouts, stop_files

    texts = [text for path in stop_files(held=held) for _, text in optouts(path)]
    missed = [text for text in texts if not read_keyword(text).wants_no_more]

    assert len(texts) >= 400
    assert len(missed) <= (0.01 if held else 0.001) * len(texts)


def test_ordinary_replies_full_of_such_words_are_rarely_held() -> None:
    from tests.reading import optouts, ordinary_files

    texts = [text for path in ordinary_files(held=False) for _, text in optouts(path)]
    held = [text for text in texts if read_keyword(text).wants_no_more]

    assert len(held) <= 0.02 * len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "How do I get these to stop??? I've asked twice",
        "consent withdrawn",
        "Done. Remove.",
        "dame de vaja",
        "plus rien svp",
    ],
)
def test_t2_what_no_table_knows_is_weighed_and_held_for_a_person(text: str) -> None:
    reading = read_keyword(text)

    assert (reading.kind, reading.evident) == (TextClass.UNCLEAR, False)


@pytest.mark.parametrize(
    "text", ["My number changed, stop texting this one", "I signed up by mistake, please remove me from your list"]
)
def test_words_of_the_contrary_do_not_outweigh_a_plain_wish(text: str) -> None:
    assert read_keyword(text).wants_no_more


@pytest.mark.parametrize(
    "text",
    [
        "I accidentally unsubscribed from the emails, can you sign me up again?",
        "I did not unsubscribe! why havent I had any texts this month?",
        "estoy de baja médica hasta el lunes, ¿puede ser la semana que viene?",
        "Hab mich aus Versehen abgemeldet, bitte wieder eintragen",
    ],
)
def test_conversation_outweighs_a_sentence_that_only_looks_like_a_wish(text: str) -> None:
    assert read_keyword(text).kind is TextClass.NONE
