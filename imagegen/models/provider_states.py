"""How a provider is doing with one key, as all workers have found out together."""

from __future__ import annotations

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.core.clock import now
from imagegen.extensions import Model
from imagegen.models.columns import Sentence, UtcDateTime, created, moment, pk

NO_KEY = ""


class ProviderState(Model):
    """Limits and the breaker of one provider and key; a provider that is well has no row, or a blank one.

    `key` is the first digits of the key's hash: one organisation's bad key closes nothing for another.
    `concurrency` and `per_minute` are how many calls a person lets be under way, and be begun within a minute;
    `slots` is what trouble has left of them for now (None: as many as the setting allows). Until `paused_until` no
    call is begun. `failures` are those in a row; once they broke it, at `broken_since`, one call at a time may try
    from `open_until` on whether it is over.
    """

    __tablename__ = "provider_states"
    __table_args__ = (UniqueConstraint("provider", "key"),)

    id: Mapped[pk]
    provider: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(16), default=NO_KEY)
    concurrency: Mapped[int | None]
    per_minute: Mapped[int | None]
    slots: Mapped[int | None]
    paused_until: Mapped[moment]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    open_until: Mapped[moment]
    broken_since: Mapped[moment]
    error_kind: Mapped[str | None] = mapped_column(String(16))
    error_message: Mapped[str | None] = mapped_column(Sentence)
    error_at: Mapped[moment]
    updated_at: Mapped[created] = mapped_column(UtcDateTime, default=now, onupdate=now)
