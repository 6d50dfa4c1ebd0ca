"""Jobs, their shots, and the calls to providers that serve them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from imagegen.core.errors import ErrorKind
from imagegen.extensions import Model, db
from imagegen.models.columns import (
    BigId,
    Sentence,
    UtcDateTime,
    created,
    data,
    literally,
    micro,
    moment,
    pk,
    public_id,
)
from imagegen.models.scope import OrganisationOwned
from imagegen.models.states import JOB_ENDS, AttemptStatus, JobStatus, ShotStatus

ERROR_KINDS = tuple(kind.value for kind in ErrorKind)


NUMBERED_ONCE = {"sqlite_autoincrement": True}
"""What the books know by its number never becomes another row. A migration that rebuilds such a table says so too."""


def _one_of(column: str, values: object) -> str:
    listed = ", ".join(f"'{value}'" for value in values)  # type: ignore[attr-defined]
    return f"{column} IN ({listed})"


class Job(OrganisationOwned, Model):
    """One request for work.

    `n_…` count the newest shot of each slot by state; they change in the transaction that moves the shot, so
    that a page and the fair order read one row, not five hundred.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("status", JobStatus), name="status"),
        CheckConstraint(
            "n_waiting >= 0 AND n_running >= 0 AND n_succeeded >= 0 AND n_failed >= 0 AND n_refused >= 0 "
            "AND n_canceled >= 0 AND n_unknown >= 0",
            name="counts",
        ),
        Index("ix_jobs_organisation_id_id", "organisation_id", "id"),
        Index("ix_jobs_user_id_id", "organisation_id", "user_id", "id"),
        Index(
            "ix_jobs_active",
            "organisation_id",
            sqlite_where=text("status IN ('queued', 'running')"),
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
        Index(
            "ix_jobs_paused",
            "id",
            sqlite_where=text("paused_at IS NOT NULL"),
            postgresql_where=text("paused_at IS NOT NULL"),
        ),
        NUMBERED_ONCE,
    )

    id: Mapped[pk]
    public_id: Mapped[public_id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    client_id: Mapped[int | None] = mapped_column(BigInteger)
    campaign_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(24))
    status: Mapped[str] = mapped_column(String(12), default=JobStatus.QUEUED)
    prompt: Mapped[str] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(120))
    model_label: Mapped[str] = mapped_column(String(120))
    request: Mapped[data]
    n_waiting: Mapped[int] = mapped_column(default=0)
    n_running: Mapped[int] = mapped_column(default=0)
    n_succeeded: Mapped[int] = mapped_column(default=0)
    n_failed: Mapped[int] = mapped_column(default=0)
    n_refused: Mapped[int] = mapped_column(default=0)
    n_canceled: Mapped[int] = mapped_column(default=0)
    n_unknown: Mapped[int] = mapped_column(default=0)
    event_seq: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_at: Mapped[moment]
    cancel_requested_at: Mapped[moment]
    estimated_micro: Mapped[int | None] = mapped_column(BigInteger)
    actual_micro: Mapped[micro] = mapped_column(default=0)
    created_at: Mapped[created]
    started_at: Mapped[moment]
    finished_at: Mapped[moment]

    shots: Mapped[list[Shot]] = relationship(
        back_populates="job", order_by="Shot.slot, Shot.id", cascade="all, delete-orphan"
    )

    @property
    def total(self) -> int:
        """How many pictures the job has to deliver."""
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[ShotStatus, int]:
        """How many of its slots stand in each state."""
        return {status: getattr(self, f"n_{status}") for status in ShotStatus}

    @property
    def done(self) -> int:
        """How many of its slots need no more work."""
        return self.total - self.n_waiting - self.n_running

    @property
    def finished(self) -> bool:
        """Whether nothing works at it any more."""
        return self.status in JOB_ENDS

    @property
    def wholly_reused(self) -> bool:
        """Whether all its pictures were there before it was asked for: delivered, and nothing ever ran."""
        return self.status == JobStatus.SUCCEEDED and self.started_at is None


