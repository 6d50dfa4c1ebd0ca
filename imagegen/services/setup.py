"""The first visit: a code that only whoever started the studio has seen, and the first person."""

from __future__ import annotations

import hmac

import structlog

from imagegen.core.errors import Conflict, StudioError
from imagegen.core.text import N_
from imagegen.extensions import runtime
from imagegen.models import User
from imagegen.services import accounts

log = structlog.get_logger(__name__)

CODE_FILE = "setup-code"
DONE_FILE = "setup-done"


def check_code(code: str) -> None:
    """Raise StudioError unless `code` is the one that was printed at the start (case and spaces don't matter)."""
    try:
        expected = (runtime.settings.studio_data_dir / CODE_FILE).read_text(encoding="ascii").strip()
    except OSError:
        raise StudioError(N_("There is no set-up code. Start the studio again to get one."), field="code") from None
    given = code.strip().upper().encode()
    if not expected or not hmac.compare_digest(given, expected.upper().encode()):
        raise StudioError(N_("This is not the code that was printed when the studio was started."), field="code")


def finish(*, email: str, password: str, name: str, organisation: str, address: str = "") -> User:
    """Make the first person and organisation; the code works no more."""
    user = accounts.set_up(email=email, password=password, name=name, organisation=organisation, address=address)
    close()
    return user


def close() -> None:
    """Let the code work no more, and no start print one: somebody is here."""
    folder = runtime.settings.studio_data_dir
    (folder / DONE_FILE).touch(mode=0o600)
    (folder / CODE_FILE).unlink(missing_ok=True)


def from_settings() -> None:
    """Make the first person that STUDIO_ADMIN_EMAIL names, if there is nobody yet."""
    settings = runtime.settings
    if not settings.studio_admin_email or not settings.studio_admin_password or accounts.anybody_here():
        return
    try:
        finish(
            email=settings.studio_admin_email,
            password=settings.studio_admin_password.get_secret_value(),
            name="",
            organisation="",
        )
    except Conflict:
        return  # another process was quicker
    log.info("setup.done_from_settings", email=settings.studio_admin_email)
