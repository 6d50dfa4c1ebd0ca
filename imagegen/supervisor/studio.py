"""The studio as a table of processes, and one run of it."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable

from imagegen.settings import PROJECT_ROOT, Settings
from imagegen.supervisor import checkpoint, data_folder, redis_server, schema
from imagegen.supervisor.errors import StartError
from imagegen.supervisor.probe import Probe
from imagegen.supervisor.processes import ProcessSpec, Supervisor

_LOCAL_NAMES = {"0.0.0.0": "localhost", "::": "localhost"}  # noqa: S104 - listening everywhere is the user's wish
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104

_CANNOT_LISTEN = {
    errno.EADDRINUSE: "PORT {port} on {host} is taken by another program; set PORT to a free one.",
    errno.EACCES: "PORT {port} is reserved for the system; set PORT to one above 1023.",
    errno.EADDRNOTAVAIL: "HOST {host} is not an address of this machine.",
}


def run(settings: Settings) -> int:
    """Run the studio until it is told to stop; return the exit code. Raises StartError when it cannot start."""
    held = data_folder.lock(settings.studio_data_dir)
    listener = listen(settings)
    needed = (*_redis(settings, held), *_migration(settings, held))
    supervisor = Supervisor(
        (*needed, *studio_processes(settings, listener, held, after=tuple(spec.name for spec in needed))),
        environ={
            **os.environ,
            "REDIS_URL": settings.redis_url or f"unix://{redis_server.socket_path(settings.studio_data_dir)}",
            "STUDIO_DATA_DIR": str(settings.studio_data_dir),
        },
        folder=PROJECT_ROOT,
        on_ready=_greeting(settings),
        on_stop=listener.close,
    )
    code = supervisor.run()
    checkpoint.fold(settings.database_url)
    return code


def listen(settings: Settings) -> socket.socket:
    """Return the web server's socket, listening.

    The supervisor holds it, so that a taken port is told before anything starts, and visitors wait for a
    web server that is being restarted instead of being turned away. Raises StartError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"HOST {settings.host} is not known here: {error.strerror}.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        sentence = _CANNOT_LISTEN.get(error.errno or 0, "HOST {host} and PORT {port} cannot be used: {reason}.")
        reason = (error.strerror or str(error)).lower()
        raise StartError(sentence.format(host=settings.host, port=settings.port, reason=reason)) from None
    return listener


def studio_processes(
    settings: Settings, listener: socket.socket, held: int, after: tuple[str, ...]
) -> tuple[ProcessSpec, ...]:
    """Return web (which needs `after`), workers and scheduler.

    The web server starts alone: on a small machine the others' imports would double the time to the first
    page. They start when it answers.
    """
    web = ProcessSpec(
        name="imagegen-web",
        argv=(
            *(sys.executable, "-m", "gunicorn", "--config", "python:imagegen.web.gunicorn_conf"),
            *("--bind", f"fd://{listener.fileno()}", "wsgi:app"),
        ),
        after=after,
        probe=_web_probe(settings, listener),
        pass_fds=(listener.fileno(), held),
    )
    return (
        web,
        *(_python(f"imagegen-worker {n}", "imagegen.worker", held) for n in range(1, settings.workers + 1)),
        _python("imagegen-scheduler", "imagegen.scheduler", held),
    )


def _python(name: str, module: str, held: int) -> ProcessSpec:
    return ProcessSpec(name=name, argv=(sys.executable, "-m", module), after=("imagegen-web",), pass_fds=(held,))


def _redis(settings: Settings, held: int) -> tuple[ProcessSpec, ...]:
    if settings.redis_url:
        return ()
    path = redis_server.socket_path(settings.studio_data_dir)
    folder = settings.studio_data_dir / "redis"
    return (
        ProcessSpec(
            name="Redis",
            argv=redis_server.command(redis_server.find_server(), folder=folder, socket=path),
            probe=redis_server.probe(path),
            stops_last=True,
            pass_fds=(held,),
            failure=f"{folder}/server.log says why; the folder can be deleted, the database holds all of it.",
        ),
    )


def _migration(settings: Settings, held: int) -> tuple[ProcessSpec, ...]:
    if schema.is_current(settings.database_url, PROJECT_ROOT / "migrations" / "versions"):
        return ()
    return (
        ProcessSpec(
            name="The database",
            argv=(sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"),
            once=True,
            pass_fds=(held,),
            failure="The database could not be brought up to date. The lines above say why.",
        ),
    )


def _web_probe(settings: Settings, listener: socket.socket) -> Probe:
    host, port = listener.getsockname()[:2]
    name = settings.trusted_hosts[0].lstrip(".") if settings.trusted_hosts else "localhost"
    return Probe(
        address=(_LOOPBACK.get(host, host), port),
        request=f"GET /healthz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode(),
        answer=b"HTTP/1.1 200",
    )


def address(settings: Settings) -> str:
    """Return the address to open in a browser on this machine."""
    host = _LOCAL_NAMES.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _greeting(settings: Settings) -> Callable[[], None]:
    lines = [f"Imagegen Studio is ready: {address(settings)}"]
    if not settings.studio_admin_email and (code := data_folder.setup_code(settings.studio_data_dir)):
        lines.insert(0, f"Set-up code, asked for once on the first visit: {code}")
    return lambda: print(*lines, sep="\n", flush=True)  # noqa: T201 - this is the terminal program's voice