class Shot(OrganisationOwned, Model):
    """One picture that a job has to deliver: the unit of retry, of cost and of recovery.

    `fence` grows with every claim; whoever writes about a shot states the number under which it claimed it,
    so that a worker that was thought dead changes nothing. `tries` counts the calls to the provider that serves it
    now. `provider_key` is the digest of the organisation's key under which it is called; blank: the installation's.

    A shot that is `reused` was answered by a picture that another shot had made: nothing was sent or set aside for
    it, and `estimated_micro` is what that saved. `reused_image_id` is empty once that picture is gone for good.
    """

    __tablename__ = "shots"
    __table_args__ = (
        CheckConstraint(_one_of("status", ShotStatus), name="status"),
        CheckConstraint(f"error_kind IS NULL OR {_one_of('error_kind', ERROR_KINDS)}", name="error_kind"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="lease"),
        Index("ix_shots_job_id_slot", "job_id", "slot"),
        Index(
            "ix_shots_waiting",
            "job_id",
            "slot",
            sqlite_where=text("status = 'waiting'"),
            postgresql_where=text("status = 'waiting'"),
        ),
        Index(
            "ix_shots_lease",
            "lease_until",
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
        Index(
            "ix_shots_reused",
            "organisation_id",
            "created_at",
            sqlite_where=text("reused"),
            postgresql_where=text("reused"),
        ),
        Index(
            "ix_shots_reused_image_id",
            "reused_image_id",
            sqlite_where=text("reused_image_id IS NOT NULL"),
            postgresql_where=text("reused_image_id IS NOT NULL"),
        ),
        UniqueConstraint("retry_of_id"),
        NUMBERED_ONCE,
    )

    id: Mapped[pk]
    public_id: Mapped[public_id] = mapped_column(insert_sentinel=True)  # so that many are written at once
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    retry_of_id: Mapped[int | None] = mapped_column(ForeignKey("shots.id", ondelete="SET NULL"))
    newest: Mapped[bool] = mapped_column(default=True, server_default=true())
    slot: Mapped[int]
    status: Mapped[str] = mapped_column(String(12), default=ShotStatus.WAITING)
    step: Mapped[str] = mapped_column(String(24), default="")
    provider: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(120))
    provider_key: Mapped[str] = mapped_column(String(16), default="", server_default="")
    request: Mapped[data]
    width: Mapped[int]
    height: Mapped[int]
    lease_owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[moment]
    fence: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[moment]
    error_kind: Mapped[str | None] = mapped_column(String(16))
    error_message: Mapped[str | None] = mapped_column(Sentence)
    estimated_micro: Mapped[int | None] = mapped_column(BigInteger)
    actual_micro: Mapped[int | None] = mapped_column(BigInteger)
    reused: Mapped[bool] = mapped_column(default=False, server_default=false())
    # `use_alter`: pictures point to their shots, so neither table can be made before the other.
    reused_image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL", use_alter=True))
    created_at: Mapped[created]
    started_at: Mapped[moment]
    finished_at: Mapped[moment]
    picture_deleted_at: Mapped[moment]

    job: Mapped[Job] = relationship(back_populates="shots")
    attempts: Mapped[list[Attempt]] = relationship(
        secondary="attempt_shots", back_populates="shots", order_by="Attempt.id"
    )


def unfinished() -> ColumnElement[bool]:
    """Return the condition that a job is not finished, as its index has it."""
    return literally(Job.status, JobStatus.QUEUED, JobStatus.RUNNING)


def waiting() -> ColumnElement[bool]:
    """Return the condition that a shot waits, as its index has it."""
    return literally(Shot.status, ShotStatus.WAITING)


def running() -> ColumnElement[bool]:
    """Return the condition that a shot is being worked on, as its index has it."""
    return literally(Shot.status, ShotStatus.RUNNING)


attempt_shots = Table(
    "attempt_shots",
    db.metadata,
    Column("attempt_id", BigId, ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True),
    Column("shot_id", BigId, ForeignKey("shots.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_attempt_shots_shot_id", "shot_id"),
)


class Attempt(OrganisationOwned, Model):
    """One call to a provider, written down before it is made. It serves one shot or more.

    `receipt` is what the provider gave for work that it has taken on, sealed: with it another process can fetch the
    pictures, and nothing is asked for, or paid, twice.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint(_one_of("status", AttemptStatus), name="status"),
        CheckConstraint(f"error_kind IS NULL OR {_one_of('error_kind', ERROR_KINDS)}", name="error_kind"),
        Index("ix_attempts_job_id", "job_id"),
        Index("ix_attempts_provider_sent_at", "provider", "sent_at"),
        NUMBERED_ONCE,
    )

    id: Mapped[pk]
    public_id: Mapped[public_id]
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16), default=AttemptStatus.PREPARED)
    provider: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(120))
    provider_key: Mapped[str] = mapped_column(String(16), default="", server_default="")
    provider_request_id: Mapped[str | None] = mapped_column(String(200))
    provider_job_id: Mapped[str | None] = mapped_column(String(200))
    receipt: Mapped[str | None] = mapped_column(Text)
    usage: Mapped[data | None]
    cost_micro: Mapped[int | None] = mapped_column(BigInteger)
    error_kind: Mapped[str | None] = mapped_column(String(16))
    error_code: Mapped[str | None] = mapped_column(String(120))
    error_message: Mapped[str | None] = mapped_column(Sentence)
    created_at: Mapped[created]
    sent_at: Mapped[moment]
    answered_at: Mapped[moment]
    ended_at: Mapped[moment]

    shots: Mapped[list[Shot]] = relationship(secondary=attempt_shots, back_populates="attempts")


class IdempotencyKey(OrganisationOwned, Model):
    """The first request under a key decides: the same again gets the same job, another gets a refusal."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("organisation_id", "user_id", "key"),)

    id: Mapped[pk]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(255))
    request_hash: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    created_at: Mapped[created]


class Outbox(Model):
    """What the queue still has to be told; written with the job, sent after the commit."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_unsent",
            "id",
            sqlite_where=text("sent_at IS NULL"),
            postgresql_where=text("sent_at IS NULL"),
        ),
    )

    id: Mapped[pk]
    task: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(120), unique=True)
    created_at: Mapped[created]
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Event(OrganisationOwned, Model):
    """Something that a watching page should hear of. The row is the truth; Redis only wakes.

    `seq` numbers the events of a job without a gap, `organisation_seq` those of an organisation in the order
    of their commits: whoever has seen number n misses nothing by asking for what is above n.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("job_id", "seq"),
        UniqueConstraint("organisation_id", "organisation_seq"),
    )

    id: Mapped[pk]
    organisation_seq: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    shot_id: Mapped[int | None] = mapped_column(ForeignKey("shots.id", ondelete="CASCADE"))
    seq: Mapped[int]
    type: Mapped[str] = mapped_column(String(24))
    data: Mapped[data]
    created_at: Mapped[created]
