"""Pictures in the library."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.core.clock import now
from imagegen.extensions import Model
from imagegen.models.columns import UtcDateTime, created, items, moment, pk, public_id
from imagegen.models.scope import OrganisationOwned

KINDS = ("uploaded", "ai_generated", "edited")


def _index_of(column: str) -> Index:
    """Return an index of the few rows that have `column`: without it, deleting a picture reads the whole table."""
    some = text(f"{column} IS NOT NULL")
    return Index(f"ix_images_{column}", column, sqlite_where=some, postgresql_where=some)


class Image(OrganisationOwned, Model):
    """A stored picture, uploaded or made.

    Three kinds of file belong to it: `received_key` (a provider's bytes, exact), `file_key` (the same pixels
    with our marks) and renditions, whose keys follow from `sha256` and the widths in `renditions`
    (`[{"width", "height", "bytes"}]`). `placeholder` is a tiny picture as a data URI. `request_digest` is that of the
    request which it answers (`services.reuse.digest`). `stack_size` is how many pictures of the same job this one
    stands for in a grid of stacks, 0 if another stands for it; `near_id` is an earlier picture that looks alike.
    """

    __tablename__ = "images"
    __table_args__ = (
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        Index("ix_images_organisation_id_id", "organisation_id", "id"),
        Index("ix_images_job_id", "job_id"),
        _index_of("parent_id"),
        _index_of("near_id"),
        Index("ix_images_organisation_id_sha256", "organisation_id", "sha256"),
        Index("ix_images_organisation_id_received_sha256", "organisation_id", "received_sha256"),
        Index(
            "ix_images_request_digest",
            "organisation_id",
            "request_digest",
            "id",
            sqlite_where=text("request_digest IS NOT NULL AND deleted_at IS NULL"),
            postgresql_where=text("request_digest IS NOT NULL AND deleted_at IS NULL"),
        ),
    )

    id: Mapped[pk]
    public_id: Mapped[public_id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    shot_id: Mapped[int | None] = mapped_column(ForeignKey("shots.id", ondelete="SET NULL"), unique=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"))
    kind: Mapped[str] = mapped_column(String(16))
    filename: Mapped[str] = mapped_column(String(160))
    original_filename: Mapped[str | None] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(200), default="")
    alt_text: Mapped[str] = mapped_column(Text, default="")
    prompt: Mapped[str | None] = mapped_column(Text)
    provider: Mapped[str | None] = mapped_column(String(32))
    model: Mapped[str | None] = mapped_column(String(120))
    style: Mapped[str | None] = mapped_column(String(40))
    seed: Mapped[int | None] = mapped_column(BigInteger)
    request_digest: Mapped[str | None] = mapped_column(String(64))
    mime_type: Mapped[str] = mapped_column(String(40))
    width: Mapped[int]
    height: Mapped[int]
    file_size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    received_sha256: Mapped[str | None] = mapped_column(String(64))
    storage_provider: Mapped[str] = mapped_column(String(16))
    file_key: Mapped[str] = mapped_column(String(300))
    received_key: Mapped[str | None] = mapped_column(String(300))
    renditions: Mapped[items]
    placeholder: Mapped[str] = mapped_column(Text, default="")
    colours: Mapped[items]
    phash: Mapped[str | None] = mapped_column(String(16))
    favourite: Mapped[bool] = mapped_column(default=False, server_default=false())
    usage_count: Mapped[int] = mapped_column(default=0, server_default="0")
    last_used_at: Mapped[moment]
    created_at: Mapped[created]
    updated_at: Mapped[created] = mapped_column(UtcDateTime, default=now, onupdate=now)
    deleted_at: Mapped[moment]
    stack_size: Mapped[int] = mapped_column(default=1, server_default="1")
    near_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"))
