"""Letters by SMTP; sent outside any transaction."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import SplitResult, unquote, urlsplit

import structlog

from imagegen.core.errors import ErrorKind, StudioError
from imagegen.core.text import N_, one_line
from imagegen.extensions import runtime

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 10.0
_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}


class MailFailed(StudioError):
    """The letter was not sent."""

    kind = ErrorKind.UNAVAILABLE
    status = 503


def configured() -> bool:
    """Tell whether letters can be sent at all."""
    return runtime.settings.smtp_url is not None


def send(*, to: str, subject: str, text: str) -> None:
    """Send a letter in plain text; raises MailFailed with a sentence."""
    settings = runtime.settings
    letter = EmailMessage()
    letter["From"] = settings.mail_from or _sender(settings.public_url)
    letter["To"] = to
    letter["Subject"] = one_line(subject, 200)
    letter["Date"] = formatdate(usegmt=True)
    letter["Message-ID"] = make_msgid(domain="imagegen.studio.invalid")
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(text)
    try:
        with _connect(urlsplit(settings.smtp_url or "")) as server:
            server.send_message(letter)
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        log.warning("mail.failed", error=type(error).__name__)
        raise MailFailed(N_("The letter could not be sent.")) from None


def _connect(url: SplitResult) -> smtplib.SMTP:
    host, port = url.hostname or "localhost", url.port or _PORTS[url.scheme]
    if url.scheme == "smtps":
        tls = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=tls)
    else:
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    try:
        if url.scheme == "smtp+starttls":
            server.starttls(context=ssl.create_default_context())
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
    except BaseException:
        server.close()
        raise
    return server


def _sender(public_url: str | None) -> str:
    host = urlsplit(public_url or "").hostname or "localhost"
    return f"Imagegen Studio <studio@{host}>"
