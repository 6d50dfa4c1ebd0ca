"""What every storage promises (`storage.base.Storage`), over the registry."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from imagegen.core.ids import new_id
from imagegen.storage import keys
from imagegen.storage.base import Storage
from imagegen.storage.errors import InvalidKey, NotStored, StorageError, WrongContent
from imagegen.storage.registry import backend
from tests.storage.samples import ORG, USER, Sample, sample


def put(storage: Storage, one: Sample) -> None:
    with storage.workspace() as folder:
        path = folder / "x"
        path.write_bytes(one.data)
        storage.put(path, one.key)


def test_what_was_put_is_read_back_byte_for_byte(storage: Storage) -> None:
    one = sample(bytes(range(256)) * 9000)
    put(storage, one)
    with storage.open(one.key) as file:
        assert file.read() == one.data
    assert storage.exists(one.key)
    assert storage.size(one.key) == len(one.data)


def test_put_tells_key_length_and_hash(storage: Storage, tmp_path: Path) -> None:
    one = sample()
    (tmp_path / "x").write_bytes(one.data)
    stored = storage.put(tmp_path / "x", one.key)
    assert (stored.key, stored.bytes, stored.sha256) == (
        one.key,
        len(one.data),
        hashlib.sha256(one.data).hexdigest(),
    )


def test_put_leaves_the_local_file_in_place(storage: Storage, tmp_path: Path) -> None:
    one = sample()
    (tmp_path / "x").write_bytes(one.data)
    storage.put(tmp_path / "x", one.key)
    assert (tmp_path / "x").read_bytes() == one.data


def test_a_file_from_elsewhere_may_change_afterwards_without_changing_what_is_stored(
    storage: Storage, tmp_path: Path
) -> None:
    one = sample()
    (tmp_path / "x").write_bytes(one.data)
    storage.put(tmp_path / "x", one.key)
    (tmp_path / "x").write_bytes(b"changed")
    with storage.open(one.key) as file:
        assert file.read() == one.data


def test_putting_the_same_twice_is_the_same_as_once(storage: Storage) -> None:
    one = sample()
    put(storage, one)
    put(storage, one)
    assert list(storage.iter_keys()) == [one.key]


def test_many_may_put_the_same_at_once(storage: Storage) -> None:
    one = sample(b"popular" * 1000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: put(storage, one), range(24)))
    with storage.open(one.key) as file:
        assert file.read() == one.data
    assert list(storage.iter_keys()) == [one.key]


def test_other_bytes_than_the_key_names_are_not_stored(storage: Storage, tmp_path: Path) -> None:
    one = sample()
    (tmp_path / "x").write_bytes(b"something else")
    with pytest.raises(WrongContent):
        storage.put(tmp_path / "x", one.key)
    assert not storage.exists(one.key)


def test_several_files_are_put_at_once_and_told_of_in_their_order(storage: Storage, tmp_path: Path) -> None:
    several = [sample(data) for data in (b"first", b"second", b"third")]
    for one in several:
        (tmp_path / one.data.decode()).write_bytes(one.data)
    put(storage, several[1])
    stored = storage.put_all({one.key: tmp_path / one.data.decode() for one in several})
    assert [(one.key, one.bytes) for one in stored] == [(one.key, len(one.data)) for one in several]
    assert sorted(storage.iter_keys()) == sorted(one.key for one in several)
    assert storage.put_all({}) == []


def test_a_rendition_may_be_made_again_with_other_bytes(storage: Storage) -> None:
    key = keys.rendition_key(ORG, USER, "ab" + "0" * 62, 256)
    put(storage, Sample(b"first", key))
    put(storage, Sample(b"again", key))
    with storage.open(key) as file:
        assert file.read() == b"again"


def test_what_is_not_there_is_not_stored(storage: Storage) -> None:
    key = sample().key
    assert not storage.exists(key)
    assert storage.local_path(key) is None
    for read in (storage.open, storage.size):
        with pytest.raises(NotStored):
            read(key)
    with pytest.raises(NotStored), storage.materialise(key):
        pass


def test_deleting_twice_is_the_same_as_once(storage: Storage) -> None:
    one = sample()
    put(storage, one)
    storage.delete(one.key)
    storage.delete(one.key)
    assert not storage.exists(one.key)
    assert list(storage.iter_keys()) == []


def test_who_reads_while_it_is_deleted_reads_on(storage: Storage) -> None:
    one = sample(b"x" * 100_000)
    put(storage, one)
    with storage.open(one.key) as file:
        storage.delete(one.key)
        assert file.read() == one.data


def test_materialise_gives_a_path_with_the_bytes(storage: Storage) -> None:
    one = sample()
    put(storage, one)
    with storage.materialise(one.key) as path:
        assert path.read_bytes() == one.data


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "/etc/passwd", "a\0b", "orgs", ".scratch/x"])
def test_what_is_no_key_touches_nothing(storage: Storage, tmp_path: Path, key: str) -> None:
    (tmp_path / "x").write_bytes(b"x")
    for use in (
        lambda: storage.put(tmp_path / "x", key),
        lambda: storage.open(key),
        lambda: storage.local_path(key),
        lambda: storage.exists(key),
        lambda: storage.size(key),
        lambda: storage.delete(key),
    ):
        with pytest.raises(InvalidKey):
            use()


def test_keys_are_listed_sorted_and_by_prefix(storage: Storage) -> None:
    other = new_id()
    mine = [sample(bytes([n])) for n in range(20)]
    theirs = [sample(bytes([n]), org=other) for n in range(5)]
    for one in mine + theirs:
        put(storage, one)
    everything = sorted(one.key for one in mine + theirs)
    assert list(storage.iter_keys()) == everything
    assert list(storage.iter_keys(keys.user_prefix(other, USER))) == sorted(one.key for one in theirs)
    cut = mine[3].key[:-60]
    assert list(storage.iter_keys(cut)) == [key for key in everything if key.startswith(cut)]


def test_files_are_listed_with_length_and_age(storage: Storage) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    other = new_id()
    mine = [sample(b"x" * (n + 1)) for n in range(5)]
    for one in [*mine, sample(b"theirs", org=other)]:
        put(storage, one)

    listed = list(storage.iter_files(f"orgs/{ORG}/"))
    assert [(file.key, file.bytes) for file in listed] == sorted((one.key, len(one.data)) for one in mine)
    assert all(before < file.put_at < datetime.now(UTC) + timedelta(seconds=2) for file in listed)
    assert [file.key for file in storage.iter_files()] == list(storage.iter_keys())


def test_only_what_was_not_put_since_is_deleted(storage: Storage) -> None:
    one = sample()
    put(storage, one)
    assert not storage.delete_unless_put_since(one.key, datetime.now(UTC) - timedelta(hours=24))
    assert storage.exists(one.key)
    assert storage.delete_unless_put_since(one.key, datetime.now(UTC) + timedelta(minutes=1))
    assert not storage.exists(one.key)
    assert storage.delete_unless_put_since(one.key, datetime.now(UTC)), "it is gone already"


def test_putting_it_again_makes_a_file_young(storage: Storage, tmp_path: Path) -> None:
    one = sample()
    old = tmp_path / "x"
    old.write_bytes(one.data)
    os.utime(old, (1_000_000_000, 1_000_000_000))
    for _ in range(2):
        storage.put(old, one.key)
        (file,) = storage.iter_files()
        assert file.put_at > datetime.now(UTC) - timedelta(minutes=1)


def test_whoever_puts_what_is_being_swept_has_it_afterwards(storage: Storage) -> None:
    """Sweepers are about to delete an old file while the same content is put: it is there afterwards, and whole."""
    one = sample(b"contended" * 500)
    begun = storage.now()
    over = threading.Event()

    def sweep() -> None:
        while not over.is_set():
            storage.delete_unless_put_since(one.key, begun)

    with ThreadPoolExecutor(3) as pool:
        sweepers = [pool.submit(sweep) for _ in range(3)]
        try:
            for _ in range(100):
                put(storage, one)
                begun = storage.now()  # what was put until now is old
                put(storage, one)
                with storage.open(one.key) as file:
                    assert file.read() == one.data
        finally:
            over.set()
    assert [sweeper.exception() for sweeper in sweepers] == [None] * 3


def test_a_workspace_is_private_and_gone_afterwards(storage: Storage) -> None:
    with storage.workspace() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "x").write_bytes(b"x")
    assert not folder.exists()


def test_a_workspace_is_gone_also_after_an_error(storage: Storage) -> None:
    with pytest.raises(RuntimeError), storage.workspace() as folder:
        raise RuntimeError
    assert not folder.exists()


def test_only_old_workspaces_are_swept(storage: Storage) -> None:
    with storage.workspace() as folder:
        assert storage.sweep_workspaces(timedelta(hours=24)) == 0
        assert folder.is_dir()
        assert storage.sweep_workspaces(timedelta(seconds=-5)) == 1
        assert not folder.exists()


@pytest.mark.parametrize("wrong", [timedelta(days=-2), timedelta(days=2)], ids=str)
def test_a_host_whose_clock_is_wrong_makes_nothing_look_old(storage: Storage, wrong: timedelta) -> None:
    one = sample()
    with time_machine.travel(datetime.now(UTC) + wrong), storage.workspace() as folder:
        put(storage, one)
        assert storage.left_workspaces(timedelta(hours=1)) == []
        with time_machine.travel(datetime.now(UTC) - wrong):  # as others see it
            assert storage.left_workspaces(timedelta(hours=1)) == []
            assert not storage.delete_unless_put_since(one.key, storage.now() - timedelta(hours=1))
            assert storage.sweep_workspaces(timedelta(hours=1)) == 0
        assert folder.is_dir()


def test_an_unknown_storage_is_named_so() -> None:
    with pytest.raises(StorageError):
        backend("floppy")
