"""Which model could do the same for less."""

from __future__ import annotations

from dataclasses import dataclass

from imagegen.core.errors import StudioError
from imagegen.core.money import Micro
from imagegen.extensions import runtime
from imagegen.providers.registry import OfferedModel
from imagegen.providers.specs import ModelSpec
from imagegen.services import generation
from imagegen.services.generation import GenerationRequest, Plan


@dataclass(frozen=True)
class Offer:
    """A model that does the same request, and what that may cost."""

    spec: ModelSpec
    estimate: Micro


def than(plan: Plan, request: GenerationRequest) -> Offer | None:
    """Return the cheapest usable model that can do `request` and costs less than `plan`; None if there is none.

    What the studio draws itself is proposed only where no other model will do: it is free, but another thing.
    """
    if plan.estimate == 0:
        return None
    found = [
        (offered.provider.built_in, offer.estimate, index, offer)
        for index, offered in enumerate(runtime.providers.models())
        if offered.availability.ok and (offer := _offer(offered, request)) is not None
        if plan.estimate is None or offer.estimate < plan.estimate
    ]
    return min(found)[-1] if found else None


def _offer(offered: OfferedModel, request: GenerationRequest) -> Offer | None:
    asked = request.model_copy(update={"provider": offered.spec.provider, "model": offered.spec.id})
    try:
        estimate = generation.plan(asked).estimate
    except StudioError:
        return None
    return Offer(offered.spec, estimate) if estimate is not None else None
