"""What a web server does with the app around its life: called by the server, which may import nothing of ours."""

from __future__ import annotations

from flask import Flask

from imagegen.engine.rehearsal import rehearse
from imagegen.extensions import runtime
from imagegen.services import setup


class Serving:
    """The app's moments: before its first request, once it answers, and when the server is told to stop."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def begin(self) -> None:
        """Make the first person if the settings name one."""
        with self._app.app_context():
            setup.from_settings()

    def warm_up(self) -> None:
        """Have ready what the first click and the first upload would wait for."""
        with self._app.app_context():
            runtime.pool.ensure()
            rehearse()

    def end(self) -> None:
        """Let open streams end, so that the server need not wait for them."""
        self._app.extensions["studio-hub"].close()


def init_app(app: Flask) -> None:
    """Leave them where the server finds them."""
    app.extensions["studio-serving"] = Serving(app)
