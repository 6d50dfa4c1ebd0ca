"""What operators have switched for the whole installation; in the database, where no flush of Redis forgets it."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.core.clock import now
from imagegen.extensions import Model
from imagegen.models.columns import UtcDateTime, created


class Switch(Model):
    """One thing that is switched on. What is off has no row."""

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(String(160), primary_key=True)
    changed_at: Mapped[created] = mapped_column(UtcDateTime, default=now)
