"""Pages of a list by key: the cursor says after which row the next page begins, not how many were before."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagegen.core.errors import StudioError
from imagegen.core.text import N_

PAGE = 40
LONGEST_CURSOR = 512

_ID = re.compile(r"i([0-9]{1,18})")
_KEYED = re.compile(r"([un])([0-9]{1,18})\.([^\0]*)")


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and the cursor of what follows; None at the end."""

    items: Sequence[Any]
    next_cursor: str | None


def encode_cursor(row_id: int) -> str:
    """Return an opaque cursor for the row after which a list goes on."""
    return _encode(f"i{row_id}")


def decode_cursor(cursor: str | None) -> int | None:
    """Return the row after which a list goes on; raises StudioError for what is no cursor of ours."""
    if not cursor:
        return None
    found = _ID.fullmatch(_decode(cursor))
    if found is None:
        raise _not_ours()
    return int(found[1])


def encode_keyed_cursor(letter: str, row_id: int, key: object) -> str:
    """Return an opaque cursor for a list in the order of `key` and then of ids; `letter` says which key."""
    return _encode(f"{letter}{row_id}.{key}")


def decode_keyed_cursor(cursor: str | None, letter: str) -> tuple[str, int] | None:
    """Return the key and the row after which a list goes on; raises StudioError for a cursor of another order."""
    if not cursor:
        return None
    found = _KEYED.fullmatch(_decode(cursor))
    if found is None or found[1] != letter or (letter == "u" and not re.fullmatch(r"[0-9]{1,9}", found[3])):
        raise _not_ours()
    return found[3], int(found[2])


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.urlsafe_b64decode(padded.encode("ascii")).decode() if len(cursor) <= LONGEST_CURSOR else ""
    except (binascii.Error, UnicodeError, ValueError):
        return ""


def _not_ours() -> StudioError:
    return StudioError(N_("This cursor is not one of ours. Start again at the first page."), field="cursor")
