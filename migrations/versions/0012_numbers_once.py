"""numbers of jobs, shots and attempts are given once; pictures that were deleted are known to their shots"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("jobs", "shots", "attempts")


def upgrade() -> None:
    op.add_column("shots", sa.Column("picture_deleted_at", sa.DateTime(timezone=True), nullable=True))
    # The books know these rows by their numbers after they are gone. PostgreSQL's sequences never go back anyway.
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            _rebuild(table)


def _rebuild(table: str) -> None:
    """Make the table anew from its own words, which keep what reflection would lose, with AUTOINCREMENT."""
    bind = op.get_bind()
    words: str = bind.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).scalar_one()
    if "AUTOINCREMENT" in words:
        return
    made = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
    indices = bind.exec_driver_sql(made, (table,)).scalars().all()
    words = re.sub(rf'CREATE TABLE "?{table}"?', f"CREATE TABLE {table}_anew", words, count=1)
    words, keys = re.subn(r",\s*(?:CONSTRAINT \S+ )?PRIMARY KEY \(id\)", "", words)
    words, ids = re.subn(r"\bid INTEGER NOT NULL", "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", words, count=1)
    if (keys, ids) != (1, 1):
        raise RuntimeError(f"the table {table} is not as the revisions before have made it")
    columns = ", ".join(row[1] for row in bind.exec_driver_sql(f"PRAGMA table_info({table})"))
    bind.exec_driver_sql(words)
    bind.exec_driver_sql(f"INSERT INTO {table}_anew ({columns}) SELECT {columns} FROM {table}")
    bind.exec_driver_sql(f"DROP TABLE {table}")
    bind.exec_driver_sql(f"ALTER TABLE {table}_anew RENAME TO {table}")
    for index in indices:
        bind.exec_driver_sql(index)


def downgrade() -> None:
    """Leave the tables as they are: numbers that are given once do no harm to the revisions before."""
    op.drop_column("shots", "picture_deleted_at")
