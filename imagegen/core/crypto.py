"""Secrets of others that must be read again, such as an organisation's key to a provider: sealed while at rest.

Fernet (AES-128-CBC with HMAC-SHA256) as the library `cryptography` makes it. The first key seals and all of them
open, so a new one is put in front, what lies is sealed anew, and then the old one can go.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_KEY_BYTES = 32
_URL_SAFE = str.maketrans("+/", "-_")
_END = "\n"


class CannotOpen(Exception):
    """What was sealed was sealed with a key that is not there any more, for something else, or was tampered with."""


def new_key() -> str:
    """Return a key that seals: 32 random bytes as base64."""
    return Fernet.generate_key().decode()


def read_key(text: str) -> str:
    """Return a key in the form that `Sealer` takes; raise ValueError if `text` is not base64 of 32 bytes.

    Both alphabets of base64 will do: `openssl rand -base64 32` writes the one that Fernet does not read.
    """
    key = text.strip().translate(_URL_SAFE)
    try:
        size = len(base64.b64decode(key, altchars=b"-_", validate=True))
    except binascii.Error:
        size = 0
    if size != _KEY_BYTES:
        raise ValueError("not base64 of 32 bytes")
    return key


class Sealer:
    """Seals and opens texts. `about` says what a text is for; it opens as that alone.

    So a sealed text that somebody copies into another row of the database is worth nothing there.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        """Take the keys, the one that seals first; raise ValueError if there is none, or one is no key."""
        self._fernet = MultiFernet(Fernet(key) for key in keys)

    def seal(self, text: str, *, about: str) -> str:
        """Return `text` sealed, different each time; `about` is one line."""
        return self._fernet.encrypt(f"{about}{_END}{text}".encode()).decode()

    def open(self, sealed: str, *, about: str) -> str:
        """Return what was sealed as `about`; raises CannotOpen."""
        try:
            told, _, text = self._fernet.decrypt(sealed.encode()).decode().partition(_END)
        except InvalidToken:
            raise CannotOpen("no key opens this") from None
        if told != about:
            raise CannotOpen("this was sealed for something else")
        return text

    def rotate(self, sealed: str) -> str:
        """Return the same text, sealed with the first key; raises CannotOpen."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            raise CannotOpen("no key opens this") from None
