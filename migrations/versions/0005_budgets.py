"""budgets, their periods, and where each reservation was counted"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("per", sa.String(length=8), nullable=False),
        sa.Column("cap_micro", sa.BigInteger(), nullable=False),
        sa.Column("hard", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("per IN ('month', 'day')", name=op.f("ck_budgets_per")),
        sa.CheckConstraint("cap_micro >= 0", name=op.f("ck_budgets_cap")),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_budgets_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_budgets_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
        sa.UniqueConstraint("public_id", name=op.f("uq_budgets_public_id")),
    )
    op.create_index(
        "uq_budgets_of_organisation",
        "budgets",
        ["organisation_id", "per"],
        unique=True,
        sqlite_where=sa.text("user_id IS NULL"),
        postgresql_where=sa.text("user_id IS NULL"),
    )
    op.create_index(
        "uq_budgets_of_person",
        "budgets",
        ["organisation_id", "user_id", "per"],
        unique=True,
        sqlite_where=sa.text("user_id IS NOT NULL"),
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_table(
        "budget_periods",
        sa.Column("id", ID, nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("budget_id", ID, nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("hard", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cap_micro", sa.BigInteger(), nullable=False),
        sa.Column("granted_micro", sa.BigInteger(), nullable=False),
        sa.Column("reserved_micro", sa.BigInteger(), nullable=False),
        sa.Column("spent_micro", sa.BigInteger(), nullable=False),
        sa.Column("over_micro", sa.BigInteger(), nullable=False),
        sa.Column("asked_micro", sa.BigInteger(), nullable=True),
        sa.Column("asked_by_id", ID, nullable=True),
        sa.Column("asked_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "reserved_micro >= 0 AND spent_micro >= 0 AND over_micro >= 0", name=op.f("ck_budget_periods_amounts")
        ),
        sa.CheckConstraint(
            "NOT hard OR spent_micro + reserved_micro <= cap_micro + granted_micro + over_micro",
            name=op.f("ck_budget_periods_cap"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_budget_periods_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["budget_id"], ["budgets.id"], name=op.f("fk_budget_periods_budget_id_budgets"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["asked_by_id"], ["users.id"], name=op.f("fk_budget_periods_asked_by_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_periods")),
        sa.UniqueConstraint("budget_id", "starts_on", name=op.f("uq_budget_periods_budget_id_starts_on")),
    )
    op.create_table(
        "reservation_periods",
        sa.Column("reservation_id", ID, nullable=False),
        sa.Column("period_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["reservation_id"],
            ["reservations.id"],
            name=op.f("fk_reservation_periods_reservation_id_reservations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["period_id"],
            ["budget_periods.id"],
            name=op.f("fk_reservation_periods_period_id_budget_periods"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("reservation_id", "period_id", name=op.f("pk_reservation_periods")),
    )
    op.create_index("ix_reservation_periods_period_id", "reservation_periods", ["period_id"])
    op.create_index("ix_reservations_organisation_id_created_at", "reservations", ["organisation_id", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_reservations_organisation_id_created_at", "reservations")
    op.drop_table("reservation_periods")
    op.drop_table("budget_periods")
    op.drop_table("budgets")
