"""The answers of providers that lie on this host's disk: what their files are called, and which are left to people.

`engine.journal` writes them and puts them away; here is what operators and the cleaning see of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagegen.core.clock import now
from imagegen.extensions import runtime

MOST_TRIES = 3
"""An answer that brought down whoever put it away so often is left to people."""
SOON = timedelta(days=1)
"""A host that works has put its answers away long before."""
LONGEST_KEPT = timedelta(days=30)
"""As long as what lies in the trash."""

_NAME = re.compile(r"([0-9]+)-([0-9]+)\.answer")


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer in a file: to which attempt (its id), heard when, and how often somebody tried to put it away."""

    path: Path
    attempt_id: int
    tries: int
    heard_at: datetime
    bytes: int

    @property
    def given_up(self) -> bool:
        """Whether nobody tries any more."""
        return self.tries >= MOST_TRIES

    @property
    def left(self) -> bool:
        """Whether it should have been put away long ago."""
        return self.given_up or self.heard_at < now() - SOON

    @property
    def too_old(self) -> bool:
        """Whether it has been kept for long enough."""
        return self.heard_at < now() - LONGEST_KEPT


def folder() -> Path:
    """Return where they lie, made if need be."""
    found = runtime.settings.studio_data_dir / "answers"
    found.mkdir(mode=0o700, exist_ok=True)
    return found


def path_of(attempt_id: int, *, tries: int = 0) -> Path:
    """Return where the answer to a call lies after so many `tries` to put it away."""
    return folder() / f"{attempt_id}-{tries}.answer"


def read(path: Path) -> KeptAnswer | None:
    """Return what the file at `path` is; None for what is no answer. Raises FileNotFoundError."""
    name = _NAME.fullmatch(path.name)
    if name is None:
        return None
    facts = path.stat()
    heard_at = datetime.fromtimestamp(facts.st_mtime, UTC)
    return KeptAnswer(path, int(name[1]), int(name[2]), heard_at, facts.st_size)


def left() -> Iterator[KeptAnswer]:
    """Yield those that nobody has put away in time, the oldest call first: they were paid for."""
    found = []
    for path in folder().iterdir():
        with suppress(FileNotFoundError):  # put away meanwhile
            answer = read(path)
            if answer is not None and answer.left:
                found.append(answer)
    yield from sorted(found, key=lambda answer: answer.attempt_id)
