"""What was cleaned up, when, and at whose wish."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Date, ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.extensions import Model
from imagegen.models.columns import created, items, moment, pk, public_id


class CleaningReport(Model):
    """One round of cleaning, from the wish to its result.

    `day` is set on the daily round alone: its key lets one of several schedulers begin it. `only` names the one duty
    that was asked for. `results` holds one mapping per duty that has ended, see `services.cleaning.reports`.
    """

    __tablename__ = "cleaning_reports"
    __table_args__ = (
        Index(
            "ix_cleaning_reports_waiting",
            "id",
            sqlite_where=text("started_at IS NULL"),
            postgresql_where=text("started_at IS NULL"),
        ),
    )

    id: Mapped[pk]
    public_id: Mapped[public_id]
    day: Mapped[date | None] = mapped_column(Date, unique=True)
    dry_run: Mapped[bool] = mapped_column(default=False, server_default=false())
    only: Mapped[str | None] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    results: Mapped[items] = mapped_column(default=list)
    created_at: Mapped[created]
    started_at: Mapped[moment]
    seen_at: Mapped[moment]
    finished_at: Mapped[moment]
