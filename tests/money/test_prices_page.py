"""Prices over the studio's own: written by operators, dated, and in force at once and everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.dates import format_date
from flask import Flask

from imagegen.app import create_app
from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.extensions import runtime
from imagegen.providers.price_book import FILE, PriceBook
from imagegen.services import generation, people
from imagegen.services.audit import COMMAND_LINE
from imagegen.services.generation import GenerationRequest
from imagegen.settings import Settings, SettingsError
from tests.conftest import Person
from tests.money.books import EACH, MODEL

PAGE = f"/admin/prices/openai/{MODEL}"
FREE = {"free": True, "source": "a gift"}


@pytest.fixture
def operator(ann: Person) -> Person:
    people.set_operator(by=COMMAND_LINE, email="ann@one.example", operator=True)
    return ann


def estimate() -> int | None:
    request = GenerationRequest(prompt="x", provider="openai", model=MODEL, quality="medium", size="1024x1024")
    return generation.plan(request).estimate


def test_every_model_is_shown_with_price_date_and_source(operator: Person) -> None:
    page = operator.client.get("/admin/prices").text

    for offer in runtime.providers.models():
        assert f'aria-label="{offer.spec.label}"' in page
    assert "$0.011" in page
    assert "OpenAI&#39;s price page." in page
    assert "Checked November 20, 2026." in page


def test_a_model_without_a_price_is_marked(operator: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(runtime.prices), "_price", lambda *_: None)
    assert "Price unknown" in operator.client.get("/admin/prices").text


def test_an_operator_s_price_holds_at_once_in_every_process(operator: Person, settings: Settings) -> None:
    other = create_app(settings)
    assert estimate() == EACH
    answer = operator.post(PAGE, **{"1024x1024-medium": "0.5", "source": "our contract"})

    assert answer.status_code == 303
    assert estimate() == 500_000
    with other.app_context():
        assert estimate() == 500_000
    page = operator.client.get("/admin/prices").text
    assert "our contract" in page
    assert f"Checked {format_date(now().date(), 'long', locale='en')}." in page

    operator.post(f"{PAGE}/restore")
    assert estimate() == EACH


@pytest.mark.parametrize("form", [{}, {"1024x1024-medium": "cheap"}, {"1024x1024-medium": "0.5", "text_in": "1"}])
def test_what_is_no_price_changes_nothing(operator: Person, form: dict[str, str]) -> None:
    answer = operator.post(PAGE, **form)

    assert answer.status_code == 422
    assert "field__error" in answer.text or "This is no price" in answer.text
    assert estimate() == EACH


def test_only_operators_see_and_write_prices(make_person) -> None:
    admin = make_person("eve@one.example", "One", role="admin")
    assert admin.client.get("/admin/prices").status_code == 403
    assert admin.client.get(PAGE).status_code == 403
    assert admin.post(PAGE, free="1").status_code == 403
    assert admin.post(f"{PAGE}/restore").status_code == 403


def test_a_model_that_does_not_exist_has_no_page(operator: Person) -> None:
    assert operator.client.get("/admin/prices/openai/nothing").status_code == 404


def test_a_spoilt_file_changes_nothing_while_the_studio_runs(tmp_path: Path) -> None:
    book = PriceBook(tmp_path / FILE)
    before = book.table
    (tmp_path / FILE).write_text("providers: [", encoding="utf-8")

    assert book.table is before


@pytest.mark.parametrize("text", ["providers: [", "- a list", "providers: [a list]", "providers: {openai: text}"])
def test_a_spoilt_file_is_told_where_it_is_needed(settings: Settings, operator: Person, text: str) -> None:
    (settings.studio_data_dir / FILE).write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=f"{FILE} is not a table of prices"):
        create_app(settings)
    answer = operator.client.get("/admin/prices")
    assert (answer.status_code, "is not a table of prices" in answer.text) == (422, True)


def test_a_price_keeps_those_of_other_models(tmp_path: Path) -> None:
    book = PriceBook(tmp_path / FILE)
    book.override("one", "first", FREE, today=now().date())
    book.override("one", "second", FREE, today=now().date())
    book.restore("one", "first", today=now().date())

    assert [book.overridden("one", name) for name in ("first", "second")] == [False, True]
    with pytest.raises(StudioError):
        book.override("one", "second", {"source": "none"}, today=now().date())
    assert book.overridden("one", "second")


def test_the_studio_s_own_table_holds_without_a_file(app: Flask) -> None:
    assert not (runtime.settings.studio_data_dir / FILE).exists()
    assert estimate() == EACH
