"""Asking for the same again with one click."""

from __future__ import annotations

from pydantic import ValidationError

from imagegen.core.errors import Conflict
from imagegen.core.text import N_
from imagegen.models import Job
from imagegen.services import generation
from imagegen.services.generation import GenerationRequest

_OF_THE_FIRST_TIME = frozenset({"seed", "reuse"})
"""Whoever asks again wants other pictures, made anew."""


def same_again(job: Job) -> GenerationRequest:
    """Return the request of `job` with a new seed; raises Conflict if it can't be asked for like that any more."""
    asked = {name: value for name, value in job.request.items() if name not in _OF_THE_FIRST_TIME}
    try:
        if job.kind != generation.KIND:
            raise Conflict(_OTHERWISE)
        return GenerationRequest.model_validate(asked | {"provider": job.provider, "model": job.model})
    except ValidationError:
        raise Conflict(_OTHERWISE) from None


_OTHERWISE = N_("This can't be asked for again as it was. Change it under Create.")
