"""People, organisations, who belongs where, and the ways in."""

from __future__ import annotations

from datetime import datetime

from flask_login import UserMixin
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from imagegen.core.clock import now
from imagegen.extensions import Model
from imagegen.models.columns import UtcDateTime, created, data, items, moment, pk, public_id

ROLES = ("owner", "admin", "editor", "approver", "viewer")
THEMES = ("system", "light", "dark")


class Organisation(Model):
    """A workspace. `event_seq` numbers its events, so that a stream can resume without a gap."""

    __tablename__ = "organisations"

    id: Mapped[pk]
    public_id: Mapped[public_id]
    name: Mapped[str] = mapped_column(String(120))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC", server_default="UTC")
    language: Mapped[str | None] = mapped_column(String(12))
    settings: Mapped[data] = mapped_column(default=dict)
    event_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    created_at: Mapped[created]


class User(UserMixin, Model):
    """A person, who may be in several organisations."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(f"theme IN {THEMES}", name="theme"),)

    id: Mapped[pk]
    public_id: Mapped[public_id]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(200))
    language: Mapped[str | None] = mapped_column(String(12))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    theme: Mapped[str] = mapped_column(String(8), default="system", server_default="system")
    is_operator: Mapped[bool] = mapped_column(default=False, server_default=false())
    enabled: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[created]

    memberships: Mapped[list[Membership]] = relationship(
        back_populates="user", order_by="Membership.id", cascade="all, delete-orphan"
    )

    @property
    def is_active(self) -> bool:
        """Flask-Login's word for a person who may sign in."""
        return self.enabled


class Membership(Model):
    """What a person may do in one organisation: rights follow from the role, see `services.rights`."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("user_id", "organisation_id"),
        CheckConstraint(f"role IN {ROLES}", name="role"),
        Index("ix_memberships_organisation_id", "organisation_id"),
    )

    id: Mapped[pk]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[created]

    user: Mapped[User] = relationship(back_populates="memberships")
    organisation: Mapped[Organisation] = relationship()


class Session(Model):
    """One signed-in browser. The cookie carries a secret of which only the hash is here."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user_id", "user_id"), Index("ix_sessions_expires_at", "expires_at"))

    id: Mapped[pk]
    public_id: Mapped[public_id]
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id", ondelete="SET NULL"))
    remember: Mapped[bool] = mapped_column(default=False)
    address: Mapped[str] = mapped_column(String(45), default="")
    browser: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[created]
    seen_at: Mapped[created]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship()


class ApiToken(Model):
    """A key to the API: one person's, in one organisation. Only its hash is kept."""

    __tablename__ = "api_tokens"
    __table_args__ = (Index("ix_api_tokens_user_id", "user_id"),)

    id: Mapped[pk]
    public_id: Mapped[public_id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))
    hint: Mapped[str] = mapped_column(String(16))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[items]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[moment]
    used_at: Mapped[moment]
    created_at: Mapped[created]

    user: Mapped[User] = relationship()

    @property
    def alive(self) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and self.expires_at > now()
