"""What whoever reads a page may do; a stream's pieces are drawn once for all who may do the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import g

from imagegen.services.rights import Right


def may(right: Right) -> bool:
    """Tell whether the reader of what is drawn now may do that: nobody who is not known may do anything."""
    rights = g.get("reader_rights")
    if rights is None:
        identity = g.get("identity")
        rights = identity.rights if identity is not None else frozenset()
    return right in rights


@contextmanager
def drawn_for(rights: frozenset[Right]) -> Iterator[None]:
    """Draw what is drawn within for readers who have these rights."""
    before = g.get("reader_rights")
    g.reader_rights = rights
    try:
        yield
    finally:
        g.reader_rights = before
