"""What can go wrong with a picture, each with a sentence for the person who waits for it."""

from __future__ import annotations

from collections.abc import Sequence

from imagegen.core.errors import ErrorKind, StudioError
from imagegen.core.text import N_, Message


class ImagingError(StudioError):
    """Work on a picture failed.

    `code` travels between the pool and its clients. `about_the_picture` is true when the same file would
    fail again, and false when the work may simply be given to the pool once more.
    """

    code = "imaging"
    about_the_picture = True
    default = N_("The picture could not be processed.")

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message or self.default, field=field)


class Unreadable(ImagingError):
    """The file claims to be a picture but cannot be decoded whole."""

    code = "unreadable"
    default = N_("The picture is damaged or incomplete.")
    advice = N_("Open it in another program, save it anew, and bring that file.")


class UnsupportedFormat(ImagingError):
    """The file is no picture, or one of a kind that is not taken here."""

    code = "unsupported_format"
    status = 415
    default = N_("The file is not a picture in a supported format.")
    advice = N_("Save it as JPEG or PNG, and bring that file.")


class TooManyPixels(ImagingError):
    """The picture is larger than the studio decodes."""

    code = "too_many_pixels"
    default = N_("The picture is too large.")
    advice = N_("Make it smaller, and bring that file.")


class TooSmall(ImagingError):
    """The picture has too few pixels to be of use."""

    code = "too_small"
    default = N_("The picture is too small.")
    advice = N_("Bring a larger one.")


class TimedOut(ImagingError):
    """The work took longer than its time limit and was ended."""

    code = "timed_out"
    kind = ErrorKind.TIMEOUT
    default = N_("The picture took too long to process.")
    advice = N_("Make it smaller, or save it as JPEG or PNG.")


class Crashed(ImagingError):
    """The process that worked on the picture ended in the middle of it."""

    code = "crashed"
    kind = ErrorKind.INTERNAL
    status = 500
    default = N_("Processing the picture failed unexpectedly.")


class NoSpace(ImagingError):
    """The disk is full; the received file is untouched."""

    code = "no_space"
    kind = ErrorKind.INTERNAL
    status = 507
    about_the_picture = False
    default = N_("There is no space left on the studio's disk.")


class Unavailable(ImagingError):
    """No process took the work; nothing was begun."""

    code = "unavailable"
    kind = ErrorKind.UNAVAILABLE
    status = 503
    about_the_picture = False
    default = N_("The studio is too busy to process pictures right now.")


BY_CODE: dict[str, type[ImagingError]] = {
    error.code: error
    for error in (
        ImagingError,
        Unreadable,
        UnsupportedFormat,
        TooManyPixels,
        TooSmall,
        TimedOut,
        Crashed,
        NoSpace,
        Unavailable,
    )
}


def from_answer(code: str, message: str, parts: Sequence[tuple[str, dict[str, str]]]) -> ImagingError:
    """Return the error that a child reported; its sentence can be said in any language, as where it was made."""
    return BY_CODE.get(code, Crashed)(Message(message, tuple((pattern, values) for pattern, values in parts)))
