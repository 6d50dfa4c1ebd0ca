"""The catalogues: whole, looked at, true to the English, and what the program reads is what translators wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

from imagegen.prompts.styles import styles
from imagegen.web.language import LANGUAGES
from scripts import messages

PLACE = re.compile(r"%\(\w+\)[a-z]|\{\w+\}")
CATALOGUES = messages.catalogues()


@pytest.fixture(scope="module")
def template() -> Catalog:
    """Every message in the source."""
    return messages.gather()


@pytest.fixture(params=list(CATALOGUES.items()), ids=list(CATALOGUES))
def path(request: pytest.FixtureRequest) -> Path:
    """The file of one language's translations."""
    return request.param[1]


def test_every_language_but_english_has_a_catalogue() -> None:
    assert {"en", *CATALOGUES} == set(LANGUAGES)


def test_the_words_of_data_files_are_gathered_too(template: Catalog) -> None:
    assert [style.label for style in styles() if style.label not in template] == []


def test_nothing_is_missing_in_a_catalogue_and_nothing_left_over(path: Path, template: Catalog) -> None:
    gathered, translated = ids_of(template), ids_of(messages.read(path))
    assert translated - gathered == set(), "run `make messages`"
    assert gathered - translated == set(), "run `make messages`, then translate"


def ids_of(catalogue: Catalog) -> set[object]:
    return {message.id for message in catalogue if message.id}


def test_every_message_is_translated_and_none_is_a_guess(path: Path) -> None:
    assert [message.id for message in messages.untranslated(messages.read(path))] == []


def test_translations_have_the_places_of_the_english(path: Path) -> None:
    assert [message.id for message in translated(path) if other_places(message)] == []


def translated(path: Path) -> list[Message]:
    return [message for message in messages.read(path) if message.id and all(forms(message.string))]


def test_german_speaks_to_its_reader_in_one_way() -> None:
    """The whole studio says `du`; one sentence with `Sie` in between reads like somebody else's."""
    formal = re.compile(r"en Sie\b|\bSie (?:können|haben|sind)\b|\bIhnen\b|\bIhre?[nmrs]? (?!Feld)")
    texts = [form for message in translated(CATALOGUES["de"]) for form in forms(message.string)]
    assert [text for text in texts if formal.search(text)] == []


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else (text,)


def other_places(message: Message) -> bool:
    """Tell whether a form of the translation names other places than both forms of the English do."""
    allowed = [sorted(PLACE.findall(text)) for text in forms(message.id)]
    return any(sorted(PLACE.findall(form)) not in allowed for form in forms(message.string))


def test_every_form_of_a_plural_is_there(path: Path) -> None:
    catalogue = messages.read(path)
    plurals = [message for message in catalogue if message.pluralizable]
    assert plurals
    assert [message.id for message in plurals if len(message.string) != catalogue.num_plurals] == []


def test_translations_begin_and_end_as_the_english_does(path: Path) -> None:
    """With a space or without, and sentences with their stop: they are put one after the other."""
    singles = [message for message in translated(path) if isinstance(message.id, str)]
    assert [message.id for message in singles if edges(message.id) != edges(message.string)] == []


def edges(text: str) -> tuple[bool, bool, bool]:
    return text[0].isspace(), text[-1].isspace(), text.endswith(".")


def test_what_the_program_reads_is_what_translators_wrote(path: Path) -> None:
    assert path.with_suffix(".mo").read_bytes() == messages.compiled(messages.read(path)), "run `make messages`"


def test_gathering_a_second_time_changes_nothing(path: Path, template: Catalog, tmp_path: Path) -> None:
    copy = tmp_path.joinpath(*path.parts[-3:])
    copy.parent.mkdir(parents=True)
    copy.write_bytes(path.read_bytes())
    first = messages.update(copy, template).read_bytes()
    assert messages.update(copy, template).read_bytes() == first
