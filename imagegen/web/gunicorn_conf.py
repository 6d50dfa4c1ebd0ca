"""How gunicorn serves the studio: `gunicorn -c python:imagegen.web.gunicorn_conf wsgi:app`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import gevent
from setproctitle import setproctitle

from imagegen.settings import Settings, SettingsError

try:
    _settings = Settings.load()
except SettingsError as error:
    sys.exit(str(error))
_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
WARM_UP_AFTER_SECONDS = 0.5
GARBAGE_AFTER = 2_000, 10, 100
_memory = Path("/dev/shm")  # noqa: S108 - gunicorn makes its own unlinked file in it

bind = f"{_host}:{_settings.port}"
proc_name = "imagegen-web"

# One process holds one hub for all its streams; gevent carries 10,000 of them in 256 MB.
workers = 1
worker_class = "gevent"
worker_connections = 10_000
# Imported in the worker, where gevent has patched the standard library already.
preload_app = False

# A worker that has not come round to its loop for this long hangs; streams don't count, they yield.
timeout = 30
graceful_timeout = 3
keepalive = 5
# The heartbeat is a file whose time is touched each second: on a busy disk that blocks the whole worker.
worker_tmp_dir = str(_memory) if os.access(_memory, os.W_OK | os.X_OK) else None

# Filters and searches travel in addresses, so that pages can be linked to.
limit_request_line = 8190
# What a proxy says is believed by the app alone, as far as PROXY_HOPS goes; gunicorn would believe any
# client on this machine about the scheme, and about the path.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# Gunicorn would say at "info" that it listens; the supervisor prints the one address.
loglevel = "debug" if _settings.log_level == "DEBUG" else "warning"
# No second way to command the server.
control_socket_disable = True


def pre_fork(server: object, worker: object) -> None:
    """Title the parent, after gunicorn has given it a title of its own."""
    setproctitle(proc_name)


def post_fork(server: object, worker: object) -> None:
    """Title the process that serves."""
    setproctitle(proc_name)


def _warm_up(serving: Any) -> None:
    """Make ready, and take what then is there out of the search for garbage.

    All pages and streams stand still while it is looked through, which takes 100 ms and frees nothing: code, tables,
    templates. What is new is looked at in small portions, and all that has stayed since, streams above all, seldom.
    """
    serving.warm_up()
    gc.freeze()
    gc.set_threshold(*GARBAGE_AFTER)


def post_worker_init(worker: Any) -> None:
    """Begin to serve, and let open streams end when the server is told to stop.

    The app is reached through the worker: importing it here, in the parent, would be before gevent's patches.
    """
    serving = worker.wsgi.extensions["studio-serving"]
    serving.begin()
    gevent.spawn_later(WARM_UP_AFTER_SECONDS, _warm_up, serving)
    stop = signal.getsignal(signal.SIGTERM)

    def end_streams_and_stop(number: int, frame: FrameType | None) -> None:
        # A handler must not wait for a lock; a greenlet of its own may.
        gevent.spawn(serving.end)
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, end_streams_and_stop)
