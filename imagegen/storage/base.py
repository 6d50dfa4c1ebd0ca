"""The interface behind which stored files lie, and its promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from imagegen.storage.workspaces import Workspaces


class StorageSettings(Protocol):
    """What a storage reads from the settings."""

    @property
    def storage_backend(self) -> str: ...

    @property
    def studio_data_dir(self) -> Path: ...


@dataclass(frozen=True)
class StoredFile:
    """A stored file: its key, length, and the SHA-256 (hex) of its bytes."""

    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ListedFile:
    """A file as a listing tells of it: its key, length, and when it was put last, in UTC by the storage's clock."""

    key: str
    bytes: int
    put_at: datetime


class Storage(ABC):
    """Keeps files under keys made by `storage.keys`. Safe to share between threads and processes.

    Promises that every storage keeps:

    - A key is checked before it is used. What is not a key of ours raises InvalidKey and touches nothing.
    - A file is visible whole or not at all, also after a crash or on a full disk; once `put` has returned it
      survives a loss of power as far as the storage can promise.
    - `put` of the same content is idempotent, also from several processes at once, but for the file's age, which
      begins anew. If the key names a hash, other content raises WrongContent. The local file stays where it is and
      must not be changed later.
    - A file never changes. What is deleted is gone for new readers; who has it open may read on.
    - Reading what is not there raises NotStored; deleting it does nothing.
    - A full disk raises StorageFull, any other failure StorageError, each with a sentence for people.
    """

    def __init__(self, scratch: Path) -> None:
        self._workspaces = Workspaces(scratch)

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: StorageSettings) -> Self:
        """Return the storage that the settings describe."""

    def put(self, local_path: Path, key: str) -> StoredFile:
        """Store the file at `local_path` under `key`."""
        (stored,) = self.put_all({key: local_path})
        return stored

    @abstractmethod
    def put_all(self, files: Mapping[str, Path], *, durable: bool = False) -> list[StoredFile]:
        """Store local files by their keys, in that order, waiting for the disk or the network once for all of them.

        Each is as `put` leaves it. If one cannot be stored, some of the others may be. `durable` says that whoever
        wrote these files has waited until their bytes were on the disk, so that nobody need wait for that again.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Return the file for reading in binary."""

    @abstractmethod
    def local_path(self, key: str) -> Path | None:
        """Return where the file lies on this machine, or None if it is not there or lies elsewhere."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Tell whether there is a file under `key`."""

    @abstractmethod
    def size(self, key: str) -> int:
        """Return the file's length in bytes."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete the file, if there is one."""

    @abstractmethod
    def iter_keys(self, prefix: str = "") -> Iterator[str]:
        """Yield every key that begins with `prefix`, sorted; what is put meanwhile may be missing."""

    @abstractmethod
    def iter_files(self, prefix: str = "") -> Iterator[ListedFile]:
        """Yield every file whose key begins with `prefix`, sorted by key; needs no more memory than a folder.

        What is put or deleted meanwhile may be there or missing.
        """

    @abstractmethod
    def delete_unless_put_since(self, key: str, moment: datetime) -> bool:
        """Delete the file if it was put last before `moment`; tell whether it is gone.

        For sweeping what seems to be nobody's: whoever puts the same content at this very time either makes the file
        young first, and it stays, or puts it anew.
        """

    @abstractmethod
    def now(self) -> datetime:
        """Return the present moment in UTC by the storage's clock, by which `ListedFile.put_at` is told."""

    @contextmanager
    def materialise(self, key: str) -> Iterator[Path]:
        """Give a path on this machine at which the file may be read, for as long as the block lasts."""
        path = self.local_path(key)
        if path is not None:
            yield path
            return
        with self.workspace() as folder, self.open(key) as source:
            copy = folder / key.rsplit("/", 1)[-1]
            with copy.open("xb") as target:
                while piece := source.read(1 << 20):
                    target.write(piece)
            yield copy

    def workspace(self) -> AbstractContextManager[Path]:
        """Give a private temporary folder from which `put` is cheap; it is removed after the block."""
        return self._workspaces.workspace()

    def sweep_workspaces(self, older_than: timedelta) -> int:
        """Remove workspaces that crashed processes left behind, and return how many."""
        return self._workspaces.sweep(older_than)

    def left_workspaces(self, older_than: timedelta) -> list[str]:
        """Return the names of what `sweep_workspaces` would remove."""
        return self._workspaces.left_behind(older_than)
