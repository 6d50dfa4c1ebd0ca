"""Pictures as files: only for those who may see them, cached for good, never run by a browser."""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from urllib.parse import quote

from flask import Response, request, send_file

from imagegen.core.errors import NotFound
from imagegen.core.text import N_
from imagegen.extensions import runtime
from imagegen.imaging.errors import Unavailable
from imagegen.imaging.facts import rendition_from_answer
from imagegen.models import Image, let_go_of_reader
from imagegen.storage import keys
from imagegen.storage.errors import NotStored

_FOREVER = "private, max-age=31536000, immutable"
_NOT_PLAIN = re.compile(r"[^\w .()+-]|^\.+", re.ASCII)


def send_image(image: Image, *, download: bool = False) -> Response:
    """Answer with the picture's file as the studio keeps it."""
    try:
        return _send(image, image.file_key, image.mime_type, tag=image.sha256, download=download)
    except NotStored:
        raise NotFound(N_("The picture's file is missing. Tell whoever runs the studio.")) from None


def send_rendition(image: Image, width: int) -> Response:
    """Answer with the smallest rendition that is at least `width` wide, else the widest; made again if missing."""
    widths = sorted(rendition["width"] for rendition in image.renditions)
    if not widths:
        raise NotFound(N_("There is no such picture."))
    chosen = next((one for one in widths if one >= width), widths[-1])
    parts = image.file_key.split("/")
    key = keys.rendition_key(parts[1], parts[3], image.sha256, chosen)
    try:
        return _send(image, key, "image/webp", tag=f"{image.sha256}-{chosen}")
    except NotStored:
        _make_again(image, key, chosen)
    return _send(image, key, "image/webp", tag=f"{image.sha256}-{chosen}")


def _make_again(image: Image, key: str, width: int) -> None:
    with runtime.storage.workspace() as folder, runtime.storage.materialise(image.file_key) as path:
        answer = run_on_pixels("rendition", path=str(path), out_dir=str(folder), width=width)
        runtime.storage.put(rendition_from_answer(answer).path, key)


def run_on_pixels(task: str, **params: Any) -> dict[str, Any]:
    """Run a task on pixels; a web process has so few of them that its pool is started by the first."""
    let_go_of_reader()
    try:
        return runtime.imaging.run(task, 20.0, wait=0.1, **params)
    except Unavailable:
        runtime.pool.ensure()
    return runtime.imaging.run(task, 20.0, **params)


def _send(image: Image, key: str, mime_type: str, *, tag: str, download: bool = False) -> Response:
    response = Response(status=304)
    # Compared weakly, as the header asks: a proxy that compresses makes the tag a weak one.
    if not request.if_none_match.contains_weak(tag):
        response = _body(key, mime_type, tag)
    response.set_etag(tag)
    response.headers["Cache-Control"] = _FOREVER
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Content-Disposition"] = disposition("attachment" if download else "inline", image.filename)
    return response


def disposition(kind: str, name: str) -> str:
    """Return the header that names a file (RFC 6266): in full, and in ASCII for what reads no more, as `curl -J`."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = _NOT_PLAIN.sub("_", letters).strip() or "picture"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _body(key: str, mime_type: str, tag: str) -> Response:
    path = runtime.storage.local_path(key)
    source = path if path is not None else runtime.storage.open(key)
    return send_file(source, mimetype=mime_type, conditional=True, etag=tag)
