"""Budgets, what of them is used in each month or day, and which reservation was counted where."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from imagegen.extensions import Model, db
from imagegen.models.columns import BigId, UtcDateTime, created, micro, moment, pk, public_id
from imagegen.models.scope import OrganisationOwned
from imagegen.models.users import User


class Per(StrEnum):
    """How long a budget lasts before it begins anew, in the organisation's time zone."""

    MONTH = "month"
    DAY = "day"


class Budget(OrganisationOwned, Model):
    """What an organisation, or one person in it, may spend in a month or a day.

    A hard one refuses what does not fit; a soft one only warns.
    """

    __tablename__ = "budgets"
    __table_args__ = (
        CheckConstraint("per IN ('month', 'day')", name="per"),
        CheckConstraint("cap_micro >= 0", name="cap"),
        # Two indexes, for a key with NULL in it is never taken.
        Index(
            "uq_budgets_of_organisation",
            "organisation_id",
            "per",
            unique=True,
            sqlite_where=text("user_id IS NULL"),
            postgresql_where=text("user_id IS NULL"),
        ),
        Index(
            "uq_budgets_of_person",
            "organisation_id",
            "user_id",
            "per",
            unique=True,
            sqlite_where=text("user_id IS NOT NULL"),
            postgresql_where=text("user_id IS NOT NULL"),
        ),
    )

    id: Mapped[pk]
    public_id: Mapped[public_id]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    per: Mapped[str] = mapped_column(String(8))
    cap_micro: Mapped[micro]
    hard: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[created]

    user: Mapped[User | None] = relationship()


class BudgetPeriod(OrganisationOwned, Model):
    """One month or day of a budget: what is set aside, what is spent, and the cap that was in force.

    A hard one never takes more than its cap and what an admin has granted on top. What is above that is named in
    `over_micro`: true costs above their reservation, and caps that were lowered below what was gone already.
    """

    __tablename__ = "budget_periods"
    __table_args__ = (
        UniqueConstraint("budget_id", "starts_on"),
        CheckConstraint("reserved_micro >= 0 AND spent_micro >= 0 AND over_micro >= 0", name="amounts"),
        CheckConstraint(
            "NOT hard OR spent_micro + reserved_micro <= cap_micro + granted_micro + over_micro", name="cap"
        ),
    )

    id: Mapped[pk]
    budget_id: Mapped[int] = mapped_column(ForeignKey("budgets.id", ondelete="CASCADE"))
    starts_on: Mapped[date] = mapped_column(Date)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    hard: Mapped[bool] = mapped_column(default=False, server_default=false())
    cap_micro: Mapped[micro]
    granted_micro: Mapped[micro] = mapped_column(default=0)
    reserved_micro: Mapped[micro] = mapped_column(default=0)
    spent_micro: Mapped[micro] = mapped_column(default=0)
    over_micro: Mapped[micro] = mapped_column(default=0)
    asked_micro: Mapped[int | None] = mapped_column(BigInteger)
    asked_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    asked_at: Mapped[moment]

    asked_by: Mapped[User | None] = relationship()


reservation_periods = Table(
    "reservation_periods",
    db.metadata,
    Column("reservation_id", BigId, ForeignKey("reservations.id", ondelete="CASCADE"), primary_key=True),
    Column("period_id", BigId, ForeignKey("budget_periods.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_reservation_periods_period_id", "period_id"),
)
"""Where a reservation was counted, so that it ends in the very month and day in which it began."""
