"""Styles: data that wraps a person's words (`styles.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from imagegen.core.errors import StudioError
from imagegen.core.text import N_


class Style(BaseModel):
    """One style. `pattern` holds `{prompt}` once; `example` is a prompt for the style's own picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"[a-z0-9-]{1,40}")
    label: str
    pattern: str = Field(pattern=r"\{prompt\}")
    negative: str = ""
    example: str = ""


@cache
def styles() -> tuple[Style, ...]:
    """Return the styles that every organisation has, in the order in which they are offered."""
    text = Path(__file__).with_name("styles.yaml").read_text(encoding="utf-8")
    return tuple(TypeAdapter(list[Style]).validate_python(yaml.safe_load(text)))


def find_style(style_id: str) -> Style:
    """Return the style with this id; raises StudioError with a sentence that lists what there is."""
    for style in styles():
        if style.id == style_id:
            return style
    choices = ", ".join(style.id for style in styles())
    raise StudioError(N_("There is no such style. Choose one of: {choices}.").format(choices=choices), field="style")
