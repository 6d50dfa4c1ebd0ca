"""letters that signs such as ℃ and ™ are made of are found whatever their case"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BATCH = 500
KEYS = ("tags", "collections")


def upgrade() -> None:
    bind = op.get_bind()
    for table in KEYS:
        _fold_keys(bind, table)
    rows = bind.execute(sa.text("SELECT image_id, words FROM image_index")).yield_per(10_000)
    stale = [image_id for image_id, words in rows if words != words.casefold()]
    for at in range(0, len(stale), BATCH):
        _forget(bind, stale[at : at + BATCH])


def downgrade() -> None:
    """What is found by more words does no harm."""


def _fold_keys(bind: sa.Connection, table: str) -> None:
    """Fold the keys of a table once more, but for those that another row has already."""
    rows = bind.execute(sa.text(f"SELECT id, organisation_id, key FROM {table} ORDER BY id")).all()  # noqa: S608
    taken = {(organisation_id, key) for _, organisation_id, key in rows}
    for row_id, organisation_id, key in rows:
        folded = key.casefold()
        if folded != key and (organisation_id, folded) not in taken:
            taken.add((organisation_id, folded))
            bind.execute(sa.text(f"UPDATE {table} SET key = :key WHERE id = :id"), {"key": folded, "id": row_id})  # noqa: S608


def _forget(bind: sa.Connection, image_ids: list[int]) -> None:
    """Delete index rows: those that are missing are written at the end of every upgrade."""
    ids = sa.bindparam("ids", image_ids, expanding=True)
    if bind.dialect.name == "sqlite":
        op.execute("DROP TRIGGER IF EXISTS image_index_fts_delete")  # an upgrade from before 0014 has none
        bind.execute(
            sa.text(
                "INSERT INTO image_index_fts (image_index_fts, rowid, words, terms) "
                "SELECT 'delete', -image_id, words, terms FROM image_index WHERE image_id IN :ids"
            ).bindparams(ids)
        )
    bind.execute(sa.text("DELETE FROM image_index WHERE image_id IN :ids").bindparams(ids))
