"""Words: sentences that can still be translated, and cleaning of what people type."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Self, SupportsIndex

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PLACE = re.compile(r"\{(\w+)\}")

Part = tuple[str, dict[str, str]]
"""An English sentence with places in braces, and what stands in them."""


class Message(str):
    """An English sentence that remembers what it was made of, so that a page can say it in another language.

    It is made far from any page (a provider refuses a size), where no language is known. `format` fills the places
    in braces and `+` joins sentences, as with any text; only `{name}` is a place, so what stands in one is never
    read as a pattern.
    """

    parts: tuple[Part, ...]

    def __new__(cls, text: str, parts: tuple[Part, ...] | None = None) -> Self:
        """Make one from English text, or from parts whose English text is `text`."""
        made = super().__new__(cls, text)
        made.parts = ((text, {}),) if parts is None else parts
        return made

    def format(self, *_: object, **values: object) -> Message:
        """Return the sentence with its places filled."""
        filled = {name: value if isinstance(value, Message) else str(value) for name, value in values.items()}
        ((pattern, _before),) = self.parts
        return Message(_fill(pattern, filled), ((pattern, filled),))

    def __add__(self, other: str) -> Message:
        """Return this and `other`, one after the other."""
        more = other.parts if isinstance(other, Message) else ((other, {}),)
        return Message(str.__add__(self, other), (*self.parts, *more))

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Copy and pickle as what it is."""
        return (str(self), self.parts)

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> str:
        """Return plain text if anything is replaced, for the parts would not know of it."""
        replaced = str.replace(self, old, new, count)
        return self if replaced == str(self) else replaced


def _fill(pattern: str, values: dict[str, str]) -> str:
    return _PLACE.sub(lambda place: values.get(place[1], place[0]), pattern)


def N_(message: str) -> Message:
    """Mark `message` for translation where no language is known yet; the page translates it."""
    return Message(message)


def translate(text: str, gettext: Callable[[str], str]) -> str:
    """Return `text` in the language of `gettext`; what is no Message is looked up as it stands."""
    if not isinstance(text, Message):
        return gettext(text) if text.strip() else text
    return "".join(_translate_part(part, gettext) for part in text.parts)


def _translate_part(part: Part, gettext: Callable[[str], str]) -> str:
    pattern, values = part
    if not pattern.strip():
        return pattern
    words = {name: translate(v, gettext) if isinstance(v, Message) else v for name, v in values.items()}
    return _fill(gettext(pattern), words)


def clean(text: str) -> str:
    """Return `text` as it may be stored: NFC, one kind of newline, no control characters or lone surrogates.

    PostgreSQL stores neither NUL nor surrogates, and log lines and streams must not be forged by them.
    """
    text = text.encode("utf-8", "ignore").decode("utf-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", unicodedata.normalize("NFC", text))


def is_visible(text: str) -> bool:
    """Say whether anything of `text` can be seen: not what only joins, marks a direction or takes up room."""
    return any(unicodedata.category(letter)[0] not in "CMZ" for letter in text)


def one_line(text: str, limit: int) -> str:
    """Return `text` on one line, cut at `limit` with an ellipsis; a Message that needs neither stays one."""
    line = " ".join(clean(text).split())
    if line == text:
        line = text
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
