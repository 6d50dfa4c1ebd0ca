"""Something to store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from imagegen.core.ids import new_id
from imagegen.storage import keys


@dataclass(frozen=True)
class Sample:
    """Bytes, and the key under which they belong."""

    data: bytes
    key: str


ORG, USER = new_id(), new_id()


def sample(data: bytes = b"some pixels", org: str = ORG, user: str = USER) -> Sample:
    return Sample(data, keys.file_key(org, user, hashlib.sha256(data).hexdigest(), "png"))
