"""Files in folders on this machine."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from imagegen.core.text import N_
from imagegen.storage import keys
from imagegen.storage.base import ListedFile, Storage, StorageSettings, StoredFile
from imagegen.storage.errors import InvalidKey, NotStored, StorageError, WrongContent, disk_errors

FOLDER = "files"
_SCRATCH = ".scratch"
_SYNCS_AT_ONCE = 8
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


class _Begun(NamedTuple):
    """A file on its way: its bytes, under a name that nobody reads, and where they go.

    What is `linked` is as durable as it was under its first name; a copy is durable.
    """

    temporary: Path
    path: Path
    linked: bool


class LocalStorage(Storage):
    """Keeps files below `root`, which belongs to the studio alone: folders 0700, files 0600.

    No symbolic link below `root` is ever followed. Temporary names lie in a folder beside the keys, on the
    same file system, so that a file appears under its key by one rename.
    """

    def __init__(self, root: Path) -> None:
        with disk_errors():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root = root.resolve()
            self._scratch = self._root / _SCRATCH
            self._scratch.mkdir(mode=0o700, exist_ok=True)
        super().__init__(self._scratch)

    @classmethod
    def from_settings(cls, settings: StorageSettings) -> Self:
        """Return the storage in the data folder."""
        return cls(settings.studio_data_dir / FOLDER)

    def put_all(self, files: Mapping[str, Path], *, durable: bool = False) -> list[StoredFile]:
        """Store by second names for the same bytes where the file system can, else by copies.

        First all bytes, then all names: the disk is waited for twice, however many files there are.
        """
        begun: list[_Begun] = []
        with disk_errors():
            try:
                stored = [self._begin(path, key, begun) for key, path in files.items()]
                _together(_sync_bytes, [each.temporary for each in begun if each.linked and not durable])
                unsynced: set[Path] = set()
                for each in begun:
                    unsynced |= _made_folders(each.path.parent, self._root) | {each.path.parent}
                    with _held(each.path.parent, fcntl.LOCK_SH):
                        each.temporary.replace(each.path)
                _together(_sync_names, sorted(unsynced))
            finally:
                for each in begun:
                    each.temporary.unlink(missing_ok=True)
        return stored

    def _begin(self, source: Path, key: str, begun: list[_Begun]) -> StoredFile:
        """Add a temporary name for the bytes of `source` to `begun`, unless they are in their place already."""
        path = self._path(key)
        stored = StoredFile(key, *_measured(source))
        if keys.content_hash(key) not in (None, stored.sha256):
            raise WrongContent(N_("The file is not the one that was announced."))
        if not (self._holds(path, stored) and self._renew(path)):
            temporary = self._workspaces.new_path()
            linked = self._linked(source, temporary)
            begun.append(_Begun(temporary, path, linked))
            if not linked:
                _copy(source, temporary)
            _make_young(temporary)  # a second name for an older file would be as old
        return stored

    def _holds(self, path: Path, stored: StoredFile) -> bool:
        """Tell whether `stored` is there already; a rendition may have been made anew with other bytes."""
        try:
            there = path.lstat()
            if not stat.S_ISREG(there.st_mode) or there.st_size != stored.bytes:
                return False
            return _measured(path) == (stored.bytes, stored.sha256)
        except FileNotFoundError:  # also if it goes while it is read
            return False

    def _renew(self, path: Path) -> bool:
        """Make the file young; tell whether it was still there."""
        with _held(path.parent, fcntl.LOCK_SH):
            try:
                _make_young(path)
            except FileNotFoundError:
                return False
        return True

    def _linked(self, source: Path, temporary: Path) -> bool:
        """Make `temporary` a second name of `source`, if that can be; tell whether it is one.

        Only files in a workspace of ours are linked: nobody else has a name under which to change them.
        """
        if not source.resolve().is_relative_to(self._scratch):
            return False
        try:
            os.link(source, temporary, follow_symlinks=False)
        except OSError as error:
            if error.errno in _CANNOT_LINK:
                return False
            raise
        temporary.chmod(0o600)
        return True

    def open(self, key: str) -> BinaryIO:
        """Return the file for reading; it stays readable when it is deleted meanwhile."""
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise _reading_error(error) from error
        return os.fdopen(descriptor, "rb")

    def local_path(self, key: str) -> Path | None:
        """Return the file's path if it is there."""
        path = self._path(key)
        return path if _is_file(path) else None

    def exists(self, key: str) -> bool:
        """Tell whether there is a file under `key`."""
        return _is_file(self._path(key))

    def size(self, key: str) -> int:
        """Return the file's length in bytes."""
        path = self._path(key)
        if not _is_file(path):
            raise NotStored(N_("The file is no longer there."))
        return path.lstat().st_size

    def delete(self, key: str) -> None:
        """Delete the file; its folder stays, for another process may be about to use it."""
        with disk_errors(), suppress(FileNotFoundError):
            self._path(key).unlink()

    def delete_unless_put_since(self, key: str, moment: datetime) -> bool:
        """Delete under a lock that keeps `put` out of the folder, and that ends with its process."""
        path = self._path(key)
        with disk_errors(), suppress(FileNotFoundError, NotADirectoryError), _held(path.parent, fcntl.LOCK_EX):
            if path.lstat().st_mtime >= moment.timestamp():
                return False
            path.unlink()
        return True

    def now(self) -> datetime:
        """Return what the file system takes for the present moment."""
        return self._workspaces.now()

    def iter_keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys sorted; reads one folder at a time."""
        keys.check_prefix(prefix)
        yield from (key for key, _entry in self._walk("", prefix))

    def iter_files(self, prefix: str = "") -> Iterator[ListedFile]:
        """Yield the files sorted; reads one folder at a time."""
        keys.check_prefix(prefix)
        for key, entry in self._walk("", prefix):
            with suppress(FileNotFoundError):
                told = entry.stat(follow_symlinks=False)
                yield ListedFile(key, told.st_size, datetime.fromtimestamp(told.st_mtime, UTC))

    def _walk(self, folder: str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield what lies below `folder` (empty, or ending in a slash) under keys that begin with `prefix`."""
        try:
            with os.scandir(self._root / folder) as found:
                entries = {
                    entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name: entry for entry in found
                }
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in sorted(entries):
            path = folder + name
            if path == _SCRATCH + "/" or not (path.startswith(prefix) or prefix.startswith(path)):
                continue
            if name.endswith("/"):
                yield from self._walk(path, prefix)
            elif entries[name].is_file(follow_symlinks=False) and _is_key(path):
                yield path, entries[name]

    def _path(self, key: str) -> Path:
        """Return where `key` lies; InvalidKey also if a link would lead out of the storage."""
        path = self._root / keys.check(key)
        if path.parent.resolve() != path.parent:
            raise InvalidKey(N_("There is no such file."))
        return path


