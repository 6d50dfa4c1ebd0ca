"""What the storage in local folders promises beyond the contract."""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from pathlib import Path

import pytest

from imagegen.storage.errors import InvalidKey, NotStored, StorageError, StorageFull, WrongContent
from imagegen.storage.keys import rendition_key
from imagegen.storage.local import LocalStorage
from tests.storage.samples import ORG, USER, Sample, sample


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
@pytest.mark.parametrize("step", ["fdatasync", "link", "mkdir"])
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


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a loss of power could come between, in order; filled by whatever is put from now on."""
    noted: list[str] = []
    fsync, fdatasync, replace = os.fsync, os.fdatasync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        noted.append("sync folder" if os.path.isdir(f"/dev/fd/{descriptor}") else "sync file")
        fsync(descriptor)

    def noting_fdatasync(descriptor: int) -> None:
        noted.append("sync file")
        fdatasync(descriptor)

    def noting_replace(self: Path, to: Path) -> Path:
        noted.append("rename")
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "fdatasync", noting_fdatasync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    return noted


def test_the_file_is_durable_before_its_name_and_the_name_before_put_returns(
    local: LocalStorage, steps: list[str]
) -> None:
    one = sample()
    put(local, one)
    local.delete(one.key)
    steps.clear()  # its folder is there now
    put(local, one)
    assert steps == ["sync file", "rename", "sync folder"]


def test_of_several_files_all_are_durable_before_the_first_name_and_each_folder_is_waited_for_once(
    local: LocalStorage, tmp_path: Path, steps: list[str]
) -> None:
    names = [rendition_key(ORG, USER, "ab" + "0" * 62, width) for width in (256, 512, 1024)]
    (tmp_path / "x").write_bytes(b"small")
    local.put_all(dict.fromkeys(names, tmp_path / "x"))
    new_and_root = len(Path(names[0]).parents)
    assert steps == ["sync file"] * 3 + ["rename"] * 3 + ["sync folder"] * new_and_root


def test_what_is_durable_is_not_waited_for_again_but_for_a_copy(
    local: LocalStorage, tmp_path: Path, steps: list[str]
) -> None:
    here, elsewhere = sample(b"here"), sample(b"elsewhere")
    (tmp_path / "x").write_bytes(elsewhere.data)
    with local.workspace() as folder:
        (folder / "x").write_bytes(here.data)
        local.put_all({here.key: folder / "x"}, durable=True)
    assert "sync file" not in steps
    local.put_all({elsewhere.key: tmp_path / "x"}, durable=True)
    assert "sync file" in steps


def test_of_several_files_a_wrong_one_keeps_the_others_from_being_seen(local: LocalStorage, tmp_path: Path) -> None:
    one, other = sample(b"one"), sample(b"other")
    (tmp_path / "x").write_bytes(one.data)
    with pytest.raises(WrongContent):
        local.put_all({one.key: tmp_path / "x", other.key: tmp_path / "x"})
    assert list(local.iter_keys()) == []
    assert local.sweep_workspaces(timedelta(seconds=-5)) == 0


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
