"""Letters: `templates/mail/<letter>.txt`, whose first line is the subject."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flask import current_app
from flask_babel import force_locale

from imagegen.extensions import in_app_context
from imagegen.services import mail
from imagegen.services.mail import MailFailed
from imagegen.web.language import LANGUAGES


def send(letter: str, /, *, to: str, language: str | None, **context: object) -> bool:
    """Write and send a letter in its reader's language; tell whether it went out (never without SMTP_URL)."""
    if not mail.configured():
        return False
    with force_locale(language if language in LANGUAGES else "en"):
        # Not by render_template: what that gives to pages asks the request, and a letter may be written beside it.
        written = current_app.jinja_env.get_template(f"mail/{letter}.txt").render(**context)
    subject, _, text = written.strip().partition("\n")
    try:
        mail.send(to=to, subject=subject, text=text.strip() + "\n")
    except MailFailed:
        return False
    return True


def later(function: Callable[[], None]) -> None:
    """Call `function` beside the request: what it does must not be told by how long the answer takes."""
    threading.Thread(target=in_app_context(function), name="letters", daemon=True).start()
