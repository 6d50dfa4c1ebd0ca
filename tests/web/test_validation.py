"""What pydantic finds wrong becomes a sentence of ours."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pytest
from flask import Flask
from flask_babel import force_locale
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core._pydantic_core import list_all_errors

from imagegen.core.text import N_
from imagegen.web import validation

KNOWN = {error["type"]: error.get("example_context") or {} for error in list_all_errors()}


class Wish(BaseModel, extra="forbid"):
    prompt: Annotated[str, Field(min_length=1, max_length=1200)]
    n: Annotated[int, Field(ge=1, le=8)] = 1
    shape: Literal["wide", "tall"] = "wide"
    sizes: Annotated[list[int], Field(max_length=2)] = []

    @model_validator(mode="after")
    def _not_both(self) -> Wish:
        if self.n == 3 and self.shape == "tall":
            raise ValueError(N_("There is no model “{model}”.").format(model="Tall"))
        return self


@pytest.mark.parametrize("kind", validation.SENTENCES)
def test_every_kind_is_one_of_pydantics_and_knows_what_the_sentence_asks_for(kind: str) -> None:
    assert kind in KNOWN
    assert set(re.findall(r"{(\w+)}", validation.SENTENCES[kind])) <= set(KNOWN[kind])


def wrong(app: Flask, language: str, **values: Any) -> dict[str | None, str | None]:
    with pytest.raises(ValidationError) as caught:
        Wish(**values)
    with app.test_request_context(), force_locale(language):
        return {found["field"]: found["message"] for found in validation.problems(caught.value)}


@pytest.mark.parametrize(
    ("values", "field", "english", "german"),
    [
        ({}, "prompt", "Write what the picture should show.", "Schreib, was das Bild zeigen soll."),
        (
            {"prompt": "x" * 1201},
            "prompt",
            "This may have at most 1,200 characters.",
            "Das darf höchstens 1.200 Zeichen haben.",
        ),
        ({"prompt": "x", "n": 9}, "n", "This must be at most 8.", "Das darf höchstens 8 sein."),
        ({"prompt": "x", "n": "many"}, "n", "This must be a whole number.", "Das muss eine ganze Zahl sein."),
        (
            {"prompt": "x", "shape": "round"},
            "shape",
            "This must be one of: wide, tall.",
            "Das muss eins von diesen sein: wide, tall.",
        ),
        (
            {"prompt": "x", "sizes": [1, "?"]},
            "sizes.1",
            "This must be a whole number.",
            "Das muss eine ganze Zahl sein.",
        ),
        ({"prompt": "x", "colour": "red"}, "colour", "There is no such field.", "Dieses Feld gibt es nicht."),
        (
            {"prompt": "x", "n": 3, "shape": "tall"},
            None,
            "There is no model “Tall”.",
            "Das Modell „Tall“ gibt es nicht.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_readers_language(
    app: Flask, values: dict[str, Any], field: str | None, english: str, german: str
) -> None:
    assert wrong(app, "en", **values) == {field: english}
    assert wrong(app, "de", **values) == {field: german}


def test_a_kind_that_nobody_has_put_into_words_gets_a_plain_sentence(app: Flask) -> None:
    class Call(BaseModel):
        back: Annotated[bytes, Field(max_length=1)]

    with pytest.raises(ValidationError) as caught:
        Call(back=b"long")
    with app.test_request_context():
        found = validation.problems(caught.value)
        assert found == [{"field": "back", "message": "This is not right."}]
        assert validation.first_sentence(found) == "back: This is not right."
