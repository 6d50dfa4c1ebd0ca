"""What can go wrong with stored files."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from imagegen.core.errors import ErrorKind, StudioError
from imagegen.core.text import N_

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""No space, no quota, and the longest file that a limit of the process or the file system allows."""


class StorageError(StudioError):
    """A file could not be stored, read or deleted."""

    kind = ErrorKind.INTERNAL
    status = 500


class StorageFull(StorageError):
    """There is no space left; nothing of the file is visible."""

    status = 507


class NotStored(StorageError):
    """There is no file under this key."""

    status = 404


class InvalidKey(StorageError, ValueError):
    """The text is no key of ours; nothing was looked up."""

    status = 404


class WrongContent(StorageError):
    """The bytes are not those whose hash the key names; nothing was stored."""


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the operating system says about a failed write into a StorageError with a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(N_("There is no space left on the studio's disk.")) from error
        raise StorageError(N_("The studio could not store the file.")) from error
