"""keys of organisations, models that stand in, how long a provider has been broken"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "provider_keys",
        sa.Column("id", _ID, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=16), nullable=False),
        sa.Column("hint", sa.String(length=8), nullable=False),
        sa.Column("user_id", _ID, nullable=True),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_provider_keys_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_provider_keys_user_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_keys")),
        sa.UniqueConstraint("public_id", name=op.f("uq_provider_keys_public_id")),
        sa.UniqueConstraint("organisation_id", "provider", name=op.f("uq_provider_keys_organisation_id_provider")),
    )
    op.create_table(
        "fallbacks",
        sa.Column("id", _ID, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_fallbacks_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fallbacks")),
        sa.UniqueConstraint("organisation_id", "position", name=op.f("uq_fallbacks_organisation_id_position")),
        sa.UniqueConstraint(
            "organisation_id", "provider", "model", name=op.f("uq_fallbacks_organisation_id_provider_model")
        ),
    )
    with op.batch_alter_table("provider_states") as batch:
        batch.add_column(sa.Column("broken_since", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("concurrency", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("per_minute", sa.Integer(), nullable=True))
    for table in ("shots", "attempts"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("provider_key", sa.String(length=16), server_default="", nullable=False))
    with op.batch_alter_table("attempts") as batch:
        batch.add_column(sa.Column("receipt", sa.Text(), nullable=True))
    op.create_index("ix_attempts_provider_sent_at", "attempts", ["provider", "sent_at"])


def downgrade() -> None:
    op.drop_index("ix_attempts_provider_sent_at", "attempts")
    with op.batch_alter_table("attempts") as batch:
        batch.drop_column("receipt")
    for table in ("attempts", "shots"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("provider_key")
    with op.batch_alter_table("provider_states") as batch:
        for column in ("per_minute", "concurrency", "broken_since"):
            batch.drop_column(column)
    op.drop_table("fallbacks")
    op.drop_table("provider_keys")
