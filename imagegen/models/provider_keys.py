"""Keys to providers that an organisation brought itself, and the order in which it lets models stand in."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.core.clock import now
from imagegen.extensions import Model
from imagegen.models.columns import Sentence, UtcDateTime, created, moment, pk, public_id
from imagegen.models.scope import OrganisationOwned


class ProviderKey(OrganisationOwned, Model):
    """An organisation's own key to a provider, sealed; it goes before the installation's.

    `digest` tells keys apart without saying any of them: limits and breakers are kept under it. `hint` is what a
    person recognises a key by, its last characters.
    """

    __tablename__ = "provider_keys"
    __table_args__ = (UniqueConstraint("organisation_id", "provider"),)

    id: Mapped[pk]
    public_id: Mapped[public_id]
    provider: Mapped[str] = mapped_column(String(32))
    sealed: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(16))
    hint: Mapped[str] = mapped_column(String(8))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    tested_at: Mapped[moment]
    test_error: Mapped[str | None] = mapped_column(Sentence)
    created_at: Mapped[created]
    updated_at: Mapped[created] = mapped_column(UtcDateTime, default=now, onupdate=now)


class Fallback(OrganisationOwned, Model):
    """A model that may take over, in the order of `position`, when a shot's own provider cannot serve it."""

    __tablename__ = "fallbacks"
    __table_args__ = (
        UniqueConstraint("organisation_id", "provider", "model"),
        UniqueConstraint("organisation_id", "position"),
    )

    id: Mapped[pk]
    position: Mapped[int]
    provider: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(120))
