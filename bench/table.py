"""One line of the table, and the table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a value is compared with, measured in the same run and in the same unit."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. With a `limit`, a larger value is a failure."""

    name: str
    value: float
    unit: str
    baseline: Baseline | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times its baseline the value is; None without one."""
        return self.value / self.baseline.value if self.baseline and self.baseline.value else None

    @property
    def failed(self) -> bool:
        """Whether the value is over its limit."""
        return self.limit is not None and self.value > self.limit


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


HEADINGS = ("what", "measured", "baseline", "its value", "ratio", "limit", "")


def lines(rows: Iterable[Row]) -> list[str]:
    """Return the table's lines, its columns aligned."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    aligned = [
        "  ".join(
            _aligned(text, width, column) for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    return [aligned[0], "-" * len(aligned[0]), *(line.rstrip() for line in aligned[1:])]


def _aligned(text: str, width: int, column: int) -> str:
    return text.rjust(width) if HEADINGS[column] in ("measured", "its value", "ratio", "limit") else text.ljust(width)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        _number(row.value, row.unit),
        row.baseline.name if row.baseline else "",
        _number(row.baseline.value, row.unit) if row.baseline else "",
        f"{row.ratio:.2f} x" if row.ratio is not None else "",
        _number(row.limit, row.unit) if row.limit is not None else "",
        "TOO MUCH" if row.failed else "",
    )


def _number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}"
