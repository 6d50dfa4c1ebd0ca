"""Words that an organisation puts on its pictures."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.extensions import Model
from imagegen.models.columns import BigId, created, pk, public_id
from imagegen.models.scope import OrganisationOwned


class Tag(OrganisationOwned, Model):
    """A word, as it was first written; `key` is the same without case, accents and doubled spaces."""

    __tablename__ = "tags"
    __table_args__ = (UniqueConstraint("organisation_id", "key"),)

    id: Mapped[pk]
    public_id: Mapped[public_id]
    name: Mapped[str] = mapped_column(String(60))
    key: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[created]


class ImageTag(OrganisationOwned, Model):
    """A tag on a picture."""

    __tablename__ = "image_tags"
    __table_args__ = (Index("ix_image_tags_tag_id", "tag_id", "image_id"),)

    image_id: Mapped[int] = mapped_column(BigId, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(BigId, ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True)
