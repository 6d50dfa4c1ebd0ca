"""what finds pictures in windows: eras of several sizes, the days of each, orders of one kind's pictures"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
GIN = "ix_image_index_terms"
BEFORE = 65_536
ERAS = (14, 16, 18, 20)
LANES = {"ix_image_index_kind_most_used": "usage_count", "ix_image_index_kind_name": "name"}


def upgrade() -> None:
    op.create_table(
        "image_eras",
        sa.Column("era", ID, autoincrement=False, nullable=False),
        sa.Column("first_day", sa.String(length=10), nullable=False),
        sa.Column("last_day", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("era", name=op.f("pk_image_eras")),
    )
    # A picture's marks begin with its day.
    op.execute(
        "INSERT INTO image_eras (era, first_day, last_day) SELECT image_id / 4096, min(substr(marks, 6, 10)), "
        "max(substr(marks, 6, 10)) FROM image_index GROUP BY image_id / 4096"
    )
    op.add_column("image_index", sa.Column("kind", sa.String(length=16), server_default="", nullable=False))
    kind = "kind = (SELECT kind FROM images WHERE images.id = image_id)"
    old = f"concat(' era:', image_id / {BEFORE}, ' ')"
    if op.get_bind().dialect.name == "postgresql":
        new = ", ".join(f"concat('~era{bits}:', image_id >> {bits})" for bits in ERAS)
        terms = f"ts_delete(terms, concat('~era:', image_id / {BEFORE})) || array_to_tsvector(ARRAY[{new}])"
        _change(f"{kind}, marks = replace(marks, {old}, ' '), terms = {terms}")
    else:
        # What the old index says of eras stays in it, and does no harm.
        marks = f"replace(marks, ' era:' || (image_id / {BEFORE}) || ' ', ' ')"
        signs = " || ".join(
            f"char({0xF0000 + 65_000 + bits}, {0x100000} + (image_id >> {bits}) / 32000, "
            f"{0x108000} + (image_id >> {bits}) % 32000)"
            for bits in ERAS
        )
        for verb in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER IF EXISTS image_index_fts_{verb}")  # they are made anew after the upgrade
        op.execute(f"UPDATE image_index SET {kind}, marks = {marks}, terms = terms || {signs}")
        op.execute("INSERT INTO image_index_fts (image_index_fts) VALUES ('rebuild')")
    for name, key in LANES.items():
        op.create_index(name, "image_index", ["organisation_id", "trashed", "kind", key, "image_id"])


def _change(what: str) -> None:
    """Change all rows on PostgreSQL: its inverted index is made anew, which is sooner done than to follow."""
    op.execute(f"DROP INDEX {GIN}")
    op.execute(f"UPDATE image_index SET {what}")
    op.execute(f"CREATE INDEX {GIN} ON image_index USING gin (terms) WITH (fastupdate = off)")


def downgrade() -> None:
    for name in LANES:
        op.drop_index(name, "image_index")
    if op.get_bind().dialect.name == "postgresql":
        new = ", ".join(f"concat('~era{bits}:', image_id >> {bits})" for bits in ERAS)
        old = f"array_to_tsvector(ARRAY[concat('~era:', image_id / {BEFORE})])"
        _change(f"terms = ts_delete(terms, ARRAY[{new}]) || {old}")
    op.drop_column("image_index", "kind")
    op.drop_table("image_eras")
