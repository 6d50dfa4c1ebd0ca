"""All routes of the administration, gathered from the files that hold them."""

from imagegen.blueprints.admin import (
    audit,
    cleaning,
    installation,
    invitations,
    organisation,
    people,
    providers,
    providers_installation,
    queues,
)
from imagegen.blueprints.admin.blueprint import blueprint

__all__ = [
    "audit",
    "blueprint",
    "cleaning",
    "installation",
    "invitations",
    "organisation",
    "people",
    "providers",
    "providers_installation",
    "queues",
]
