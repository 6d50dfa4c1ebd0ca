"""What a web server does with the app around its life: called by the server, which may import nothing of ours."""

from __future__ import annotations

from flask import Flask

from imagegen.services import setup


class Serving:
    """The app's two moments: before its first request, and when the server is told to stop."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def begin(self) -> None:
        """Make the first person if the settings name one."""
        with self._app.app_context():
            setup.from_settings()

    def end(self) -> None:
        """Let open streams end, so that the server need not wait for them."""
        self._app.extensions["studio-hub"].close()


def init_app(app: Flask) -> None:
    """Leave them where the server finds them."""
    app.extensions["studio-serving"] = Serving(app)
