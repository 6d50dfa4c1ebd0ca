"""One file in a request: written to a private folder as it comes in, never held in memory.

A route that takes a file says so (`takes_file`). Its form is read here, also by whoever looks for the CSRF token
first: what is wrong with it is remembered, and told when the route asks for the file (`the_file`). An over-long body
is read to its end before it is refused, for most clients do not listen while they speak.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RD
from typing import IO, Any, TypeVar

from flask import Flask, Request, Response, after_this_request, current_app, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData
from werkzeug.wsgi import LimitedStream

from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.extensions import runtime
from imagegen.storage.errors import disk_errors

Route = TypeVar("Route", bound=Callable[..., Any])
Stream = IO[bytes] | LimitedStream

FIELD = "file"
LARGEST_FILE = 10 << 20
MOST_PARTS = 20
LARGEST_FIELDS = 64 << 10
"""Bytes of all fields beside the file together, and of one part's head."""

LONGEST_BODY = 256 << 20
"""What follows is not read to its end."""
PATIENCE, SLOWEST = 30.0, 32 << 10
"""A body may take so many seconds, and one more for each so many bytes of it."""
_PIECE = 64 << 10


@dataclass(frozen=True)
class IncomingFile:
    """A file that has come in: where it lies until the request ends, and what its sender calls it."""

    path: Path
    name: str


class Refused(StudioError):
    """What came in is not one file; `status` tells more."""

    def __init__(self, message: str, status: int, advice: str | None = None) -> None:
        super().__init__(message, field=FIELD)
        self.status = status
        self.advice = advice


def takes_file(route: Route) -> Route:
    """Say of `route` that its requests carry a file."""
    route.takes_file = True  # type: ignore[attr-defined]
    return route


def init_app(app: Flask) -> None:
    """Read the forms of such routes in this way."""
    app.request_class = IncomingRequest


def the_file() -> IncomingFile:
    """Return the file of the current request; raises Refused."""
    asked = request
    if not isinstance(asked._get_current_object(), IncomingRequest):  # type: ignore[attr-defined]
        raise TypeError("the app reads forms in another way")
    asked.form  # noqa: B018 - reads the body, if nobody has yet
    found: IncomingFile | Refused = asked.incoming  # type: ignore[attr-defined]
    if isinstance(found, Refused):
        raise found
    return found


class IncomingRequest(Request):
    """A request whose file, if its route takes one, goes straight to a folder of its own."""

    incoming: IncomingFile | Refused

    def _load_form_data(self) -> None:
        if "form" in self.__dict__ or not self._takes_file():
            super()._load_form_data()
            return
        fields: MultiDict[str, str] = MultiDict()
        # Set first: whoever handles an error asks for the form again.
        self.__dict__.update(form=fields, files=MultiDict())
        self._folders = ExitStack()
        try:
            self.incoming = self._receive(fields)
        except Refused as refused:
            self.incoming = refused

    def close(self) -> None:
        """Remove the file with its folder."""
        if folders := self.__dict__.pop("_folders", None):
            folders.close()
        super().close()

    def _takes_file(self) -> bool:
        view = current_app.view_functions.get(self.endpoint or "")
        return hasattr(view, "takes_file") and self.method == "POST"

    def _receive(self, fields: MultiDict[str, str]) -> IncomingFile:
        boundary = self.mimetype_params.get("boundary", "")
        length = self.content_length
        if length is not None and length > LONGEST_BODY:
            after_this_request(_hang_up)
            raise _too_large()
        # Some servers end a body that breaks off as if it were whole.
        stream = self.stream if length is None else LimitedStream(self.stream, length)
        with _hurried(self.environ, length or 0):
            try:
                if length is None:
                    raise Refused(N_("The length of the upload is not stated."), 400, N_("Send a Content-Length."))
                if self.mimetype != "multipart/form-data" or not boundary.isascii() or not boundary:
                    raise Refused(N_("This is not a form with a file in it."), 415, N_("Send multipart/form-data."))
                folder = self._folders.enter_context(runtime.storage.workspace())
                return _Receiver(folder, boundary.encode("ascii"), fields).read(_pieces(stream))
            except Refused:
                _drain(stream)
                raise
            except ClientDisconnected:
                raise Refused(N_("The upload was cut off."), 400, N_("Try again.")) from None
            except RequestEntityTooLarge:
                _drain(stream)
                raise Refused(N_("The form has too many parts, or too long ones."), 413) from None
            except (ValueError, HTTPException):
                _drain(stream)
                raise Refused(N_("The upload is not a form that can be read."), 400) from None

    @property
    def max_content_length(self) -> int | None:
        """Return the limit on a body; one with a file is counted while it is read."""
        return None if self._takes_file() else super().max_content_length

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value


