"""What the composer and the feed show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from flask_babel import format_decimal, format_percent, gettext, ngettext
from werkzeug.datastructures import MultiDict

from imagegen.blueprints.generator import earlier, forms
from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.core.ids import new_id
from imagegen.core.text import N_
from imagegen.models import Image, Job
from imagegen.prompts.styles import styles
from imagegen.providers.base import Feature, ModelSpec, SizeRule
from imagegen.providers.registry import OfferedModel, ProviderRegistry
from imagegen.providers.sizes import RATIOS, ratio_named
from imagegen.services import budgets, cheaper, generation, provider_health, provider_keys
from imagegen.services.budgets import Standing, Step
from imagegen.services.cheaper import Offer
from imagegen.services.generation import MOST_VARIANTS, GenerationRequest
from imagegen.services.provider_health import Hold
from imagegen.services.rights import Right
from imagegen.settings import PROJECT_ROOT
from imagegen.web import contexts, health_words, words
from imagegen.web.addresses import address
from imagegen.web.auth import identity
from imagegen.web.contexts import Context
from imagegen.web.language import said

VARIANT_BUTTONS = (1, 2, 4, 8)
DEFAULT_RATIO = "4:5"
SHAPE_TOLERANCE = 0.005
"""By how much a picture's ratio may differ from the one asked for before the page says so."""

FEATURES: dict[Feature, str] = {
    Feature.REFERENCES: N_("References"),
    Feature.MASK: N_("Masks"),
    Feature.TRANSPARENT: N_("Transparent"),
    Feature.SEED: N_("Seed"),
    Feature.NEGATIVE_PROMPT: N_("Negative prompt"),
}
BACKGROUNDS: dict[str, str] = {
    "auto": N_("Automatic"),
    "opaque": N_("Opaque"),
    "transparent": N_("Transparent"),
}
FORMATS: dict[str, str] = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP"}
EXAMPLES = (
    ("dusk", N_("Layered paper mountains at dusk, violet and amber, calm, room for a headline at the top")),
    ("marble", N_("Marbled ink in teal, white and silver, flowing, studio light")),
    ("spheres", N_("Lacquered spheres, amber and coral, soft shadow, playful")),
)


def composer(form: MultiDict[str, str], *, errors: list[dict[str, Any]] | None = None) -> Context:
    """Return the composer for what `form` says so far; what the model cannot do falls back to what it can."""
    provider, model = forms.read_model(form)
    providers, held = provider_keys.offered(), provider_health.held()
    try:
        _, spec = providers.find(provider, model)
    except StudioError:
        _, spec = providers.default()
    offers = providers.models()
    offered = next(offer for offer in offers if offer.spec is spec or offer.spec == spec)
    choices = _choices(form, spec)
    return {
        "prompt": form.get("prompt", ""),
        "prompt_limit": spec.max_prompt_chars,
        "idempotency_key": new_id(),
        "errors": errors or [],
        "model": _model(offered, spec, providers, held),
        "models": [_model(offer, spec, providers, held) for offer in offers],
        **choices,
        "chosen": _in_words(choices, spec),
        "estimate": estimate(_settled(form, choices, spec)),
        **earlier.context(_settled(form, choices, spec)),
    }


def _key(spec: ModelSpec) -> str:
    return f"{spec.provider}:{spec.id}"


def _model(offer: OfferedModel, chosen: ModelSpec, providers: ProviderRegistry, held: Mapping[str, Hold]) -> Context:
    spec = offer.spec
    capabilities = [said(label) for feature, label in FEATURES.items() if feature in spec.supports]
    typical = spec.seconds()
    time = gettext("about %(time)s", time=_rounded(typical)) if typical else ""
    notes = [*capabilities[:3], time]
    return {
        "key": _key(spec),
        "label": spec.label,
        "note": " · ".join(note for note in notes if note) or said(spec.summary),
        "picture": _picture(f"models/{spec.provider}.webp"),
        "provider": said(offer.provider.label),
        "capabilities": capabilities,
        "price": _price_of(spec, providers),
        "time": time,
        "available": offer.availability.ok,
        "reason": said(offer.availability.reason),
        "trouble": health_words.held(held[spec.provider]) if spec.provider in held else _end_of(spec),
        "chosen": _key(spec) == _key(chosen),
    }


