"""The names of stored files: made of our own ids and hashes only, never of anything that a person typed.

    orgs/<org>/users/<user>/files/<aa>/<sha256>.<ext>             a picture as the studio shows it
    orgs/<org>/users/<user>/received/<aa>/<sha256>.<ext>          a provider's bytes, exact
    orgs/<org>/users/<user>/renditions/<aa>/<sha256>-<width>.webp  made from the file with that hash

<aa> are the hash's first two digits, so that no folder grows without bounds.
"""

from __future__ import annotations

import re

from imagegen.core.ids import is_id
from imagegen.core.text import N_
from imagegen.storage.errors import InvalidKey

EXTENSIONS = ("png", "jpg", "webp", "gif", "avif", "heic")
_HASH = re.compile(r"[0-9a-f]{64}")
_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEY = re.compile(
    rf"orgs/{_ID}/users/{_ID}/"
    rf"(?:(?P<kind>files|received)/(?P<fan>[0-9a-f]{{2}})/(?P<sha>(?P=fan)[0-9a-f]{{62}})\.(?:{'|'.join(EXTENSIONS)})"
    r"|renditions/(?P<rfan>[0-9a-f]{2})/(?P=rfan)[0-9a-f]{62}-[1-9][0-9]{0,4}\.webp)"
)
_PREFIX = re.compile(r"(?:[a-z0-9][a-z0-9.-]*(?:/[a-z0-9][a-z0-9.-]*)*/?)?")
_LONGEST = 512


def file_key(org: str, user: str, sha256: str, extension: str) -> str:
    """Return the key of a picture's file; InvalidKey unless all parts have their form."""
    return check(f"{_folder(org, user)}/files/{_fanned(sha256)}.{extension}")


def received_key(org: str, user: str, sha256: str, extension: str) -> str:
    """Return the key of the bytes that a provider sent."""
    return check(f"{_folder(org, user)}/received/{_fanned(sha256)}.{extension}")


def rendition_key(org: str, user: str, sha256: str, width: int) -> str:
    """Return the key of the rendition, `width` wide, of the file with the hash `sha256`."""
    return check(f"{_folder(org, user)}/renditions/{_fanned(sha256)}-{width}.webp")


def user_prefix(org: str, user: str) -> str:
    """Return the prefix of everything stored for `user` in `org`."""
    return f"{_folder(org, user)}/"


def check(key: str) -> str:
    """Return `key` if it is one of ours, else raise InvalidKey; no other text ever becomes a path."""
    if len(key) > _LONGEST or not _KEY.fullmatch(key):
        raise InvalidKey(N_("There is no such file."))
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` if a key could begin with it, else raise InvalidKey."""
    if len(prefix) > _LONGEST or not _PREFIX.fullmatch(prefix):
        raise InvalidKey(N_("There is no such folder."))
    return prefix


def content_hash(key: str) -> str | None:
    """Return the SHA-256 (hex) that the stored bytes must have, or None for a rendition."""
    found = _KEY.fullmatch(key)
    return found["sha"] if found else None


def _folder(org: str, user: str) -> str:
    if not (is_id(org) and is_id(user)):
        raise InvalidKey(N_("There is no such folder."))
    return f"orgs/{org}/users/{user}"


def _fanned(sha256: str) -> str:
    if not _HASH.fullmatch(sha256):
        raise InvalidKey(N_("There is no such file."))
    return f"{sha256[:2]}/{sha256}"
