"""Names for things that leave the house."""

from __future__ import annotations

import re

import uuid_utils

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """Return a UUIDv7 as text: unguessable, and sorted by time so that indexes stay compact."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an id, so that nonsense never reaches a query."""
    return bool(_UUID.fullmatch(text))
