"""What is accepted as a password of the staff (reliability.md item 19)."""

import pytest

from prefs.errors import InvalidInput
from prefs.services.passwords import LONGEST, Passwords
from tests.make import QUICK


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short words", "too_short"),
        ("x" * (LONGEST + 1), "too_long"),
        ("qwerty123456", "breached"),
        ("QWERTY123456", "breached"),
        ("password12345!", "breached"),
        ("!!2026--princess--2026!!", "breached"),
        ("iloveyouiloveyou", "breached"),
        ("zzzyyyzzzyyyzzzyyy", "repetitive"),
        ("abababababababab", "repetitive"),
        ("sam.smith-2026", "about_you"),
        ("Northwind 2026!!", "about_you"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        QUICK.check(password, ["sam.smith", "northwind"])

    assert caught.value.code == code
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "длинный пароль из слов",
        "x7#" * 20 + "mnbq",
        "twelve chars",
        "nur kleine buchstaben hier",
    ],
)
def test_long_ones_of_any_letters_are_taken_without_rules_of_composition(password: str) -> None:
    assert QUICK.check(password, ["sam"])


def test_sixty_four_characters_and_more_all_count() -> None:
    base = "a long run of words that goes on and on and on until it is over 64 "
    stored = QUICK.hash(base + "one")

    assert QUICK.matches(stored, base + "one")
    assert not QUICK.matches(stored, base + "two")


def test_letters_that_keyboards_write_in_two_ways_are_the_same() -> None:
    assert QUICK.matches(QUICK.hash("Zu\u0308rich am See"), "Z\u00fcrich am See")


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=8,t=1,p=1$broken"])
def test_without_a_stored_password_nothing_fits(stored: str | None) -> None:
    assert not QUICK.matches(stored, "")
    assert not QUICK.matches(stored, "\0nobody")


def test_what_is_stored_is_argon2id_of_the_lower_memory_parameters() -> None:
    assert Passwords().hash("correct horse battery").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
