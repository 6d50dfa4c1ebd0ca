"""Operators write prices: into the file that goes over the studio's own table, and into the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagegen.core.clock import now
from imagegen.extensions import runtime
from imagegen.models import UnitOfWork, writes
from imagegen.models.audit import Action
from imagegen.services import audit
from imagegen.services.audit import Actor


def change(*, by: Actor, provider: str, model: str, price: Mapping[str, Any]) -> None:
    """Write a model's prices; raises StudioError for what is no price. They hold for what is asked from now on."""
    runtime.price_book.override(provider, model, price, today=now().date())
    _note(by=by, model=f"{provider}:{model}")


def restore(*, by: Actor, provider: str, model: str) -> None:
    """Let the studio's own prices of a model hold again."""
    runtime.price_book.restore(provider, model, today=now().date())
    _note(by=by, model=f"{provider}:{model}")


@writes
def _note(uow: UnitOfWork, *, by: Actor, model: str) -> None:
    audit.record(uow, Action.PRICES_CHANGED, by=by.within(None), facts={"model": model})