def _end_of(spec: ModelSpec) -> str:
    """Return that the model's maker ends it, while there is time to choose another one; else nothing."""
    return said(spec.retires(now().date()) or "")


def _picture(name: str) -> str | None:
    exists = (PROJECT_ROOT / "static" / "img" / name).is_file()
    return address("static", filename=f"img/{name}") if exists else None


def _rounded(amount: float) -> str:
    if amount < 1:
        return gettext("1 s")
    return contexts.seconds(amount) if amount >= 60 else gettext("%(seconds)s s", seconds=round(amount))


def _price_of(spec: ModelSpec, providers: ProviderRegistry) -> str:
    asked = GenerationRequest(prompt="x", provider=spec.provider, model=spec.id)
    try:
        plan = generation.plan(asked, providers=providers)
        return contexts.price(plan.estimate) or gettext("price unknown")
    except StudioError:
        return ""


def _choices(form: MultiDict[str, str], spec: ModelSpec) -> Context:
    several = bool(form.get("several"))
    ratios = form.getlist("aspect_ratios") or [DEFAULT_RATIO]
    variants = form.get("variants", type=int) or forms.DEFAULT_VARIANTS
    offered = spec.supports
    return {
        "several": several,
        "shapes": _shapes(ratios if several else ratios[:1]),
        "styles": _styles(form.get("style")),
        "variants": [{"value": count, "label": str(count), "chosen": count == variants} for count in VARIANT_BUTTONS],
        "variants_limit": MOST_VARIANTS,
        "qualities": _qualities(spec, form.get("quality", "")),
        "formats": _options(FORMATS, spec.output_formats, form.get("output_format", "")),
        "backgrounds": _options(BACKGROUNDS, tuple(BACKGROUNDS), form.get("background", ""))
        if Feature.TRANSPARENT in offered
        else [],
        "seed": {"value": form.get("seed", "")} if Feature.SEED in offered else None,
        "negative_prompt": {"value": form.get("negative_prompt", "")} if Feature.NEGATIVE_PROMPT in offered else None,
        "trim": None if isinstance(spec.sizes, SizeRule) else {"chosen": bool(form.get("trim"))},
        "size": {"width": form.get("width", ""), "height": form.get("height", ""), "note": _size_note(spec)},
    }


def _shapes(chosen: Collection[str]) -> list[Context]:
    return [
        {
            "value": ratio.id,
            "label": ratio.id.removesuffix(":1") if ratio.id == "1.91:1" else ratio.id,
            "width": ratio.value.numerator,
            "height": ratio.value.denominator,
            "hint": said(ratio.hint),
            "chosen": ratio.id in chosen,
        }
        for ratio in RATIOS.values()
    ]


def _styles(chosen: str | None) -> list[Context]:
    return [
        {
            "id": style.id,
            "label": said(style.label),
            "picture": address("static", filename="img/styles.webp"),
            "tile": tile,
            "tiles": len(styles()),
            "chosen": chosen == style.id,
        }
        for tile, style in enumerate(styles())
    ]


def _qualities(spec: ModelSpec, chosen: str) -> list[Context]:
    if chosen not in spec.qualities:
        chosen = spec.default_quality or ""
    return [
        {"value": quality, "label": words.quality(quality), "chosen": quality == chosen} for quality in spec.qualities
    ]


def _options(labels: dict[str, str], values: tuple[str, ...], chosen: str) -> list[Context]:
    if chosen not in values:
        chosen = values[0]
    return [{"value": value, "label": said(labels.get(value, value)), "chosen": value == chosen} for value in values]


