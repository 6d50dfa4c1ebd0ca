"""the order of ids has an index on PostgreSQL that none is taken for; eras of days are smaller"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INDEX = "ix_image_index_newest"


def upgrade() -> None:
    _order_by(sa.text("(image_id + 0)"))
    _fill_eras(1_024)


def downgrade() -> None:
    _order_by("image_id")
    _fill_eras(4_096)


def _order_by(position: str | sa.TextClause) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index(INDEX, "image_index")
        op.create_index(INDEX, "image_index", ["organisation_id", "trashed", position])


def _fill_eras(plot: int) -> None:
    # A picture's marks begin with its day.
    op.execute("DELETE FROM image_eras")
    op.execute(
        f"INSERT INTO image_eras (era, first_day, last_day) SELECT image_id / {plot}, "  # noqa: S608
        f"min(substr(marks, 6, 10)), max(substr(marks, 6, 10)) FROM image_index GROUP BY image_id / {plot}"
    )
