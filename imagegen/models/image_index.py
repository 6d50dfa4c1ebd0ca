"""By what pictures are found: one slim row for each, with an inverted index over words and facets together.

Everything a person can narrow the library by is a *term*: a word of the picture's name or prompt, its kind, a tag,
its organisation. One index holds them all, so that any combination is an intersection of sorted lists and costs about
as much as its rarest part, however large the library is. On SQLite that is FTS5 with trigrams, on PostgreSQL a GIN
index over a stored tsvector of the same trigrams: neither needs an extension that a server may not have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Dialect, ForeignKey, Index, String, Text, false
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from imagegen.extensions import Model
from imagegen.models.columns import BigId
from imagegen.models.scope import OrganisationOwned

FTS_TABLE = "image_index_fts"
"""SQLite's inverted index: what it calls `rowid` is a picture's id below zero.

So the newest comes first, in the order in which FTS5 reads its lists fastest: backwards takes it two to six times as
long. It holds no text of its own.
"""

POSITION = {"sqlite": "image_id", "postgresql": "image_id + 0"}
"""Where a picture stands in the order of ids, as `ix_image_index_newest` has it on each database.

PostgreSQL's is an expression: its planner would walk by the primary key over everybody's pictures, and the trash.
"""

_MARK = "~"
_START = "^"
_WINDOW = "~era"
_WINDOW_SIGN = 0xF0000 + 65_000
_PLANES = ((0xF0000, 65_000), (0x100000, 32_000), (0x108000, 32_000))


Found = tuple[str, str, Sequence[tuple[int, int]]]
"""`ImageIndex.words`, `ImageIndex.marks`, and the windows in which a picture is, as bits and number."""


class Terms(TypeDecorator[Found]):
    """What a picture is found by, stored as each database indexes it best; it is only ever written and searched."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type in the database."""
        return dialect.type_descriptor(TSVECTOR() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Found | None, dialect: Dialect) -> str | None:
        """Return the terms in the database's own form."""
        if value is None:
            return None
        words, marks, windows = value
        if dialect.name == "postgresql":
            terms = {*_parts(words), *map(mark_term, marks.split()), *(f"{_WINDOW}{bits}:{n}" for bits, n in windows)}
            return " ".join(quoted(term) for term in sorted(terms))
        return "".join(
            [*map(mark_trigram, marks.split()), *(window_trigram(bits, number) for bits, number in windows)]
        )


class ImageIndex(OrganisationOwned, Model):
    """The row by which a picture is found and put in order; kept by `services.library.indexing` alone.

    `words` is the folded text, each word after two spaces, so that "  l" begins a word and " li" too. `marks` are the
    facets, as ` kind:uploaded tag:7 `, with a space round each.
    """

    __tablename__ = "image_index"
    __table_args__ = (
        Index("ix_image_index_newest", "organisation_id", "trashed", "image_id"),
        Index("ix_image_index_most_used", "organisation_id", "trashed", "usage_count", "image_id"),
        Index("ix_image_index_name", "organisation_id", "trashed", "name", "image_id"),
        Index("ix_image_index_kind_most_used", "organisation_id", "trashed", "kind", "usage_count", "image_id"),
        Index("ix_image_index_kind_name", "organisation_id", "trashed", "kind", "name", "image_id"),
    )

    image_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    trashed: Mapped[bool] = mapped_column(default=False, server_default=false())
    usage_count: Mapped[int] = mapped_column(default=0, server_default="0")
    kind: Mapped[str] = mapped_column(String(16), server_default="")
    name: Mapped[str] = mapped_column(String(300))
    words: Mapped[str] = mapped_column(Text)
    marks: Mapped[str] = mapped_column(Text)
    terms: Mapped[Found] = mapped_column(Terms)


class ImageEra(Model):
    """On which days the pictures of an era came, of all organisations: between these, or on fewer.

    A search for days looks only where they can be. An era is `services.library.marks.ERA` ids; days are written as
    2026-11-21.
    """

    __tablename__ = "image_eras"

    era: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    first_day: Mapped[str] = mapped_column(String(10))
    last_day: Mapped[str] = mapped_column(String(10))


def mark_trigram(mark: str) -> str:
    """Return the three characters that stand for `mark` in the index of trigrams.

    They come from the private planes, each place from a range of its own: no text holds one, and where two marks
    meet nothing arises that looks like a third. 45 bits of a hash: two of 10,000 marks are alike once in a million.
    """
    number = int.from_bytes(hashlib.blake2s(mark.encode(), digest_size=8).digest(), "big")
    letters = []
    for first, count in _PLANES:
        number, rest = divmod(number, count)
        letters.append(chr(first + rest))
    return "".join(letters)


def window_trigram(bits: int, number: int) -> str:
    """Return the three characters that stand for a window; no mark has such a first one."""
    (_, _), (second, count), (third, _) = _PLANES
    return chr(_WINDOW_SIGN + bits) + chr(second + number // count) + chr(third + number % count)


def window_trigram_sql(bits: str, number: str) -> str:
    """Return SQLite's expression for `window_trigram` of two expressions."""
    (_, _), (second, count), (third, _) = _PLANES
    return f"char({_WINDOW_SIGN} + {bits}, {second} + {number} / {count}, {third} + {number} % {count})"


def window_term_sql(bits: str, number: str) -> str:
    """Return PostgreSQL's expression for the operand of a tsquery that stands for a window."""
    return f"quote_literal(concat('{_WINDOW}', {bits}, '\\:', {number}))"


def mark_term(mark: str) -> str:
    """Return the lexeme that stands for `mark`."""
    return _MARK + mark


def start_term(letters: str) -> str:
    """Return the lexeme of words that begin with one or two `letters`."""
    return _START + letters


def quoted(term: str) -> str:
    """Return `term` as tsvector and tsquery read it, whatever is in it."""
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"


def trigrams(word: str) -> Iterable[str]:
    """Yield all three letters of `word` that stand in a row; nothing for a shorter one."""
    return (word[at : at + 3] for at in range(len(word) - 2))


def _parts(words: str) -> Iterable[str]:
    """Yield the beginnings of each word, and its trigrams.

    What has all trigrams of what was typed is compared with the row's text. Prefixes of whole words would find less
    too much, but GIN reads all that begins with one before it looks at anything else.
    """
    for word in dict.fromkeys(words.split()):
        yield start_term(word[:1])
        yield start_term(word[:2])
        yield from trigrams(word)
