"""Every text is translated, into every language, with the same placeholders; texts by SMS fit their part."""

import re
from collections import Counter

import pytest

from prefs import words
from prefs.services import replies
from prefs.services.organisation import Organisation
from tests import catalogues

TRANSLATED = [code for code in words.LANGUAGES if code != words.DEFAULT]
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
_SAMPLE = Organisation("Northwind Imaging", "1 Sample Street, Sampletown", "555 0100", "privacy@northwind.example")


def forms(text: object) -> list[str]:
    return [text] if isinstance(text, str) else [str(one) for one in text]  # type: ignore[attr-defined]


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_text_is_untranslated_unused_or_in_doubt(language: str) -> None:
    wanted = {forms(message.id)[0] for message in catalogues.messages() if message.id}
    present = {forms(m.id)[0]: m for m in catalogues.read(language) if m.id}

    assert sorted(wanted - present.keys()) == [], "run: python -m tests.catalogues"
    assert sorted(present.keys() - wanted) == [], "run: python -m tests.catalogues"
    assert [text for text, message in present.items() if not all(forms(message.string))] == []
    assert [text for text, message in present.items() if message.fuzzy] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_translation_has_the_placeholders_of_its_text(language: str) -> None:
    differing = []
    for message in catalogues.read(language):
        original = Counter(_PLACEHOLDER.findall(forms(message.id)[-1]))
        for said in forms(message.string):
            given = Counter(_PLACEHOLDER.findall(said))
            shorter = "{org}" in original and given <= original and {"{org}"} <= given.keys()
            if given != original and not shorter:
                differing.append((message.id, said))

    assert differing == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_plural_forms_are_as_many_as_the_language_has(language: str) -> None:
    catalogue = catalogues.read(language)

    assert all(len(forms(m.string)) == catalogue.num_plurals for m in catalogue if isinstance(m.id, tuple))


@pytest.mark.parametrize("language", list(words.LANGUAGES))
@pytest.mark.parametrize("situation", [one for one in replies.SITUATIONS if one != replies.LINK])
def test_a_text_message_fits_one_part_in_every_language(language: str, situation: str) -> None:
    said = replies.word(situation, _SAMPLE, language, reference="NW-7K3M-92QD")

    foreign = replies.not_gsm_7(said)
    assert len(said) <= (replies.LONGEST_UNICODE if foreign else replies.LONGEST)
    assert not foreign or language == "ar"
    if situation in {replies.HELP, replies.ASK_FOR_YES, replies.UNCLEAR, replies.KEPT}:
        assert "STOP" in said


@pytest.mark.parametrize("language", list(words.LANGUAGES))
def test_the_answer_to_stop_persuades_nobody(language: str) -> None:  # rules.md T-7
    for situation in (replies.STOPPED, replies.STOPPED_EVERYWHERE, replies.STOPPED_EVERYTHING):
        said = replies.word(situation, _SAMPLE, language)
        assert "START" not in said
        assert "http" not in said


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_topics_every_installation_starts_with_are_translated(language: str) -> None:
    import tomllib
    from importlib import resources

    found = tomllib.loads(resources.files("prefs").joinpath("catalogue.toml").read_text())
    marketing = [topic for topic in found["topic"] if topic["message_class"] == "marketing"]

    assert all(topic["translations"][language]["name"] for topic in marketing)
