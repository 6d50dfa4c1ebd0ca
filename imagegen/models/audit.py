"""Who did what: a book that is only added to."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from imagegen.extensions import Model
from imagegen.models.columns import created, data, pk, public_id
from imagegen.models.scope import OrganisationOwned


class Action(StrEnum):
    """What can have been done."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SESSION_ENDED = "session_ended"
    TOKEN_MADE = "token_made"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    RESET_LINK_MADE = "reset_link_made"
    PASSWORD_RESET = "password_reset"  # noqa: S105
    PERSON_MADE = "person_made"
    PERSON_INVITED = "person_invited"
    INVITATION_RENEWED = "invitation_renewed"
    INVITATION_REVOKED = "invitation_revoked"
    PERSON_JOINED = "person_joined"
    PERSON_REMOVED = "person_removed"
    PERSON_DISABLED = "person_disabled"
    PERSON_ENABLED = "person_enabled"
    ROLE_CHANGED = "role_changed"
    ORGANISATION_MADE = "organisation_made"
    ORGANISATION_CHANGED = "organisation_changed"
    OPERATOR_MADE = "operator_made"
    OPERATOR_ENDED = "operator_ended"
    BUDGET_SET = "budget_set"
    BUDGET_RAISED = "budget_raised"
    BUDGET_DECLINED = "budget_declined"
    BUDGET_REMOVED = "budget_removed"
    ALLOWANCE_SET = "allowance_set"
    PRICES_CHANGED = "prices_changed"
    CLEANED_UP = "cleaned_up"
    DRAINED = "drained"
    DRAIN_ENDED = "drain_ended"
    KEY_ENTERED = "provider_key_entered"
    KEY_REMOVED = "provider_key_removed"
    KEY_TESTED = "provider_key_tested"
    FALLBACKS_CHANGED = "fallbacks_changed"
    LIMITS_CHANGED = "provider_limits_changed"


class Target(StrEnum):
    """What kind of thing it was done to; the page looks its name up by its public id."""

    USER = "user"
    INVITATION = "invitation"
    TOKEN = "token"  # noqa: S105
    ORGANISATION = "organisation"


class AuditEntry(OrganisationOwned, Model):
    """One act. Without an organisation it is about the whole installation.

    Nobody's name or e-mail address is in it, because it can never be changed: names are looked up for the page,
    and are gone from it once the person is. For the same reason nothing here is a foreign key.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_organisation_id_id", "organisation_id", "id"),
        Index("ix_audit_entries_actor_id_id", "actor_id", "id"),
    )

    id: Mapped[pk]
    public_id: Mapped[public_id]
    organisation_id: Mapped[int | None] = mapped_column(  # type: ignore[assignment]  # see above
        BigInteger, nullable=True
    )
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(String(32))
    target_type: Mapped[str | None] = mapped_column(String(16))
    target_id: Mapped[str | None] = mapped_column(String(36))
    facts: Mapped[data] = mapped_column(default=dict)
    address: Mapped[str] = mapped_column(String(45), default="")
    created_at: Mapped[created]
