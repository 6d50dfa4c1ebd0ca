"""Searches that somebody wants to find again."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.extensions import Model
from imagegen.models.columns import created, data, pk, public_id
from imagegen.models.scope import OrganisationOwned


class SavedSearch(OrganisationOwned, Model):
    """A person's own search: `wish` holds what was typed and chosen, see `services.library.Wish`."""

    __tablename__ = "saved_searches"
    __table_args__ = (UniqueConstraint("organisation_id", "user_id", "name"),)

    id: Mapped[pk]
    public_id: Mapped[public_id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))
    wish: Mapped[data]
    created_at: Mapped[created]
