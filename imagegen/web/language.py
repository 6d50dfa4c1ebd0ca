"""The language of a page, and translations of sentences that came from below."""

from __future__ import annotations

from flask import Flask, Response, g, request
from flask_babel import Babel, get_locale, gettext

from imagegen.core.text import translate
from imagegen.settings import PROJECT_ROOT

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""By code, each in its own words. All but English have a catalogue under `imagegen/translations`."""


def init_app(app: Flask, babel: Babel) -> None:
    """Choose each request's language, and let templates translate sentences that services have written."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(PROJECT_ROOT / "imagegen" / "translations")
    babel.init_app(app, locale_selector=choose, timezone_selector=time_zone)
    app.jinja_env.globals.update(said=said, language=lambda: str(get_locale() or "en"))
    app.after_request(_vary)


def choose() -> str:
    """Return the person's language, else their organisation's, else the browser's best, else English."""
    identity = g.get("identity")
    if identity is not None and identity.language in LANGUAGES:
        return str(identity.language)
    g.language_is_the_browsers = True
    return request.accept_languages.best_match(LANGUAGES) or "en"


def _vary(response: Response) -> Response:
    """Tell caches that another browser may get this answer in another language."""
    if g.get("language_is_the_browsers"):
        response.vary.add("Accept-Language")
    return response


def time_zone() -> str | None:
    """Return the person's time zone, else the organisation's."""
    identity = g.get("identity")
    return str(identity.time_zone) if identity is not None else None


def said(text: str) -> str:
    """Return a sentence that came from below the web, in the reader's language."""
    return translate(text, gettext)
