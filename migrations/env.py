"""How Alembic upgrades: one transaction, checked at its end, with the triggers made anew."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from imagegen.extensions import db
from imagegen.models.columns import Sentence, UtcDateTime
from imagegen.models.connection import RETRY_SECONDS, WRITES
from imagegen.models.image_index import FTS_TABLE
from imagegen.models.triggers import install
from imagegen.services.library import indexing

POSTGRESQLS_OWN = ("ix_image_index_terms", "ix_image_index_newest")
"""The inverted index, and the order of ids, which is an expression there (`models.image_index.POSITION`)."""

STORED_AS = {UtcDateTime: "sa.DateTime(timezone=True)", Sentence: "sa.Text()"}


def include_object(thing, name, kind, _reflected, _other) -> bool:
    """Leave alone what no model can say: the tables of SQLite's FTS5, and PostgreSQL's own indexes."""
    if kind == "table":
        return not name.startswith(FTS_TABLE)
    return kind != "index" or context.get_bind().dialect.name != "postgresql" or name not in POSTGRESQLS_OWN


def render_item(kind, thing, _context) -> str | bool:
    """Write our column types into migrations as what they are in the database: models may change, history not."""
    return STORED_AS.get(type(thing), False) if kind == "type" else False


def check_foreign_keys(connection: Connection) -> None:
    """Raise if a migration left rows that point at nothing."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise RuntimeError(f"the migration left {len(broken)} rows that point at nothing, first: {broken[0]}")


def run() -> None:
    """Upgrade the current app's database."""
    engine = current_app.extensions["migrate"].db.engine.execution_options(**{WRITES: RETRY_SECONDS})
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # A batch change rebuilds its table; with the keys on, dropping the old one would delete its children.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                context.configure(
                    connection=connection,
                    target_metadata=db.metadata,
                    render_as_batch=True,
                    compare_type=True,
                    include_object=include_object,
                    render_item=render_item,
                    transaction_per_migration=False,
                )
                context.run_migrations()
                if connection.dialect.has_table(connection, "jobs"):
                    install(connection)
                if connection.dialect.has_table(connection, "image_index"):
                    indexing.catch_up(connection)
                check_foreign_keys(connection)
        finally:
            if connection.dialect.name == "sqlite":
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")


run()
