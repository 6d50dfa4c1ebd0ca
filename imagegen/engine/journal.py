"""Answers that were paid for, on this host's disk until what they brought stands in the library.

A process that dies between the provider's answer and our commit leaves its answer here; the next one puts it away.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import structlog

from imagegen.engine.claims import Claim
from imagegen.providers.calls import ImagePayload, ImageResult, Usage
from imagegen.services import kept_answers
from imagegen.services.kept_answers import KeptAnswer

log = structlog.get_logger(__name__)

_HALF_KEPT_SECONDS = 24 * 3600.0
"""What is no whole answer was begun by a process that died, or is not ours."""


@contextmanager
def kept(claim: Claim, result: ImageResult) -> Iterator[None]:
    """Keep `result` while the block puts it away. Only the death of this process leaves it on the disk."""
    path = kept_answers.path_of(claim.attempt_id)
    try:
        file = _write(path, claim, result)
    except OSError as error:
        # It is in memory still, and whoever puts it away waits for space.
        log.warning("journal.not_kept", error=str(error), shot=claim.shot_id)
        yield
        return
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def adopt(put_away: Callable[[Claim, ImageResult], None]) -> int:
    """Put away the answers of processes that died; return how many. What is left to people is said in the log."""
    count = 0
    for path in sorted(kept_answers.folder().iterdir()):
        with suppress(FileNotFoundError):
            answer = kept_answers.read(path)
            if answer is not None:
                with path.open("rb") as file:
                    count += _adopt(answer, file, put_away)
            elif path.stat().st_mtime < time.time() - _HALF_KEPT_SECONDS:
                path.unlink()
    return count


def _adopt(answer: KeptAnswer, file: BinaryIO, put_away: Callable[[Claim, ImageResult], None]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False  # whoever heard the answer lives
    told = {"attempt": answer.attempt_id, "tries": answer.tries, "file": str(answer.path)}
    if answer.too_old:
        answer.path.unlink()
        log.error("journal.forgotten", **told)
        return False
    if answer.given_up:
        log.error("journal.left_to_people", **told)
        return False
    counted = answer.path.rename(kept_answers.path_of(answer.attempt_id, tries=answer.tries + 1))
    try:
        put_away(*_read(file))
    except Exception:
        log.exception("journal.not_put_away", **told)
        return False
    counted.unlink(missing_ok=True)
    return True


def _write(path: Path, claim: Claim, result: ImageResult) -> BinaryIO:
    """Write the answer to `path`, complete or not at all; return it open and locked for as long as we live.

    It need not be synced: a process's death loses nothing that it has written, and a power cut finds it `unknown`.
    """
    payload = result.images[0]
    head = {
        "claim": {"shot_id": claim.shot_id, "attempt_id": claim.attempt_id}
        | {"organisation_id": claim.organisation_id, "fence": claim.fence},
        "picture": {"mime_type": payload.mime_type, "seed": payload.seed},
        "usage": asdict(result.usage) if result.usage else None,
        "said": {"request_id": result.request_id, "model_returned": result.model_returned},
    }
    begun = path.with_suffix(".begun")
    file = begun.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(head).encode() + b"\n")
        file.write(payload.data)  # apart: put together they would be copied first
        file.flush()
        begun.rename(path)
    except OSError:
        file.close()
        begun.unlink(missing_ok=True)
        raise
    return file


def _read(file: BinaryIO) -> tuple[Claim, ImageResult]:
    head = json.loads(file.readline())
    usage = Usage(**head["usage"]) if head["usage"] else None
    picture = ImagePayload(data=file.read(), **head["picture"])
    return Claim(**head["claim"]), ImageResult(images=(picture,), usage=usage, **head["said"])
