"""Words as they are compared: what is written down and what is typed are folded and split in the same way."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from imagegen.models.image_index import quoted, start_term, trigrams

MOST_LETTERS = 8_000
"""How much of a picture's text is found; longer prompts are rare, and nobody looks for their end."""

LONGEST_SEARCH = 200

# Scripts without spaces: each sign is a word, so that any part of a sentence is found.
_SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[^\W_{_SIGNS}]+|[^\s\U000f0000-\U0010ffff]")
_SHORTEST_PART = 3
_SHORT = 6
_MOST_TERMS = 12


def fold(text: str) -> str:
    """Return `text` without case, accents and variants of the same letter; what is folded folds to itself."""
    if text.isascii():
        return text.lower()
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    # Signs such as those of ℃ and ™ have no case, but the letters in them have.
    return unicodedata.normalize("NFC", bare.casefold())


def split(text: str) -> list[str]:
    """Return the words of folded `text`; a mark such as % is a word too."""
    return _WORD.findall(text)


def index_words(*texts: str | None) -> str:
    """Return what `ImageIndex.words` holds of `texts`: each word after two spaces."""
    found = split(fold(" ".join(text for text in texts if text)[:MOST_LETTERS]))
    return "".join(f"  {word}" for word in found)


@dataclass(frozen=True)
class Typed:
    """One piece of a search, without spaces: `launch-0004` is the words launch, - and 0004 in a row."""

    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The piece as it stands in `ImageIndex.words`: any part of a word; one or two letters only begin words."""
        if len(self.words) == 1 and len(self.words[0]) < _SHORTEST_PART:
            return "  "[len(self.words[0]) - 1 :] + self.words[0]
        return "  ".join(self.words)

    @property
    def phrases(self) -> list[str]:
        """The piece as operands of FTS5; they find all that it says, and a little more.

        One phrase would find no more, but FTS5 looks for the first place of a phrase from the end of the library on,
        in whatever window.
        """
        return ['"' + term.replace('"', '""') + '"' for term in dict.fromkeys(_covering(self.text))][:_MOST_TERMS]

    @property
    def lexemes(self) -> list[str]:
        """The piece as operands of a tsquery; they find all that it says, and a little more."""
        if len(self.words) == 1 and len(self.words[0]) < _SHORTEST_PART:
            return [quoted(start_term(self.words[0]))]
        first, *others = self.words
        found = _telling(first)
        for word in others:
            found += [start_term(word[:2]), *_telling(word)]
        return [quoted(term) for term in dict.fromkeys(found)][:_MOST_TERMS]


def _covering(word: str) -> list[str]:
    """Return trigrams that together hold all letters of `word`: each has its price, and neighbours find the same."""
    found = list(trigrams(word))
    return found[:-1:3] + found[-1:]


def _telling(word: str) -> list[str]:
    """Return the trigrams by which PostgreSQL looks: it reads the rarest list whole, which a short word may miss.

    Those of numbers are all as rare.
    """
    return _covering(word) if len(word) > _SHORT or word.isdigit() else list(trigrams(word))


def typed(q: str) -> tuple[Typed, ...]:
    """Return the pieces of what somebody typed, each of which a picture has to hold."""
    pieces = (tuple(split(piece)) for piece in fold(q[:LONGEST_SEARCH]).split())
    return tuple(dict.fromkeys(Typed(words) for words in pieces if words))