class _Receiver:
    """Takes a form apart as it comes in: fields into a dictionary, one file into a folder."""

    def __init__(self, folder: Path, boundary: bytes, fields: MultiDict[str, str]) -> None:
        self._decoder = MultipartDecoder(boundary, LARGEST_FIELDS + 2 * _PIECE, max_parts=MOST_PARTS)
        self._fields = fields
        self._room = LARGEST_FIELDS
        self._path = folder / "received"
        self._file: IncomingFile | None = None

    def read(self, pieces: Iterator[bytes]) -> IncomingFile:
        """Return the one file; raises Refused, ValueError and what werkzeug raises."""
        with disk_errors(), self._path.open("xb") as target:
            part: Field | File | None = None
            for event in self._events(pieces):
                if isinstance(event, Field | File):
                    part = event
                    self._begin(event)
                elif isinstance(event, Data) and isinstance(part, File):
                    target.write(event.data)
                    if target.tell() > LARGEST_FILE:
                        raise _too_large()
                elif isinstance(event, Data) and part is not None:
                    self._add(part.name, event.data)
        if self._file is None:
            raise Refused(N_("There is no file in this upload."), 400, N_("Choose a picture."))
        return self._file

    def _events(self, pieces: Iterator[bytes]) -> Iterator[Any]:
        for piece in pieces:
            self._decoder.receive_data(piece)
            while not isinstance(event := self._decoder.next_event(), NeedData):
                yield event
        self._decoder.receive_data(None)
        while not isinstance(event := self._decoder.next_event(), Epilogue):
            yield event

    def _begin(self, part: Field | File) -> None:
        if part.name is None:
            raise ValueError("a part without a name")
        if isinstance(part, Field):
            if part.name == FIELD:
                raise Refused(N_("There is no file in this upload."), 400, N_("Choose a picture."))
            return
        if part.name != FIELD:
            raise Refused(N_("A file is not where it should be: its field is called “file”."), 400)
        if self._file is not None:
            raise Refused(N_("There are several files in this upload."), 400, N_("Send one file at a time."))
        self._file = IncomingFile(self._path, part.filename or "")

    def _add(self, name: str, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise RequestEntityTooLarge
        self._fields[name] = self._fields.get(name, "") + data.decode("utf-8", "replace")


def _too_large() -> Refused:
    return Refused(
        N_("The file is too large: {megabytes} MB are the most.").format(megabytes=LARGEST_FILE >> 20),
        413,
        N_("Make it smaller, or save it with more compression."),
    )


def _pieces(stream: Stream) -> Iterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece


def _drain(stream: Stream) -> None:
    """Read to the end, as far as it comes: whoever still speaks does not hear the answer. Hang up on the endless."""
    rest = LONGEST_BODY
    try:
        for piece in _pieces(stream):
            rest -= len(piece)
            if rest < 0:
                break
        else:
            return
    except (ClientDisconnected, OSError, ValueError):
        pass  # gunicorn's own words for a body that breaks off
    after_this_request(_hang_up)


def _hang_up(response: Response) -> Response:
    response.headers["Connection"] = "close"
    return response


@contextmanager
def _hurried(environ: dict[str, Any], length: int) -> Iterator[None]:
    """End the reading of a body that comes too slowly, as if its sender had stopped: an answer can still be sent."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is None:
        yield
        return
    timer = threading.Timer(PATIENCE + min(length, LARGEST_FILE) / SLOWEST, connection.shutdown, [SHUT_RD])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
