"""Where pictures are used."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.extensions import Model
from imagegen.models.columns import BigId, created
from imagegen.models.scope import OrganisationOwned


class ImageUse(OrganisationOwned, Model):
    """One thing that uses one picture: what kind of thing, and its public id; written by `services.library.usage`."""

    __tablename__ = "image_uses"
    __table_args__ = (Index("ix_image_uses_user", "organisation_id", "kind", "reference"),)

    image_id: Mapped[int] = mapped_column(BigId, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    reference: Mapped[str] = mapped_column(String(36), primary_key=True)
    created_at: Mapped[created]