def _size_note(spec: ModelSpec) -> str:
    if isinstance(spec.sizes, SizeRule):
        return gettext(
            "Both sides whole multiples of %(step)s, up to %(edge)s pixels.",
            step=spec.sizes.multiple,
            edge=format_decimal(spec.sizes.max_edge),
        )
    listed = ", ".join(f"{width} \N{MULTIPLICATION SIGN} {height}" for width, height in spec.sizes)
    return gettext("One of %(sizes)s.", sizes=listed)


def _in_words(choices: Context, spec: ModelSpec) -> list[str]:
    found = [spec.label]
    for group in ("shapes", "styles"):
        found += [option["label"] for option in choices[group] if option["chosen"]]
    found += [f"\N{MULTIPLICATION SIGN} {option['label']}" for option in choices["variants"] if option["chosen"]]
    return found


def _settled(form: MultiDict[str, str], choices: Context, spec: ModelSpec) -> MultiDict[str, str]:
    """Return `form` with what the page shows as chosen where it says nothing, or what the model cannot do."""
    settled: MultiDict[str, str] = MultiDict(form)
    settled["model"] = _key(spec)
    settled.setlist("aspect_ratios", [shape["value"] for shape in choices["shapes"] if shape["chosen"]])
    for name, group in (("quality", "qualities"), ("output_format", "formats"), ("background", "backgrounds")):
        settled[name] = next((option["value"] for option in choices[group] if option["chosen"]), "")
    for name in ("seed", "negative_prompt"):
        if choices[name] is None:
            settled[name] = ""
    return settled


def estimate(form: MultiDict[str, str]) -> Context:
    """Return the button and what it will cost, for what `form` says so far."""
    asked: MultiDict[str, str] = MultiDict(form)
    asked["prompt"] = form.get("prompt", "").strip() or "x"
    try:
        wanted = forms.read(asked)
        plan = generation.plan(wanted)
    except ValueError:
        return _no_estimate(gettext("Something in the choices is not right."))
    except StudioError as error:
        return _no_estimate(said(error.message))
    count = len(plan.shots)
    per = plan.shots[0].estimate
    typical = plan.seconds
    return {
        "label": ngettext("Generate %(num)s picture", "Generate %(num)s pictures", count),
        "price": earlier.about(plan.estimate),
        "time": gettext("Usually about %(time)s", time=_rounded(typical)) if typical else "",
        "shape": _other_shape(plan),
        "per": gettext("%(price)s a picture", price=contexts.price(per)) if per and count > 1 else "",
        "refusal": None,
    } | _of_budgets(plan, wanted, form)


def _of_budgets(plan: generation.Plan, wanted: GenerationRequest, form: MultiDict[str, str]) -> Context:
    """Return what the budgets say to it: nothing, a warning, or a refusal; near the end with a cheaper model."""
    who = identity()
    verdict = budgets.verdict(organisation_id=who.organisation.id, user_id=who.user.id, estimate=plan.estimate)
    if verdict is None:
        return {}
    offer = cheaper.than(plan, wanted) if verdict.step >= Step.CHEAPER else None
    cost = plan.estimate or 0
    percent = verdict.standing.percent(cost)
    return {
        "refusal": said(verdict.refusal.message) if verdict.refusal else None,
        "warning": _warning(verdict.standing, percent) if verdict.refusal is None else "",
        "cheaper": _cheaper(offer, form) if offer else None,
        "ask": {
            "url": address("budgets.ask", budget_id=verdict.refusal.budget_id),
            "micro": budgets.short_of(verdict.standing, cost),
        }
        if verdict.refusal and plan.estimate is not None and not who.may(Right.MANAGE_BUDGETS)
        else None,
        "raise_url": address("budgets.page") if verdict.refusal and who.may(Right.MANAGE_BUDGETS) else None,
    }


def _warning(standing: Standing, percent: int) -> str:
    used = format_percent(percent / 100)
    if standing.budget.user_id is not None:
        return gettext("With this %(used)s of your budget is used.", used=used)
    return gettext("With this %(used)s of the organisation's budget is used.", used=used)


