"""What people read for the values that programs use: qualities, styles, scopes, money."""

from __future__ import annotations

from copy import copy
from decimal import Decimal

from babel import Locale
from flask_babel import get_locale

from imagegen.core.money import MICRO_PER_USD, Micro
from imagegen.core.text import N_
from imagegen.prompts.styles import styles
from imagegen.web.language import said

_PLACES = (2, 4)
"""How many digits stand after the point of an amount, at least and at most."""

QUALITIES: dict[str, str] = {
    "low": N_("Low"),
    "medium": N_("Medium"),
    "high": N_("High"),
    "xhigh": N_("Higher"),
    "max": N_("Highest"),
    "standard": N_("Standard"),
    "hd": N_("HD"),
    "auto": N_("Automatic"),
}

SCOPES: dict[str, tuple[str, str]] = {
    "read": (N_("Read"), N_("See pictures and jobs.")),
    "write": (N_("Write"), N_("Generate, star and change.")),
    "admin": (N_("Admin"), N_("Everything that your role allows.")),
}
"""What a token may do: a label, and what that means."""


def quality(value: str) -> str:
    """Return the name of a quality; one that nobody has named is its own name."""
    return said(QUALITIES.get(value, value))


def style(style_id: str) -> str:
    """Return the label of a style, also of one that is no longer offered."""
    return said(next((style.label for style in styles() if style.id == style_id), style_id))


def scope(name: str) -> str:
    """Return the label of a token's scope."""
    label, _note = SCOPES.get(name, (name, ""))
    return said(label)


def money(amount: Micro) -> str:
    """Return `amount` as the reader's language writes dollars: `$0.041`, `0,041 $`."""
    locale = get_locale() or Locale("en")
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = _PLACES
    return str(pattern.apply(Decimal(amount) / MICRO_PER_USD, locale, currency="USD", currency_digits=False))
