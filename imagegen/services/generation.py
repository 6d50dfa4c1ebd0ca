"""From a person's request to a job with its shots, reservations, first event and outbox row."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from sqlalchemy.orm import Session

from imagegen.core.errors import Conflict, StudioError
from imagegen.core.money import Micro
from imagegen.core.text import N_, clean
from imagegen.extensions import runtime, stir
from imagegen.models import Job, Outbox, Shot, UnitOfWork, writes
from imagegen.models.columns import db_now
from imagegen.models.states import JobStatus, ShotStatus, derive
from imagegen.prompts.builder import build
from imagegen.prompts.styles import find_style
from imagegen.providers.base import AUTO, Feature, ImageRequest, ModelSpec, Provider, check
from imagegen.providers.registry import ProviderRegistry
from imagegen.providers.sizes import SizeChoice, exact_size, size_for_ratio
from imagegen.services import events, idempotency, ledger, provider_keys, reuse
from imagegen.services.reuse import Earlier, Reuse, Wanted

KIND = "generate"
MOST_VARIANTS = 10
LARGEST_SEED = 2**32 - 1
WAKE = "work"


def _cleaned(value: Any) -> Any:
    return clean(value).strip() if isinstance(value, str) else value


def _or_none(value: Any) -> Any:
    value = _cleaned(value)
    return None if value == "" else value


Text = Annotated[str, BeforeValidator(_cleaned)]
Optional = BeforeValidator(_or_none)


class GenerationRequest(BaseModel):
    """What a person or a program asks for. The model's own limits are checked by `plan`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Text = Field(min_length=1, max_length=100_000, description="What the picture should show.")
    provider: Annotated[str | None, Optional] = Field(None, max_length=32)
    model: Annotated[str | None, Optional] = Field(None, max_length=120)
    aspect_ratio: Annotated[str | None, Optional] = Field(None, max_length=12, description="Such as 4:5.")
    aspect_ratios: tuple[Annotated[str, Field(max_length=12)], ...] | None = Field(None, max_length=6)
    size: Annotated[str | None, Optional] = Field(
        None, pattern=r"^\d{1,5}x\d{1,5}$", description="Such as 1024x1024."
    )
    quality: Annotated[str | None, Optional] = Field(None, max_length=16)
    style: Annotated[str | None, Optional] = Field(None, max_length=40)
    n: int = Field(1, ge=1, le=MOST_VARIANTS, description="Variants of each shape.")
    seed: Annotated[int | None, Optional] = Field(None, ge=0, le=LARGEST_SEED)
    negative_prompt: Annotated[str | None, Optional] = Field(None, max_length=10_000)
    background: Annotated[str | None, Optional] = Field(None, max_length=16)
    trim: bool = Field(
        False, description="Cut to the exact ratio also where that costs more than 2 % of the picture."
    )
    output_format: Annotated[str | None, Optional] = Field(None, max_length=8)
    reuse: Reuse = Field(reuse.NEVER, description="Whether earlier pictures of the same request will do.")

    @model_validator(mode="after")
    def _one_shape(self) -> GenerationRequest:
        if sum(x is not None for x in (self.aspect_ratio, self.aspect_ratios, self.size)) > 1:
            raise ValueError(N_("Give aspect_ratio, aspect_ratios or size, only one of them."))
        return self

    @property
    def ratios(self) -> tuple[str, ...]:
        """The aspect ratios asked for, without repetitions; empty with an exact size or none at all."""
        if self.aspect_ratios is not None:
            return tuple(dict.fromkeys(self.aspect_ratios))
        return (self.aspect_ratio,) if self.aspect_ratio else ()