@contextmanager
def _held(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on `folder`: LOCK_SH with others who put files into it, LOCK_EX alone."""
    with _opened(folder, os.O_DIRECTORY) as descriptor:
        fcntl.flock(descriptor, how)
        yield


def _is_key(text: str) -> bool:
    try:
        keys.check(text)
    except InvalidKey:
        return False
    return True


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _reading_error(error: OSError) -> StorageError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR):
        return NotStored(N_("The file is no longer there."))
    return StorageError(N_("The studio could not read the file."))


def _make_young(path: Path) -> None:
    # Without a time of ours: the file system's own clock is right for all hosts.
    os.utime(path, follow_symlinks=False)


def _measured(path: Path) -> tuple[int, str]:
    """Return the length and the SHA-256 (hex) of the file at `path`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def _made_folders(folder: Path, root: Path) -> set[Path]:
    """Make `folder` below `root`, with 0700 for each new one on the way; return those in which one was made."""
    if folder.is_dir():
        return set()
    made = _made_folders(folder.parent, root) if folder.parent != root else set()
    folder.mkdir(mode=0o700, exist_ok=True)
    return made | {folder.parent}


def _copy(source: Path, target: Path) -> None:
    """Make `target` a durable copy of `source`, for nobody else to read."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with source.open("rb") as reader, os.fdopen(descriptor, "wb") as writer:
        while piece := reader.read(1 << 20):
            writer.write(piece)
        writer.flush()
        os.fsync(writer.fileno())


def _together(sync: Callable[[Path], None], paths: Sequence[Path]) -> None:
    """Make all of `paths` durable at the same time: the disk then flushes its cache once for several of them."""
    if len(paths) == 1:
        sync(paths[0])
    elif paths:
        list(_threads(os.getpid()).map(sync, paths))


@cache
def _threads(_process: int) -> ThreadPoolExecutor:
    """Return the threads of this process that wait for the disk: a fork has none of its parent's."""
    return ThreadPoolExecutor(_SYNCS_AT_ONCE, thread_name_prefix="sync")


def _sync_bytes(path: Path) -> None:
    """Make what is in the file durable: its length too, but not its age, which goes with the name."""
    with _opened(path) as descriptor:
        getattr(os, "fdatasync", os.fsync)(descriptor)


def _sync_names(folder: Path) -> None:
    """Make the names in `folder` durable; a rename alone may be forgotten at a loss of power."""
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
