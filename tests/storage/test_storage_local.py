"""What the storage in local folders promises beyond the contract."""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from pathlib import Path

import pytest

from imagegen.storage.errors import InvalidKey, NotStored, StorageError, StorageFull
from imagegen.storage.local import LocalStorage
from tests.storage.samples import Sample, sample


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def local(root: Path) -> LocalStorage:
    return LocalStorage(root)


def put(local: LocalStorage, one: Sample) -> Path:
    with local.workspace() as folder:
        (folder / "x").write_bytes(one.data)
        local.put(folder / "x", one.key)
    path = local.local_path(one.key)
    assert path is not None
    return path


def test_folders_are_closed_to_others_and_so_are_files(local: LocalStorage, root: Path) -> None:
    path = put(local, sample())
    assert path.stat().st_mode & 0o777 == 0o600
    folders = [root, *(folder for folder in root.rglob("*") if folder.is_dir())]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_a_file_from_a_workspace_is_not_copied(local: LocalStorage) -> None:
    one = sample()
    with local.workspace() as folder:
        (folder / "x").write_bytes(one.data)
        local.put(folder / "x", one.key)
        stored = local.local_path(one.key)
        assert stored is not None
        assert stored.samefile(folder / "x")
    assert stored.stat().st_nlink == 1


def test_a_file_system_without_links_gets_a_copy(local: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    one = sample()
    assert put(local, one).read_bytes() == one.data


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["fsync", "link", "mkdir"])
def test_a_full_disk_is_said_and_leaves_nothing_visible(
    local: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, "no space")

    one = sample()
    with local.workspace() as folder:
        (folder / "x").write_bytes(one.data)
        with monkeypatch.context() as patch:
            patch.setattr(os, step, full)
            with pytest.raises(StorageFull):
                local.put(folder / "x", one.key)
        assert (folder / "x").read_bytes() == one.data
    assert not local.exists(one.key)
    assert list(local.iter_keys()) == []
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_full_disk_is_said_by_a_workspace_too(local: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "mkdir", full)
    with pytest.raises(StorageFull), local.workspace():
        pass


def test_the_file_is_durable_before_its_name_and_the_name_before_put_returns(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sample()
    target = put(local, sample(b"folder exists")).parent
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        steps.append("sync folder" if os.path.isdir(f"/dev/fd/{descriptor}") else "sync file")
        fsync(descriptor)

    def noting_replace(self: Path, to: Path) -> Path:
        steps.append("rename")
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    put(local, one)
    assert steps[0] == "sync file"
    assert steps[-2:] == ["rename", "sync folder"]
    assert target.is_dir()


def test_an_empty_file_left_by_a_crash_is_replaced(local: LocalStorage) -> None:
    one = sample()
    path = put(local, one)
    path.write_bytes(b"")
    assert put(local, one).read_bytes() == one.data


def test_damaged_bytes_of_the_right_length_are_replaced(local: LocalStorage) -> None:
    one = sample()
    path = put(local, one)
    path.write_bytes(b"X" * len(one.data))
    assert put(local, one).read_bytes() == one.data


def test_a_link_in_place_of_a_file_is_not_followed(local: LocalStorage, tmp_path: Path) -> None:
    one = sample()
    path = put(local, one)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(NotStored):
        local.open(one.key)
    assert local.local_path(one.key) is None
    assert not local.exists(one.key)
    assert list(local.iter_keys()) == []


def test_a_link_in_place_of_a_folder_is_not_followed(local: LocalStorage, tmp_path: Path) -> None:
    one = sample()
    path = put(local, one)
    outside = tmp_path / "outside"
    path.parent.rename(outside)
    path.parent.symlink_to(outside)
    for use in (local.open, local.exists, local.local_path, local.delete):
        with pytest.raises(InvalidKey):
            use(one.key)
    assert (outside / path.name).exists()
    assert list(local.iter_keys()) == []


def test_what_a_crash_left_in_the_middle_of_put_is_swept(
    local: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sample()
    with local.workspace() as folder, monkeypatch.context() as patch:
        (folder / "x").write_bytes(one.data)
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            local.put(folder / "x", one.key)
    assert local.sweep_workspaces(timedelta(hours=1)) == 0
    assert local.sweep_workspaces(timedelta(seconds=-5)) == 1


def test_foreign_files_in_the_folder_are_not_listed(local: LocalStorage, root: Path) -> None:
    one = sample()
    path = put(local, one)
    (path.parent / ".DS_Store").write_bytes(b"x")
    (root / "lost+found").mkdir()
    assert list(local.iter_keys()) == [one.key]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "files").write_bytes(b"in the way")
    with pytest.raises(StorageError):
        LocalStorage(tmp_path / "files")
