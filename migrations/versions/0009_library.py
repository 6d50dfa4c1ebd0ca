"""tags, collections, searches, and the index by which pictures are found"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
POINTERS = ("parent_id", "near_id")


def upgrade() -> None:
    _images()
    _index()
    _tags()
    _collections()
    _searches()
    _uses()


def _images() -> None:
    with op.batch_alter_table("images") as batch:
        batch.add_column(sa.Column("stack_size", sa.Integer(), server_default="1", nullable=False))
        batch.add_column(sa.Column("near_id", ID, nullable=True))
        batch.create_foreign_key(op.f("fk_images_near_id_images"), "images", ["near_id"], ["id"], ondelete="SET NULL")
    for column in POINTERS:
        some = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_images_{column}", "images", [column], sqlite_where=some, postgresql_where=some)
    # The first picture of a job stands for the others.
    op.execute(
        "UPDATE images SET stack_size = CASE WHEN id = "
        "(SELECT min(o.id) FROM images o WHERE o.job_id = images.job_id AND o.deleted_at IS NULL) THEN "
        "(SELECT count(*) FROM images o WHERE o.job_id = images.job_id AND o.deleted_at IS NULL) ELSE 0 END "
        "WHERE job_id IS NOT NULL"
    )


def _index() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "image_index",
        sa.Column("image_id", ID, autoincrement=False, nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("trashed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("usage_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("marks", sa.Text(), nullable=False),
        sa.Column("terms", TSVECTOR() if postgresql else sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_image_index_image_id_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_image_index_organisation_id_organisations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_index")),
    )
    op.create_index("ix_image_index_newest", "image_index", ["organisation_id", "trashed", "image_id"])
    op.create_index(
        "ix_image_index_most_used", "image_index", ["organisation_id", "trashed", "usage_count", "image_id"]
    )
    op.create_index("ix_image_index_name", "image_index", ["organisation_id", "trashed", "name", "image_id"])
    if postgresql:
        # Pages read what the pending list of `fastupdate` holds row by row: it is left out.
        op.execute("CREATE INDEX ix_image_index_terms ON image_index USING gin (terms) WITH (fastupdate = off)")
    else:
        op.execute(
            "CREATE VIRTUAL TABLE image_index_fts USING fts5"
            "(words, terms, content='image_index', content_rowid='image_id', tokenize='trigram', columnsize=0)"
        )


def _tags() -> None:
    op.create_table(
        "tags",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        _owned("tags"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sa.UniqueConstraint("public_id", name=op.f("uq_tags_public_id")),
        sa.UniqueConstraint("organisation_id", "key", name=op.f("uq_tags_organisation_id_key")),
    )
    op.create_table(
        "image_tags",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("tag_id", ID, nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        _cascading("image_tags", "image_id", "images"),
        _cascading("image_tags", "tag_id", "tags"),
        _owned("image_tags"),
        sa.PrimaryKeyConstraint("image_id", "tag_id", name=op.f("pk_image_tags")),
    )
    op.create_index("ix_image_tags_tag_id", "image_tags", ["tag_id", "image_id"])


def _collections() -> None:
    op.create_table(
        "collections",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("key", sa.String(length=240), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        _owned("collections"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_collections_user_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        sa.UniqueConstraint("public_id", name=op.f("uq_collections_public_id")),
        sa.UniqueConstraint("organisation_id", "key", name=op.f("uq_collections_organisation_id_key")),
    )
    op.create_table(
        "collection_images",
        sa.Column("collection_id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        _cascading("collection_images", "collection_id", "collections"),
        _cascading("collection_images", "image_id", "images"),
        _owned("collection_images"),
        sa.PrimaryKeyConstraint("collection_id", "image_id", name=op.f("pk_collection_images")),
    )
    op.create_index("ix_collection_images_image_id", "collection_images", ["image_id"])


def _searches() -> None:
    op.create_table(
        "saved_searches",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("wish", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        _owned("saved_searches"),
        _cascading("saved_searches", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_searches")),
        sa.UniqueConstraint("public_id", name=op.f("uq_saved_searches_public_id")),
        sa.UniqueConstraint(
            "organisation_id", "user_id", "name", name=op.f("uq_saved_searches_organisation_id_user_id_name")
        ),
    )


def _uses() -> None:
    op.create_table(
        "image_uses",
        sa.Column("image_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=36), nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        _cascading("image_uses", "image_id", "images"),
        _owned("image_uses"),
        sa.PrimaryKeyConstraint("image_id", "kind", "reference", name=op.f("pk_image_uses")),
    )
    op.create_index("ix_image_uses_user", "image_uses", ["organisation_id", "kind", "reference"])


def _owned(table: str) -> sa.ForeignKeyConstraint:
    return _cascading(table, "organisation_id", "organisations")


def _cascading(table: str, column: str, referred: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{referred}")
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE image_index_fts")
    for table in ("image_uses", "saved_searches", "collection_images", "collections", "image_tags", "tags"):
        op.drop_table(table)
    op.drop_table("image_index")
    for column in POINTERS:
        op.drop_index(f"ix_images_{column}", "images")
    with op.batch_alter_table("images") as batch:
        batch.drop_constraint(op.f("fk_images_near_id_images"), type_="foreignkey")
        batch.drop_column("near_id")
        batch.drop_column("stack_size")
