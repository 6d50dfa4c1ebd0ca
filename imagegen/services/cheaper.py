"""Which model could do the same for less."""

from __future__ import annotations

from dataclasses import dataclass

from imagegen.core.errors import StudioError
from imagegen.core.money import Micro
from imagegen.providers.registry import OfferedModel, ProviderRegistry
from imagegen.providers.specs import ModelSpec
from imagegen.services import generation, provider_keys
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
    providers = provider_keys.offered()
    found = [
        (offered.provider.built_in, offer.estimate, index, offer)
        for index, offered in enumerate(providers.models())
        if offered.availability.ok and (offer := _offer(offered, request, providers)) is not None
        if plan.estimate is None or offer.estimate < plan.estimate
    ]
    return min(found)[-1] if found else None


def _offer(offered: OfferedModel, request: GenerationRequest, providers: ProviderRegistry) -> Offer | None:
    asked = request.model_copy(update={"provider": offered.spec.provider, "model": offered.spec.id})
    try:
        estimate = generation.plan(asked, providers=providers).estimate
    except StudioError:
        return None
    return Offer(offered.spec, estimate) if estimate is not None else None
