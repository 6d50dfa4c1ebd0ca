"""work at its time, and what was cleaned up"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def _partial(condition: str) -> dict[str, sa.TextClause]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", _ID, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("cron", sa.String(length=100), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("missed", sa.String(length=12), nullable=False),
        sa.Column("next_at", _MOMENT, nullable=True),
        sa.Column("last_at", _MOMENT, nullable=True),
        sa.Column("ends_at", _MOMENT, nullable=True),
        sa.Column("max_runs", sa.Integer(), nullable=True),
        sa.Column("runs", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_at", _MOMENT, nullable=True),
        sa.Column("paused_because", sa.Text(), nullable=True),
        sa.Column("resumed_at", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.CheckConstraint("missed IN ('run_once', 'skip')", name=op.f("ck_schedules_missed")),
        sa.CheckConstraint("runs >= 0 AND (max_runs IS NULL OR max_runs > 0)", name=op.f("ck_schedules_runs")),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_schedules_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_schedules_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("public_id", name=op.f("uq_schedules_public_id")),
    )
    op.create_index("ix_schedules_organisation_id_id", "schedules", ["organisation_id", "id"])
    op.create_index(
        "ix_schedules_due", "schedules", ["next_at"], **_partial("next_at IS NOT NULL AND paused_at IS NULL")
    )
    op.create_table(
        "schedule_runs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("schedule_id", _ID, nullable=False),
        sa.Column("slot_at", _MOMENT, nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("missed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("job_id", _ID, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("lease_until", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.CheckConstraint("status IN ('due', 'begun', 'failed', 'skipped')", name=op.f("ck_schedule_runs_status")),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_schedule_runs_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_schedule_runs_schedule_id_schedules"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_schedule_runs_job_id_jobs"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_runs")),
        sa.UniqueConstraint("schedule_id", "slot_at", name=op.f("uq_schedule_runs_schedule_id_slot_at")),
    )
    op.create_index("ix_schedule_runs_due", "schedule_runs", ["lease_until"], **_partial("status = 'due'"))
    op.create_index("ix_schedule_runs_job_id", "schedule_runs", ["job_id"])
    op.create_table(
        "cleaning_reports",
        sa.Column("id", _ID, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("dry_run", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("only", sa.String(length=40), nullable=True),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=True),
        sa.Column("seen_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_cleaning_reports_user_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cleaning_reports")),
        sa.UniqueConstraint("public_id", name=op.f("uq_cleaning_reports_public_id")),
        sa.UniqueConstraint("day", name=op.f("uq_cleaning_reports_day")),
    )
    op.create_index("ix_cleaning_reports_waiting", "cleaning_reports", ["id"], **_partial("started_at IS NULL"))
    # Whether a stored file still has a picture is asked for every file there is.
    op.create_index("ix_images_organisation_id_received_sha256", "images", ["organisation_id", "received_sha256"])


def downgrade() -> None:
    op.drop_index("ix_images_organisation_id_received_sha256", "images")
    op.drop_table("cleaning_reports")
    op.drop_table("schedule_runs")
    op.drop_table("schedules")
