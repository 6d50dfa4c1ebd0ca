"""Secrets that the studio hands out: made here, shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

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