@dataclass(frozen=True)
class PlannedShot:
    """One picture to be made: what the provider is asked for, and what is cut from its answer."""

    request: ImageRequest
    trim: tuple[int, int] | None
    ratio: str | None
    estimate: Micro | None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the finished picture in pixels."""
        return self.trim or self.request.size


@dataclass(frozen=True)
class Plan:
    """A request worked out: who makes it, picture by picture, and what it will cost."""

    provider: Provider
    spec: ModelSpec
    shots: tuple[PlannedShot, ...]

    @property
    def estimate(self) -> Micro | None:
        """What all shots may cost together, in micro-USD; None if any price is unknown."""
        return self.estimate_beside([None] * len(self.shots))

    def estimate_beside(self, earlier: Sequence[Earlier | None]) -> Micro | None:
        """Return what the shots without a picture in `earlier` may cost together; None if any price is unknown."""
        new = [shot.estimate for shot, picture in zip(self.shots, earlier, strict=True) if picture is None]
        known = [estimate for estimate in new if estimate is not None]
        return sum(known) if len(known) == len(new) else None

    @property
    def seconds(self) -> float | None:
        """How long one picture usually takes."""
        return self.spec.seconds(self.shots[0].request.quality)


def plan(request: GenerationRequest, *, providers: ProviderRegistry | None = None) -> Plan:
    """Work `request` out; raises StudioError with the field and a sentence for what cannot be done.

    `providers` are those that the organisation in scope can use; whoever plans often reads them once.
    """
    providers = providers or provider_keys.offered()
    provider, spec = providers.find(request.provider, request.model)
    available = providers.available(provider)
    if not available.ok:
        raise StudioError(available.reason, field="provider")
    style = find_style(request.style) if request.style else None
    built = build(request.prompt, style=style, negative=request.negative_prompt or "")
    takes_negative = Feature.NEGATIVE_PROMPT in spec.supports
    # A style's own negative words are dropped where the model takes none; a person's are refused by `check`.
    negative = built.negative if takes_negative else (request.negative_prompt or "")
    first_seed = request.seed
    if first_seed is None and Feature.SEED in spec.supports:
        first_seed = secrets.randbelow(LARGEST_SEED)
    shots = []
    for ratio, (size, trim) in _shapes(spec, request):
        for variant in range(request.n):
            asked = ImageRequest(
                model=spec.id,
                prompt=built.prompt,
                negative_prompt=negative or None,
                width=size[0],
                height=size[1],
                quality=spec.quality_named(request.quality),
                seed=None if first_seed is None else (first_seed + variant) % (LARGEST_SEED + 1),
                background=request.background or AUTO,
                output_format=request.output_format or spec.output_formats[0],
            )
            check(spec, asked)
            shots.append(PlannedShot(asked, trim, ratio, runtime.prices.estimate(spec, asked)))
    return Plan(provider, spec, tuple(shots))


def plan_stand_in(job: Job, shot: Shot, *, provider: str, model: str) -> PlannedShot:
    """Work out how another model would draw `shot`; raises StudioError if it cannot.

    It gets what the person asked for. What only the first model chose (its quality's name, a seed that nobody gave)
    the other one chooses anew.
    """
    asked = GenerationRequest.model_validate(job.request)
    ratio = shot.request["ratio"]
    _, spec = runtime.providers.find(provider, model)
    one = {
        "provider": provider,
        "model": model,
        "n": 1,
        "aspect_ratio": ratio,
        "aspect_ratios": None,
        "quality": asked.quality if spec.has_quality(asked.quality) else None,
        "seed": shot.request["seed"] if Feature.SEED in spec.supports else asked.seed,
    }
    offered = provider_keys.offered(job.organisation_id)
    return plan(asked.model_copy(update=one), providers=offered).shots[0]


Shape = tuple[tuple[int, int], tuple[int, int] | None]


def _shapes(spec: ModelSpec, request: GenerationRequest) -> Sequence[tuple[str | None, Shape]]:
    if request.ratios:
        choices = [(ratio, size_for_ratio(spec, ratio)) for ratio in request.ratios]
        return [(ratio, _shape(choice, cut=request.trim)) for ratio, choice in choices]
    if request.size:
        return [(None, _shape(exact_size(spec, request.size), cut=request.trim))]
    return [(None, (spec.default_size, None))]


def _shape(choice: SizeChoice, *, cut: bool) -> Shape:
    return (choice.width, choice.height), choice.crop or (choice.offered if cut else None)


def find_earlier(
    session: Session, *, organisation_id: int, request: GenerationRequest, plan: Plan
) -> list[Earlier | None]:
    """Return for each shot of `plan` a picture that answers the same request, or None; none twice.

    Any seed is the same, unless the person gave one.
    """
    wanted = [
        Wanted(
            reuse.digest(provider=plan.provider.id, model=plan.spec.id, asked=stored(shot)),
            None if request.seed is None else shot.request.seed,
        )
        for shot in plan.shots
    ]
    return reuse.find(session, organisation_id=organisation_id, wanted=wanted)


def answers(
    session: Session, *, organisation_id: int, request: GenerationRequest, plan: Plan
) -> list[Earlier | None]:
    """Return for each shot of `plan` the earlier picture that `request` lets it be answered with, or None."""
    if request.reuse == reuse.NEVER:
        return [None] * len(plan.shots)
    return find_earlier(session, organisation_id=organisation_id, request=request, plan=plan)


@writes
def create_job(
    uow: UnitOfWork,
    *,
    organisation_id: int,
    user_id: int,
    request: GenerationRequest,
    plan: Plan,
    idempotency_key: str | None = None,
    most_new: int | None = None,
) -> Job:
    """Write the job with everything that belongs to it, in one transaction; nothing is queued yet.

    With a key that was used before, the earlier job is returned; raises Conflict if that asked for something else.
    With `reuse` of `exact` it begins with the pictures that there are, and only the others are paid for and made;
    raises Conflict if those are more than `most_new`.
    """
    asked = request.model_dump(mode="json", exclude_none=True)
    who = {"organisation_id": organisation_id, "user_id": user_id}
    earlier = idempotency.earlier_job(uow, **who, key=idempotency_key, asked=asked)
    if earlier is not None:
        return earlier
    found = answers(uow, organisation_id=organisation_id, request=request, plan=plan)
    if most_new is not None and found.count(None) > most_new:
        raise Conflict(N_("These pictures are not all there any more. Look at the offer again."))
    job = Job(**who, **_facts_of(request, plan, found), request=asked)
    uow.add(job)
    uow.flush()
    shots = [
        _shot(job, slot, planned) if earlier is None else _reused(job, slot, planned, earlier)
        for slot, (planned, earlier) in enumerate(zip(plan.shots, found, strict=True))
    ]
    uow.add_all(shots)
    uow.flush()
    events.record(uow, job=job, type="job.queued")
    idempotency.remember(uow, job=job, key=idempotency_key)
    _begin(uow, job, shots)
    return job


def _facts_of(request: GenerationRequest, plan: Plan, found: Sequence[Earlier | None]) -> dict[str, Any]:
    """Return what a new job says of itself."""
    return {
        "kind": KIND,
        "status": JobStatus.QUEUED,
        "prompt": request.prompt,
        "provider": plan.provider.id,
        "model": plan.spec.id,
        "model_label": plan.spec.label,
        "n_waiting": found.count(None),
        "n_succeeded": len(found) - found.count(None),
        "estimated_micro": plan.estimate_beside(found),
    }


def _begin(uow: UnitOfWork, job: Job, shots: Sequence[Shot]) -> None:
    """Set aside what the new shots may cost, and leave word of them; without any the job is done already."""
    new = [shot for shot in shots if not shot.reused]
    for shot in shots:
        if shot.reused:
            events.record(uow, job=job, shot=shot, type=f"shot.{shot.status}")
    if new:
        ledger.reserve(uow, job=job, shots=new)
        uow.append(Outbox, [{"task": WAKE, "name": f"{WAKE}-{job.public_id}"}])
        # The workers first: whoever watches hears of the job soon enough.
        uow.after_commit(stir)
        return
    job.status = derive(job.counts, begun=False)
    job.finished_at = db_now()
    events.record(uow, job=job, type=f"job.{job.status}")


def _shot(job: Job, slot: int, planned: PlannedShot) -> Shot:
    width, height = planned.size
    return Shot(
        organisation_id=job.organisation_id,
        job_id=job.id,
        slot=slot,
        provider=job.provider,
        model=job.model,
        width=width,
        height=height,
        estimated_micro=planned.estimate,
        request=stored(planned),
    )


def _reused(job: Job, slot: int, planned: PlannedShot, earlier: Earlier) -> Shot:
    """Return a shot that begins at its end: nothing is sent for it, and its estimate is what that saves."""
    shot = _shot(job, slot, planned)
    shot.status = ShotStatus.SUCCEEDED
    shot.reused, shot.reused_image_id = True, earlier.image_id
    shot.request = {**shot.request, "seed": earlier.seed}
    shot.actual_micro = 0
    shot.finished_at = db_now()
    return shot


def stored(planned: PlannedShot) -> dict[str, Any]:
    """Return what a shot remembers of its plan; `image_request` reads it."""
    return {
        "prompt": planned.request.prompt,
        "negative_prompt": planned.request.negative_prompt,
        "size": list(planned.request.size),
        "trim": list(planned.trim) if planned.trim else None,
        "ratio": planned.ratio,
        "quality": planned.request.quality,
        "seed": planned.request.seed,
        "background": planned.request.background,
        "output_format": planned.request.output_format,
    }


def image_request(shot: Shot, *, user_hash: str, deadline_seconds: float) -> ImageRequest:
    """Return what the provider is asked for `shot`, as it was planned."""
    asked = shot.request
    return ImageRequest(
        model=shot.model,
        prompt=asked["prompt"],
        negative_prompt=asked["negative_prompt"],
        width=asked["size"][0],
        height=asked["size"][1],
        quality=asked["quality"],
        seed=asked["seed"],
        background=asked["background"],
        output_format=asked["output_format"],
        user_hash=user_hash,
        deadline_seconds=deadline_seconds,
    )
