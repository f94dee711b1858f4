"""Keywords: rules.md S-1, T-1, T-2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefs.domain.keywords import TABLE, normalise, read_keyword
from prefs.domain.terms import TextClass

ROWS = [(word, row.kind) for row in TABLE for word in row.words]
SHAPES = {
    "lower": str.lower,
    "upper": str.upper,
    "mixed": str.title,
    "trailing period": lambda word: word + ".",
    "spaces": lambda word: f"  {word} \n",
    "full width": lambda word: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word),
    "quotes": lambda word: f"“{word}”",
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
        "STOP PLEASE",
        "help stop",
        "Don't text me again",
    ],
)
def test_t2_an_evident_wish_in_plain_words_is_held_for_a_person(text: str) -> None:
    assert read_keyword(text).kind is TextClass.UNCLEAR


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
    ],
)
def test_s1_ordinary_conversation_is_nothing(text: str) -> None:
    assert read_keyword(text).kind is TextClass.NONE


@given(st.text(max_size=200))
def test_reading_never_crashes_and_normalising_twice_changes_nothing(text: str) -> None:
    read_keyword(text)

    assert normalise(normalise(text)) == normalise(text)
