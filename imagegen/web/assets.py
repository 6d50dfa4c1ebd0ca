"""The pages' own files, under an address that changes with them, so that browsers may keep them for good.

The version is in the path, not behind a question mark: modules import each other by relative addresses, and so
all come from one version.
"""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Flask, Response, send_from_directory

from imagegen.settings import PROJECT_ROOT
from imagegen.web import access

FOLDER = PROJECT_ROOT / "static"
_FOR_GOOD = "public, max-age=31536000, immutable"


def version_of(files: list[tuple[str, int, int]]) -> str:
    """Return a short name for these files: path, length and time of change of each."""
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:12]


def init_app(app: Flask) -> None:
    """Serve the folder `static`, and have `url_for("static", filename=…)` name the version."""
    facts = [(path, path.stat()) for path in FOLDER.rglob("*") if path.is_file()]
    current = version_of([(str(p.relative_to(FOLDER)), s.st_size, s.st_mtime_ns) for p, s in facts])

    @access.infrastructure
    def static(version: str, filename: str) -> Response:
        """Send a file. A page that was opened before an upgrade asks with the old version, and gets what is here."""
        response = send_from_directory(FOLDER, filename)
        response.headers["Cache-Control"] = _FOR_GOOD if version == current else "no-cache"
        return response

    app.add_url_rule("/static/<version>/<path:filename>", endpoint="static", view_func=static)

    @app.url_defaults
    def name_the_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values.setdefault("version", current)
