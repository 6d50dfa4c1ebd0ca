"""Why a start is refused."""

from __future__ import annotations


class StartError(Exception):
    """The studio cannot start here; the text is one sentence for the person who started it."""
