"""PostgreSQL has an index of the order of ids that no other is taken for; on SQLite the newest come first."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INDEX = "ix_image_index_newest"
AS_IT_WAS = "content='image_index', content_rowid='image_id'"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _order_by(sa.text("(image_id + 0)"))
    else:
        _make_fts("content=''")
        op.execute(
            "INSERT INTO image_index_fts (rowid, words, terms) SELECT -image_id, words, terms FROM image_index "
            "ORDER BY image_id DESC"
        )
    _fill_eras(1_024)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _order_by("image_id")
    else:
        _make_fts(AS_IT_WAS)
        op.execute("INSERT INTO image_index_fts (image_index_fts) VALUES ('rebuild')")
    _fill_eras(4_096)


def _order_by(position: str | sa.TextClause) -> None:
    op.drop_index(INDEX, "image_index")
    op.create_index(INDEX, "image_index", ["organisation_id", "trashed", position])


def _make_fts(content: str) -> None:
    for verb in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER IF EXISTS image_index_fts_{verb}")  # they are made anew after the upgrade
    op.execute("DROP TABLE image_index_fts")
    op.execute(
        f"CREATE VIRTUAL TABLE image_index_fts USING fts5(words, terms, {content}, tokenize='trigram', columnsize=0)"
    )


def _fill_eras(plot: int) -> None:
    # A picture's marks begin with its day.
    op.execute("DELETE FROM image_eras")
    op.execute(
        f"INSERT INTO image_eras (era, first_day, last_day) SELECT image_id / {plot}, "  # noqa: S608
        f"min(substr(marks, 6, 10)), max(substr(marks, 6, 10)) FROM image_index GROUP BY image_id / {plot}"
    )
