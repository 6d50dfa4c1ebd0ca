"""Reading a prompt: which kind of picture, which colours, which mood, where to be calm."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from imagegen.providers.local import colour
from imagegen.providers.local.canvas import Calm
from imagegen.providers.local.colour import Lab
from imagegen.providers.local.colour_words import COLOURS, DARK_WORDS, LIGHT_WORDS, MODIFIERS
from imagegen.providers.local.curated import MOODS, WEAK_MOODS
from imagegen.providers.local.palette import Tone

_TOKEN = re.compile(r"#[0-9a-f]{6}\b|#[0-9a-f]{3}\b|[^\W\d_]+")
_NEGATIONS = frozenset({"no", "not", "without", "never", "avoid", "except"})
_ALTERNATIVES = frozenset({"or", "nor"})
_FILLERS = frozenset({"any", "a", "an", "the", "too", "much", *MODIFIERS})

_PLACES: tuple[tuple[Calm, str], ...] = (
    (Calm.TOP, r"top|upper|above|sky"),
    (Calm.BOTTOM, r"bottom|lower|below|foot"),
    (Calm.LEFT, r"left(?!\s+(?:for|free|empty|open|blank|over))"),
    (Calm.RIGHT, r"right"),
    (Calm.CENTRE, r"cent(?:re|er)|middle"),
)
_ANY_PLACE = "|".join(pattern for _, pattern in _PLACES)
_WORDS_WANTED = r"text|headlines?|titles?|copy|words|logo|captions?|type|typography|writing|quotes?|lettering"
_ROOM = re.compile(
    rf"(?:room|space|area|place|margin)\b[^.;]{{0,24}}\b(?:{_WORDS_WANTED})\b"
    r"|\b(?:copy|text|headline|title|negative|empty|blank|white)[\s-]?(?:space|area|room)\b"
)
_QUIET = re.compile(
    rf"\b(?:calm|quiet|empty|clear|free|plain|blank|uncluttered)\s+(?:area\s+|space\s+)?(?:(?:at|on|in|to)\s+)?"
    rf"(?:the\s+)?(?P<after>{_ANY_PLACE})\b"
    rf"|\b(?P<before>{_ANY_PLACE})\s+(?:(?:half|third|side|part|area|edge|corner)\s+)?(?:is\s+|kept\s+|left\s+)?"
    r"(?:calm|quiet|empty|clear|free|plain|blank|uncluttered)\b"
)
_LEAD = re.compile(rf"(?:^|[,.;])\s*(?:at|on|in|to)\s+the\s+({_ANY_PLACE})\b[^,.;]{{0,12}},\s*$")
_NEARBY = 36


@dataclass(frozen=True, slots=True)
class Reading:
    """What a prompt says: its words, colours named, moods, tone, calm area, and what it does not want."""

    words: tuple[str, ...]
    colours: tuple[Lab, ...]
    moods: tuple[str, ...]
    tone: Tone | None
    calm: Calm | None
    unwanted: tuple[str, ...]
    unwanted_colours: tuple[Lab, ...]


def normalised(prompt: str) -> str:
    """Return `prompt` with case, width and spacing evened out: what the seed is made from."""
    return " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())


def read(prompt: str, negative: str = "") -> Reading:
    """Read a prompt and a negative prompt; words that mean nothing here are simply kept as words."""
    text = normalised(prompt)
    wanted, refused = _parted(_TOKEN.findall(text))
    refused += _TOKEN.findall(normalised(negative))
    return Reading(
        words=tuple(wanted),
        colours=tuple(_colours(wanted)),
        moods=tuple(word for word in wanted if word in MOODS),
        tone=_tone(text, wanted),
        calm=calm_area(text),
        unwanted=tuple(refused),
        unwanted_colours=tuple(_colours(refused)),
    )


def palettes_for(moods: Sequence[str]) -> list[str]:
    """Return the names of the palettes that suit all these moods best; empty if there are none."""
    scores: dict[str, float] = {}
    for mood in moods:
        weight = 0.4 if mood in WEAK_MOODS else 1.0
        for rank, name in enumerate(MOODS[mood]):
            scores[name] = scores.get(name, 0.0) + weight * (1 - 0.12 * rank)
    best = max(scores.values(), default=0.0)
    return [name for name, score in scores.items() if score > 0.68 * best]


def calm_area(text: str) -> Calm | None:
    """Return where `text` asks for room for words; the top if it does not say where; None if it does not."""
    text = normalised(text)
    quiet = _QUIET.search(text)
    if quiet is not None:
        return _place(quiet["after"] or quiet["before"])
    room = _ROOM.search(text)
    if room is None:
        return None
    lead = _LEAD.search(text[: room.start()])
    if lead is not None:
        return _place(lead[1])
    after = text[room.start() : room.end() + _NEARBY]
    before = text[max(room.start() - _NEARBY, 0) : room.start()]
    return _place(re.split(r"[.;]", after)[0]) or _place(re.split(r"[.;,]", before)[-1]) or Calm.TOP


def singular(word: str) -> str:
    """Return `word` without a plural's ending, good enough to find it in a table."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def _place(text: str) -> Calm | None:
    found = [(match.start(), calm) for calm, pattern in _PLACES if (match := re.search(rf"\b(?:{pattern})\b", text))]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _parted(tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that are wanted and those that follow a "no" or "without"."""
    wanted: list[str] = []
    refused: list[str] = []
    refusing = just_refused = False
    for token in tokens:
        if token in _NEGATIONS or (just_refused and token in _ALTERNATIVES):
            refusing, just_refused = True, False
        elif refusing:
            refused.append(token)
            refusing = token in _FILLERS
            just_refused = not refusing
        else:
            wanted.append(token)
            just_refused = False
    return wanted, refused


def _colours(tokens: Sequence[str]) -> list[Lab]:
    """Return the colours named, in order, each as the adjectives right before it change it."""
    found: list[Lab] = []
    for i, token in enumerate(tokens):
        if token.startswith("#"):
            found.append(colour.parse_hex(token))
            continue
        name = token if token in COLOURS else singular(token)
        if name not in COLOURS:
            continue
        lab = colour.parse_hex(COLOURS[name])
        for adjective in tokens[max(i - 2, 0) : i]:
            if adjective in MODIFIERS and adjective not in COLOURS:
                lighter, stronger = MODIFIERS[adjective]
                lab = colour.with_lightness(lab, min(max(lab[0] + lighter, 0.1), 0.97), stronger)
        found.append(lab)
    return found


def _tone(text: str, words: Sequence[str]) -> Tone | None:
    """Return whether the ground is to be dark or light: by what is said of it, else by the words of mood."""
    said = re.search(r"\b(\w+)\s+(?:background|backdrop|ground|mode|theme)\b|\bon\s+(\w+)\b", text)
    for word in said.groups() if said else ():
        if word in DARK_WORDS:
            return "dark"
        if word in LIGHT_WORDS:
            return "light"
    loose_light = LIGHT_WORDS - {"light", "bright", "paper", "white", "cream", "ivory"}
    loose_dark = DARK_WORDS - {"black", "charcoal"}
    if any(word in loose_dark and not _colours(words[i + 1 : i + 2]) for i, word in enumerate(words)):
        return "dark"
    return "light" if any(word in loose_light for word in words) else None
