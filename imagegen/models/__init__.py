"""Tables: one file per aggregate, the unit of work, and the scope of every query."""

from imagegen.models import connection as connection
from imagegen.models.audit import AuditEntry
from imagegen.models.cleaning import CleaningReport
from imagegen.models.collections import Collection, CollectionImage
from imagegen.models.image_index import ImageEra, ImageIndex
from imagegen.models.image_uses import ImageUse
from imagegen.models.images import Image
from imagegen.models.invitations import Invitation, PasswordReset
from imagegen.models.jobs import Attempt, Event, IdempotencyKey, Job, Outbox, Shot, attempt_shots
from imagegen.models.money import LedgerEntry, Reservation
from imagegen.models.provider_keys import Fallback, ProviderKey
from imagegen.models.provider_states import ProviderState
from imagegen.models.saved_searches import SavedSearch
from imagegen.models.schedules import Schedule, ScheduleRun
from imagegen.models.scope import built_once, organisation_scope, system_scope
from imagegen.models.switches import Switch
from imagegen.models.tags import ImageTag, Tag
from imagegen.models.unit_of_work import UnitOfWork, let_go_of_reader, unit_of_work, writes, writes_first
from imagegen.models.users import ApiToken, Membership, Organisation, Session, User

__all__ = [
    "ApiToken",
    "Attempt",
    "AuditEntry",
    "CleaningReport",
    "Collection",
    "CollectionImage",
    "Event",
    "Fallback",
    "IdempotencyKey",
    "Image",
    "ImageEra",
    "ImageIndex",
    "ImageTag",
    "ImageUse",
    "Invitation",
    "Job",
    "LedgerEntry",
    "Membership",
    "Organisation",
    "Outbox",
    "PasswordReset",
    "ProviderKey",
    "ProviderState",
    "Reservation",
    "SavedSearch",
    "Schedule",
    "ScheduleRun",
    "Session",
    "Shot",
    "Switch",
    "Tag",
    "UnitOfWork",
    "User",
    "attempt_shots",
    "built_once",
    "let_go_of_reader",
    "organisation_scope",
    "system_scope",
    "unit_of_work",
    "writes",
    "writes_first",
]