def _cheaper(offer: Offer, form: MultiDict[str, str]) -> Context:
    """Return a cheaper model, with the address of the same form under it."""
    fields = {name: form.getlist(name) for name in form if name not in ("model", "csrf_token", "idempotency_key")}
    query = urlencode({**fields, "model": _key(offer.spec)}, doseq=True)
    return {
        "label": offer.spec.label,
        "price": contexts.price(offer.estimate),
        "key": _key(offer.spec),
        "href": f"{address('generator.page')}?{query}",
    }


def _other_shape(plan: generation.Plan) -> str:
    """Say which size comes where the model has none of the ratio asked for."""
    for shot in plan.shots:
        width, height = shot.size
        if shot.ratio and abs(width / height / float(ratio_named(shot.ratio).value) - 1) > SHAPE_TOLERANCE:
            size = f"{width} \N{MULTIPLICATION SIGN} {height}"
            return gettext(
                "Arrives as %(size)s, the nearest to %(ratio)s that it draws.", size=size, ratio=shot.ratio
            )
    return ""


def _no_estimate(sentence: str) -> Context:
    return {"label": gettext("Generate"), "price": "", "time": "", "per": "", "refusal": sentence, "shape": ""}


def first_use() -> Context:
    """Return what is shown while a person has no job."""
    keyed = any(offer.availability.ok and not offer.provider.built_in for offer in provider_keys.offered().models())
    return {
        "examples": [
            {
                "prompt": said(prompt),
                "picture": address("static", filename=f"img/examples/{name}.webp"),
                "href": address("generator.page", prompt=said(prompt)),
            }
            for name, prompt in EXAMPLES
        ],
        "key_note": None
        if keyed
        else gettext(
            "Pictures are drawn here on this machine, free of charge: abstract ones only. For anything else put a "
            "provider's key into the file .env beside the Makefile (OPENAI_API_KEY=…) and start the studio again."
        ),
    }


def form_of_job(job: Job) -> MultiDict[str, str]:
    """Return the form that asks for the same again: with a seed of its own, once the given one has made pictures."""
    asked = dict(job.request)
    form: MultiDict[str, str] = MultiDict()
    form["model"] = f"{job.provider}:{job.model}"
    ratios = asked.get("aspect_ratios") or ([asked["aspect_ratio"]] if asked.get("aspect_ratio") else [])
    form.setlist("aspect_ratios", ratios)
    if len(ratios) > 1:
        form["several"] = "1"
    if size := asked.get("size"):
        form["width"], _, form["height"] = size.partition("x")
    form["variants"] = str(asked.get("n", 1))
    for name in ("prompt", "style", "quality", "seed", "negative_prompt", "background", "output_format"):
        if asked.get(name) is not None:
            form[name] = str(asked[name])
    if job.n_succeeded:
        form.poplist("seed")
    return form


def form_like_image(image: Image, job: Job | None, *, recall: str = "") -> MultiDict[str, str]:
    """Return the form for variations of a picture: all of its request but the seed, which is always new.

    `recall` asks for its `prompt` alone, for its `seed` and the model that understands it, for its `settings` (all
    but words and seed), or for `everything`.
    """
    form = form_of_job(job) if job is not None else MultiDict()
    form["prompt"] = image.prompt or image.title
    form.poplist("seed")
    if recall in ("seed", "everything"):
        for name, value in _seed_of(image).items():
            form[name] = value
    if recall == "settings":
        form.poplist("prompt")
        return form if job is not None else _settings_of(image)
    kept = _RECALLED.get(recall)
    return form if kept is None else MultiDict((name, form[name]) for name in kept if name in form)


_RECALLED = {"prompt": ("prompt",), "seed": ("seed", "model")}


def _seed_of(image: Image) -> dict[str, str]:
    return _model_of(image) | ({"seed": str(image.seed)} if image.seed is not None else {})


def _settings_of(image: Image) -> MultiDict[str, str]:
    """Return what a picture itself knows of its settings, for one whose job is gone."""
    return MultiDict(_model_of(image) | ({"style": image.style} if image.style else {}))


def _model_of(image: Image) -> dict[str, str]:
    return {"model": f"{image.provider}:{image.model}"} if image.provider and image.model else {}
