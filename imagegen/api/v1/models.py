"""Models: who can draw, what, and for how much."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from imagegen.api.v1 import rows
from imagegen.api.v1.openapi import Answers, Tags, operation
from imagegen.api.v1.schemas import Limits, Model, ModelList, Prices, SizeBounds
from imagegen.extensions import runtime
from imagegen.providers.registry import OfferedModel
from imagegen.providers.specs import ModelSpec, SizeRule
from imagegen.services import provider_keys
from imagegen.services.generation import MOST_VARIANTS
from imagegen.web import access
from imagegen.web.language import said

blueprint = Blueprint("api-models", __name__)


@blueprint.get("/models")
@access.viewing
@operation(Tags.MODELS, "listModels", Answers(ModelList, "All models."))
def index() -> ModelList:
    """List all models.

    Those too whose provider is not set up (`available` is false). No provider is asked.
    """
    return ModelList(items=[_model(offer) for offer in provider_keys.offered().models()], next_cursor=None)


def _model(offer: OfferedModel) -> Model:
    model = offer.spec
    return Model(
        id=model.id,
        provider=model.provider,
        label=said(model.label),
        available=offer.availability.ok,
        operations=sorted(model.operations),
        sizes=rows.sizes(model),
        limits=_limits(model),
        prices=_prices(model),
    )


def _limits(model: ModelSpec) -> Limits:
    return Limits(
        prompt_characters=model.max_prompt_chars,
        variants=MOST_VARIANTS,
        qualities=list(model.qualities),
        default_quality=model.default_quality,
        output_formats=list(model.output_formats),
        features=sorted(model.supports),
        size_rule=_bounds(model.sizes) if isinstance(model.sizes, SizeRule) else None,
        shutdown_date=model.shutdown_date.isoformat() if model.shutdown_date else None,
    )


def _bounds(rule: SizeRule) -> SizeBounds:
    return SizeBounds(
        multiple=rule.multiple,
        min_edge=rule.min_edge,
        max_edge=rule.max_edge,
        min_pixels=rule.min_pixels,
        max_pixels=rule.max_pixels,
        min_ratio=rule.min_ratio,
        max_ratio=rule.max_ratio,
    )


_NO_PRICES: dict[str, Any] = {
    "free": False,
    "checked": None,
    "source": None,
    "derived": False,
    "per_image": {},
    "tokens_per_million": {},
}


def _prices(model: ModelSpec) -> Prices:
    return Prices(**_NO_PRICES | runtime.prices.describe(model))
