"""Money set aside and money spent, in micro-USD."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.extensions import Model
from imagegen.models.columns import created, micro, moment, pk
from imagegen.models.scope import OrganisationOwned
from imagegen.models.states import ReservationStatus


class Reservation(OrganisationOwned, Model):
    """The most that a shot may cost, set aside when its job is accepted and ended exactly once.

    `amount_micro` is None where no price is known.
    """

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("status IN ('held', 'posted', 'void')", name="status"),
        Index("ix_reservations_organisation_id_status", "organisation_id", "status"),
        Index("ix_reservations_organisation_id_created_at", "organisation_id", "created_at"),
    )

    id: Mapped[pk]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    shot_id: Mapped[int] = mapped_column(ForeignKey("shots.id", ondelete="CASCADE"), unique=True)
    amount_micro: Mapped[int | None] = mapped_column(BigInteger)
    posted_micro: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(8), default=ReservationStatus.HELD)
    created_at: Mapped[created]
    ended_at: Mapped[moment]


class LedgerEntry(OrganisationOwned, Model):
    """One side of a booking. Rows are only ever added; those of one `booking` sum to zero.

    Accounts: `spend` (what the organisation used up, positive) against `provider:<id>` (what is owed there).
    Facts that reports ask for are copied in, for a job may be deleted while its cost stays.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        Index("ix_ledger_entries_organisation_id_created_at", "organisation_id", "created_at"),
        Index("ix_ledger_entries_booking", "booking"),
        Index("ix_ledger_entries_attempt_id", "attempt_id"),
    )

    id: Mapped[pk]
    booking: Mapped[str] = mapped_column(String(36))
    account: Mapped[str] = mapped_column(String(60))
    amount_micro: Mapped[micro]
    user_id: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[int] = mapped_column(BigInteger)
    shot_id: Mapped[int] = mapped_column(BigInteger)
    attempt_id: Mapped[int] = mapped_column(BigInteger)
    client_id: Mapped[int | None] = mapped_column(BigInteger)
    campaign_id: Mapped[int | None] = mapped_column(BigInteger)
    operation: Mapped[str] = mapped_column(String(24))
    provider: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(120))
    price_date: Mapped[str | None] = mapped_column(String(10))
    created_at: Mapped[created]
