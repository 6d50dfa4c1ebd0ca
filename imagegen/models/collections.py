"""Pictures that belong together, whatever made them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.core.clock import now
from imagegen.extensions import Model
from imagegen.models.columns import BigId, UtcDateTime, created, pk, public_id
from imagegen.models.scope import OrganisationOwned


class Collection(OrganisationOwned, Model):
    """A named set of pictures, seen by the whole organisation; `key` is the name without case and accents."""

    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("organisation_id", "key"),)

    id: Mapped[pk]
    public_id: Mapped[public_id]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(String(120))
    key: Mapped[str] = mapped_column(String(240))
    created_at: Mapped[created]
    updated_at: Mapped[created] = mapped_column(UtcDateTime, default=now, onupdate=now)


class CollectionImage(OrganisationOwned, Model):
    """A picture in a collection."""

    __tablename__ = "collection_images"
    __table_args__ = (Index("ix_collection_images_image_id", "image_id"),)

    collection_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[int] = mapped_column(BigId, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[created]
