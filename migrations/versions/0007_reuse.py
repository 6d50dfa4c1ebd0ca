"""pictures that answer a request again"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("images") as batch:
        batch.add_column(sa.Column("request_digest", sa.String(length=64), nullable=True))
    alive = sa.text("request_digest IS NOT NULL AND deleted_at IS NULL")
    op.create_index(
        "ix_images_request_digest",
        "images",
        ["organisation_id", "request_digest", "id"],
        sqlite_where=alive,
        postgresql_where=alive,
    )
    with op.batch_alter_table("shots") as batch:
        batch.add_column(sa.Column("reused", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch.add_column(sa.Column("reused_image_id", _ID, nullable=True))
        batch.create_foreign_key(
            op.f("fk_shots_reused_image_id_images"), "images", ["reused_image_id"], ["id"], ondelete="SET NULL"
        )
    op.create_index(
        "ix_shots_reused",
        "shots",
        ["organisation_id", "created_at"],
        sqlite_where=sa.text("reused"),
        postgresql_where=sa.text("reused"),
    )
    kept = sa.text("reused_image_id IS NOT NULL")
    op.create_index(
        "ix_shots_reused_image_id", "shots", ["reused_image_id"], sqlite_where=kept, postgresql_where=kept
    )


def downgrade() -> None:
    op.drop_index("ix_shots_reused_image_id", "shots")
    op.drop_index("ix_shots_reused", "shots")
    with op.batch_alter_table("shots") as batch:
        batch.drop_constraint(op.f("fk_shots_reused_image_id_images"), type_="foreignkey")
        batch.drop_column("reused_image_id")
        batch.drop_column("reused")
    op.drop_index("ix_images_request_digest", "images")
    with op.batch_alter_table("images") as batch:
        batch.drop_column("request_digest")
