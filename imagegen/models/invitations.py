"""Links that are handed to one person and work once: into an organisation, and to a new password."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from imagegen.core.clock import now
from imagegen.extensions import Model
from imagegen.models.columns import UtcDateTime, created, moment, pk, public_id
from imagegen.models.scope import OrganisationOwned
from imagegen.models.users import ROLES, Organisation, User


class Invitation(OrganisationOwned, Model):
    """A link with which the person of one e-mail address joins an organisation. Only its secret's hash is here."""

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint(f"role IN {ROLES}", name="role"),
        Index("ix_invitations_organisation_id_id", "organisation_id", "id"),
    )

    id: Mapped[pk]
    public_id: Mapped[public_id]
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(16))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[created]
    sent_at: Mapped[moment]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accepted_at: Mapped[moment]
    revoked_at: Mapped[moment]

    organisation: Mapped[Organisation] = relationship()

    @property
    def open(self) -> bool:
        """Whether it still lets somebody in."""
        return self.accepted_at is None and self.revoked_at is None and self.expires_at > now()


class PasswordReset(Model):
    """A link with which a person chooses a new password. Only its secret's hash is here."""

    __tablename__ = "password_resets"
    __table_args__ = (Index("ix_password_resets_user_id", "user_id"),)

    id: Mapped[pk]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[created]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[moment]

    user: Mapped[User] = relationship()
