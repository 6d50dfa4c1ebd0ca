"""The language of a page, and translations of sentences that came from below."""

from __future__ import annotations

from typing import Any

from babel.support import NullTranslations
from flask import Flask, Response, g, request
from flask_babel import Babel, get_locale, get_translations
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from imagegen.core.text import translate
from imagegen.settings import PROJECT_ROOT

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""By code, each in its own words. All but English have a catalogue under `imagegen/translations`."""


def init_app(app: Flask, babel: Babel) -> None:
    """Choose each request's language, and let templates translate sentences that services have written."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(PROJECT_ROOT / "imagegen" / "translations")
    babel.init_app(app, locale_selector=choose, timezone_selector=time_zone)
    app.jinja_env.globals.update(
        _=_gettext, gettext=_gettext, ngettext=_ngettext, said=said, language=lambda: str(get_locale() or "en")
    )
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
    return translate(text, _catalogue().gettext)


def _catalogue() -> NullTranslations:
    """Return the words of the reader's language, looked for once a page: one asks for a hundred sentences."""
    known: dict[object, NullTranslations] = g.setdefault("catalogues", {})
    locale = get_locale()
    found = known.get(locale)
    if found is None:
        found = known[locale] = get_translations()
    return found


@pass_eval_context
def _gettext(context: EvalContext, message: str, /, **values: Any) -> str:
    """Say `message` as Jinja's own `gettext` does: always a pattern, and HTML where that is what is written."""
    return _fill(context, _catalogue().gettext(message), values)


@pass_eval_context
def _ngettext(context: EvalContext, one: str, many: str, number: int, /, **values: Any) -> str:
    return _fill(context, _catalogue().ngettext(one, many, number), {"num": number} | values)


def _fill(context: EvalContext, pattern: str, values: dict[str, Any]) -> str:
    text = Markup(pattern) if context.autoescape else pattern  # noqa: S704  # the catalogues are our own
    return text % values if "%" in pattern else text
