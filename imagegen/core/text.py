"""Words: the gettext marker, and cleaning of what people type."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def N_(message: str) -> str:
    """Mark `message` for translation where no language is known yet; the page translates it."""
    return message


def clean(text: str) -> str:
    """Return `text` as it may be stored: NFC, one kind of newline, no control characters or lone surrogates.

    PostgreSQL stores neither NUL nor surrogates, and log lines and streams must not be forged by them.
    """
    text = text.encode("utf-8", "ignore").decode("utf-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", unicodedata.normalize("NFC", text))


def one_line(text: str, limit: int) -> str:
    """Return `text` on one line, cut at `limit` characters with an ellipsis."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
