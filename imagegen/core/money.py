"""Money as whole micro-dollars: exact, and never a float."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

Micro = int
"""An amount in millionths of a US dollar."""

MICRO_PER_USD = 1_000_000
_TYPED = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")


def from_usd(amount: Decimal | str) -> Micro:
    """Return `amount` dollars in micro-USD, rounded half to even."""
    return int((Decimal(amount) * MICRO_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def read_usd(text: str) -> Micro | None:
    """Return what a person has typed, such as `20`, `$20` or `0.041`; None if that is no amount of dollars.

    A comma is refused: it means thousands to some and a fraction to others.
    """
    typed = text.strip().removeprefix("$")
    return from_usd(typed) if _TYPED.fullmatch(typed) else None


def to_usd(amount: Micro) -> str:
    """Return `amount` as a decimal string in dollars with six places, as the API writes it."""
    return f"{Decimal(amount) / MICRO_PER_USD:.6f}"


def display(amount: Micro) -> str:
    """Return `amount` for a page: `$0.164`, `$1,204.50`; at least two places, at most four."""
    sign = "-" if amount < 0 else ""
    places = f"{Decimal(abs(amount)) / MICRO_PER_USD:,.4f}"
    whole, fraction = places.split(".")
    return f"{sign}${whole}.{fraction.rstrip('0').ljust(2, '0')}"
