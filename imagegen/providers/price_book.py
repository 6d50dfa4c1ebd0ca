"""The prices in force: the studio's own table, and what an operator has written over it in the data folder.

Every process looks whether the file has changed, so that a price holds everywhere as soon as it is written.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.providers.prices import PriceTable, written

FILE = "prices.yaml"

log = logging.getLogger(__name__)

_Stamp = tuple[int, int]
_SPOILT = N_("The file prices.yaml in the data folder is not a table of prices. Repair it, or delete it.")


class PriceBook:
    """The studio's own price table with an operator's file over it. Safe for threads: a table never changes."""

    def __init__(self, path: Path) -> None:
        """Read the prices; raises OSError, and ValueError for an operator's file that is not a price table."""
        self._path = path
        self._stamp = self._look()
        self._table = self._read(path)

    @property
    def table(self) -> PriceTable:
        """The prices in force. A file that got spoilt changes nothing: what was read before goes on."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._table = self._read(self._path)
            except (OSError, ValueError):
                log.exception("%s cannot be read: the prices from before hold", self._path)
        return self._table

    def overridden(self, provider: str, model: str) -> bool:
        """Tell whether an operator has written this model's prices; raises StudioError if the file got spoilt."""
        return model in self._written().get(provider, {})

    def override(self, provider: str, model: str, price: Mapping[str, Any], *, today: date) -> None:
        """Write a model's prices over the studio's own; raises StudioError with a sentence for what is no price."""
        own = self._written()
        entry = {**price, "checked": today}
        self._write({**own, provider: {**own.get(provider, {}), model: entry}}, today)

    def restore(self, provider: str, model: str, *, today: date) -> None:
        """Let the studio's own prices of a model hold again."""
        own = self._written()
        rest = {name: price for name, price in own.get(provider, {}).items() if name != model}
        self._write({**own, provider: rest}, today)

    def _look(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _read(self, path: Path) -> PriceTable:
        return PriceTable.load(path) if path.exists() else PriceTable.load()

    def _written(self) -> dict[str, dict[str, Any]]:
        if not self._path.exists():
            return {}
        try:
            found: dict[str, dict[str, Any]] = written(self._path)["providers"]
        except ValueError:
            raise StudioError(_SPOILT) from None
        return found

    def _write(self, providers: Mapping[str, Any], today: date) -> None:
        draft = self._path.with_name(f".{FILE}.{os.getpid()}")
        try:
            text = yaml.safe_dump({"as_of": today, "providers": dict(providers)}, sort_keys=True, allow_unicode=True)
            draft.write_text(text, encoding="utf-8")
            try:
                self._read(draft)
            except ValueError as error:
                log.info("refused prices: %s", error)
                raise StudioError(
                    N_("This is no price: a picture needs one for a size, or the model is free.")
                ) from None
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)
