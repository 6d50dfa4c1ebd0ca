"""Secrets that the studio hands out: made here, shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(r"igs_[0-9A-Za-z]{40}_[0-9a-f]{8}")


def new_secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """Return an API token: a prefix that scanners can look for, 238 random bits, a checksum."""
    body = "igs_" + "".join(secrets.choice(_ALPHABET) for _ in range(40))
    return f"{body}_{zlib.crc32(body.encode()):08x}"


def is_token(text: str) -> bool:
    """Tell whether `text` can be a token of ours, so that noise never reaches the database."""
    if not _TOKEN.fullmatch(text):
        return False
    body, checksum = text.rsplit("_", 1)
    return f"{zlib.crc32(body.encode()):08x}" == checksum


def digest(secret: str) -> str:
    """Return the hash under which a random secret is stored and found (it needs no salt: it is random)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def keep_once(path: Path, make: Callable[[], str]) -> str:
    """Return the secret in the file `path`; the first process to come makes it, and its folder. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _write_once(path, make())
    return path.read_text(encoding="ascii").strip()


def _write_once(path: Path, text: str) -> None:
    """Write `text` to `path`, readable by its owner only, unless another process was quicker.

    A link makes the whole file appear at once, so nobody ever reads half a key.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(draft, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
