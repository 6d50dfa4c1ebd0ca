"""The storages there are, by the name that the setting STORAGE_BACKEND gives them."""

from __future__ import annotations

from importlib import import_module

from imagegen.core.text import N_
from imagegen.storage.base import Storage, StorageSettings
from imagegen.storage.errors import StorageError

BACKENDS: dict[str, str] = {
    "local": "imagegen.storage.local:LocalStorage",
}
"""Name → where its class is. Loaded when chosen: nobody pays for the client library of another storage."""


def backend(name: str) -> type[Storage]:
    """Return the class of the storage called `name`; StorageError if there is none."""
    if name not in BACKENDS:
        raise StorageError(N_("The chosen storage does not exist."))
    module, _, attribute = BACKENDS[name].partition(":")
    found: type[Storage] = getattr(import_module(module), attribute)
    return found


def create_storage(settings: StorageSettings) -> Storage:
    """Return the storage that the settings ask for."""
    return backend(settings.storage_backend).from_settings(settings)
