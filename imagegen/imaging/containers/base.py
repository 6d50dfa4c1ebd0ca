"""What each container module promises, and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

MOST_PIECES = 250_000
"""How many pieces a file may be cut into: each costs every reader some time, however little is in it."""

T = TypeVar("T")


class Malformed(Exception):
    """The file breaks its format's structure, or ends too early."""


class TooManyPieces(Malformed):
    """The file is cut into so many pieces that reading them takes longer than any picture does."""


def counted(pieces: Iterator[T]) -> Iterator[T]:
    """Yield the pieces of a file; TooManyPieces if they don't end."""
    for number, piece in enumerate(pieces):
        if number == MOST_PIECES:
            raise TooManyPieces
        yield piece


@dataclass(frozen=True)
class Structure:
    """A picture's bytes without anything that follows its end, and its number of frames."""

    data: bytes
    frames: int = 1


class Container(Protocol):
    """A picture format, seen as a container; a module with these functions is one."""

    def parse(self, data: bytes) -> Structure:
        """Check that `data` holds the format's structure to its end; Malformed if not."""

    def with_xmp(self, data: bytes, packet: bytes) -> bytes:
        """Return parsed `data` with `packet` as its only XMP; everything else stays as it is."""

    def read_xmp(self, data: bytes) -> bytes | None:
        """Return the XMP packet in parsed `data`, or None."""

    def read_exif(self, data: bytes) -> bytes | None:
        """Return what says in parsed `data` how the picture is turned, as a TIFF file; None if nothing does."""

    def bare(self, data: bytes, *, orientation: int, profile: bool) -> bytes:
        """Return parsed `data` with its first frame, the same compressed pixels, and no word about them.

        What is not known to be needed for showing the picture goes. `orientation` (1 to 8, as in Exif) is written
        anew; the colour profile stays if `profile` says that it is one.
        """
