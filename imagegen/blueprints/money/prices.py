"""Prices: what every model costs as far as the studio knows, and an operator's own figures over that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, gettext

from imagegen.core.errors import NotFound, StudioError
from imagegen.core.money import from_usd, read_usd, to_usd
from imagegen.core.text import N_, clean, one_line
from imagegen.extensions import runtime
from imagegen.providers.prices import ONE_QUALITY
from imagegen.providers.specs import ModelSpec, SizeRule
from imagegen.services import pricing
from imagegen.web import access, auth
from imagegen.web.htmx import page as render
from imagegen.web.language import said
from imagegen.web.words import money, quality

blueprint = Blueprint("prices", __name__, url_prefix="/admin/prices")

TOKENS: Mapping[str, str] = {
    "text_in": N_("Words in"),
    "image_in": N_("Pictures in"),
    "image_out": N_("Pictures out"),
    "text_out": N_("Words out, if other"),
}


@blueprint.get("")
@access.operating
def page() -> ResponseReturnValue:
    """Show the prices of all models."""
    models = [_shown(offer.spec, said(offer.provider.label)) for offer in runtime.providers.models()]
    return render("money/prices.html", models=models, as_of=format_date(runtime.prices.as_of, "long"))


@blueprint.get("/<provider>/<path:model>")
@access.operating
def edit(provider: str, model: str) -> ResponseReturnValue:
    """Show the form of one model's prices."""
    return _form(_spec(provider, model))


@blueprint.post("/<provider>/<path:model>")
@access.operating
def change(provider: str, model: str) -> ResponseReturnValue:
    """Write one model's prices."""
    spec = _spec(provider, model)
    try:
        pricing.change(by=auth.actor(), provider=spec.provider, model=spec.id, price=_read(spec))
    except StudioError as error:
        return _form(spec, error)
    return redirect(url_for("prices.page"), 303)


@blueprint.post("/<provider>/<path:model>/restore")
@access.operating
def restore(provider: str, model: str) -> ResponseReturnValue:
    """Let the studio's own prices hold again."""
    spec = _spec(provider, model)
    pricing.restore(by=auth.actor(), provider=spec.provider, model=spec.id)
    return redirect(url_for("prices.page"), 303)


def _spec(provider: str, model: str) -> ModelSpec:
    for offer in runtime.providers.models():
        if (offer.spec.provider, offer.spec.id) == (provider, model):
            return offer.spec
    raise NotFound(N_("There is no such model."))


def _shown(spec: ModelSpec, provider: str) -> dict[str, Any]:
    found = runtime.prices.describe(spec)
    rows = [
        {
            "size": size.replace("x", " \N{MULTIPLICATION SIGN} "),
            "prices": [{"quality": _quality(name), "usd": money(from_usd(usd))} for name, usd in row.items()],
        }
        for size, row in found.get("per_image", {}).items()
    ]
    return {
        "label": said(spec.label),
        "provider": provider,
        "known": found["known"],
        "free": found.get("free", False),
        "own": runtime.price_book.overridden(spec.provider, spec.id),
        "checked": format_date(date.fromisoformat(found["checked"]), "long") if found.get("checked") else "",
        "source": said(found.get("source", "")),
        "derived": found.get("derived", False),
        "rows": rows,
        "tokens": [
            {"name": said(TOKENS[name]), "usd": money(from_usd(usd))}
            for name, usd in found.get("tokens_per_million", {}).items()
        ],
        "edit_url": url_for("prices.edit", provider=spec.provider, model=spec.id),
    }


def _quality(name: str) -> str:
    return quality(name) if name else gettext("any quality")


def _sizes(spec: ModelSpec) -> list[str]:
    """Return the sizes for which prices are asked: the model's, else those that its table has and its usual one."""
    if not isinstance(spec.sizes, SizeRule):
        return ["{}x{}".format(*size) for size in spec.sizes]
    listed = runtime.prices.describe(spec).get("per_image", {})
    return list(dict.fromkeys(["{}x{}".format(*spec.default_size), *listed]))


def _read(spec: ModelSpec) -> dict[str, Any]:
    """Return the prices in the form, as prices.yaml has them; raises StudioError for what is no amount."""
    source = one_line(clean(request.form.get("source", "")), 300) or str(N_("An operator of this studio."))
    if request.form.get("free"):
        return {"free": True, "source": source}
    price: dict[str, Any] = {"source": source, "per_image": {}}
    for size in _sizes(spec):
        row = {
            name: amount
            for name in spec.qualities or (ONE_QUALITY,)
            if (amount := _amount(f"{size}-{name}")) is not None
        }
        if row:
            price["per_image"][size] = row
    tokens = {name: amount for name in TOKENS if (amount := _amount(name)) is not None}
    return price | ({"tokens_per_million": tokens} if tokens else {})


def _amount(field: str) -> str | None:
    text = request.form.get(field, "").strip()
    if not text:
        return None
    amount = read_usd(text)
    if amount is None:
        raise StudioError(N_("Write an amount of dollars, such as 20 or 0.041."), field=field)
    return to_usd(amount)


def _form(spec: ModelSpec, error: StudioError | None = None) -> ResponseReturnValue:
    own = runtime.price_book.overridden(spec.provider, spec.id)
    return render(
        "money/price.html",
        status=error.status if error else 200,
        label=said(spec.label),
        action=url_for("prices.change", provider=spec.provider, model=spec.id),
        restore_url=url_for("prices.restore", provider=spec.provider, model=spec.id) if own else None,
        errors={error.field or "": said(error.message)} if error else {},
        **_fields(spec, request.form if request.method == "POST" else None),
    )


def _fields(spec: ModelSpec, sent: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what stands in the form: what was sent, if it has to be corrected, else the figures in force."""
    known = runtime.prices.describe(spec)
    values = sent if sent is not None else {"source": known.get("source", ""), **_figures(known)}

    def field(name: str, label: str) -> dict[str, str]:
        return {"name": name, "label": label, "value": values.get(name, "")}

    return {
        "free": bool(known.get("free") if sent is None else sent.get("free")),
        "source": values.get("source", ""),
        "sizes": [
            {
                "label": size.replace("x", " \N{MULTIPLICATION SIGN} "),
                "fields": [field(f"{size}-{name}", _quality(name)) for name in spec.qualities or (ONE_QUALITY,)],
            }
            for size in _sizes(spec)
        ],
        "tokens": [field(name, said(label)) for name, label in TOKENS.items()],
    }


def _figures(known: Mapping[str, Any]) -> dict[str, str]:
    """Return the amounts in force by their fields' names, without zeros at the end."""
    amounts: dict[str, str] = dict(known.get("tokens_per_million", {}))
    for size, row in known.get("per_image", {}).items():
        amounts |= {f"{size}-{name}": usd for name, usd in row.items()}
    return {name: usd.rstrip("0").rstrip(".") if "." in usd else usd for name, usd in amounts.items()}
