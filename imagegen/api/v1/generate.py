"""Making pictures: ask for them, see how it goes, what sizes there are, and what it would cost."""

from __future__ import annotations

from flask import Blueprint, Response, g, request, url_for

from imagegen.api.v1 import rows
from imagegen.api.v1.openapi import BODY, Answers, Tags, operation
from imagegen.api.v1.requests import EstimateBody, GenerateBody, GenerateHeaders, SizesQuery
from imagegen.api.v1.schemas import Estimate, Job, SizeOption, Sizes
from imagegen.engine import dispatch
from imagegen.extensions import db
from imagegen.providers.sizes import RATIOS, Ratio, crop_to, size_for_ratio
from imagegen.providers.specs import ModelSpec
from imagegen.services import generation, jobs, pace, provider_keys
from imagegen.web import access
from imagegen.web.auth import identity
from imagegen.web.language import said

blueprint = Blueprint("api-generate", __name__)

PACE = {
    "X-RateLimit-Limit": "Jobs that you may ask for in a while; missing if any number.",
    "X-RateLimit-Remaining": "How many more now.",
    "X-RateLimit-Reset": "Seconds until there is one more.",
}

_ANY_PROMPT = "x"
"""Stands in for a prompt that is not written yet: only its length could change the price."""


@blueprint.post("/images/generate")
@access.creating
@operation(
    Tags.GENERATE,
    "generateImages",
    Answers(
        Job,
        "The job, accepted: its pictures follow.",
        status=202,
        headers={"Location": "Path of the job."} | PACE,
        problems=(*BODY, 402, 409, 429, 503),
    ),
)
def generate(json: GenerateBody, headers: GenerateHeaders) -> tuple[Job, int, dict[str, str]]:
    """Ask for pictures.

    Answers at once with a job. Follow it with its events, or ask for it again until its status is one of succeeded,
    partial, failed and canceled.
    """
    who = identity()
    accepted = dispatch.submit(
        organisation_id=who.organisation.id,
        user_id=who.user.id,
        request=json,
        idempotency_key=headers.idempotency_key,
    )
    job = rows.job(jobs.get_job(accepted.public_id))
    return job, 202, {"Location": url_for("api-jobs.read", job_id=job.id)}


@blueprint.after_request
def tell_the_pace(response: Response) -> Response:
    """Tell whoever has asked for pictures how many more jobs they may ask for, also if this one was refused."""
    who = g.get("identity")
    if request.endpoint != "api-generate.generate" or who is None:
        return response
    found = pace.of(user_id=who.user_id)
    if found is not None:
        values = (found.limit, found.remaining, found.reset)
        response.headers.update(dict(zip(PACE, map(str, values), strict=True)))
    return response


@blueprint.get("/images/generate/status/<job_id>")
@access.viewing
@operation(Tags.GENERATE, "readGenerationStatus", Answers(Job, "The job.", problems=(404,)))
def status(job_id: str) -> Job:
    """See how a job goes.

    The same as reading the job.
    """
    return rows.job(jobs.get_job(job_id))


@blueprint.get("/images/generate/sizes")
@access.viewing
@operation(Tags.GENERATE, "listSizes", Answers(Sizes, "The model's sizes.", problems=(422,)))
def sizes(query: SizesQuery) -> Sizes:
    """List what a model draws, and what comes of each aspect ratio."""
    provider, model = provider_keys.offered().find(query.provider, query.model)
    return Sizes(
        provider=provider.id,
        model=model.id,
        default=rows.size(model.default_size),
        sizes=rows.sizes(model),
        items=[_option(model, ratio) for ratio in RATIOS.values()],
    )


def _option(model: ModelSpec, ratio: Ratio) -> SizeOption:
    choice = size_for_ratio(model, ratio.id)
    return SizeOption(
        aspect_ratio=ratio.id,
        name=said(ratio.name),
        use=said(ratio.hint),
        drawn=rows.size(choice.size),
        delivered=rows.size(choice.delivered),
        trimmed=rows.size(choice.offered) if choice.offered else None,
        exact=choice.delivered == crop_to(choice.delivered, ratio.value),
    )


@blueprint.post("/images/generate/estimate-cost")
@access.viewing
@operation(Tags.GENERATE, "estimateCost", Answers(Estimate, "What it would cost at most.", problems=BODY))
def estimate_cost(json: EstimateBody) -> Estimate:
    """Say what a request would cost.

    Nothing is made. The prompt may be missing: its length counts little. What `reuse` finds already costs nothing.
    """
    asked = json if json.prompt else json.model_copy(update={"prompt": _ANY_PROMPT})
    plan = generation.plan(asked)
    found = generation.answers(db.session(), organisation_id=identity().organisation.id, request=asked, plan=plan)
    total = plan.estimate_beside(found)
    each = [shot.estimate for shot, earlier in zip(plan.shots, found, strict=True) if earlier is None]
    return Estimate(
        estimated=rows.money(total),
        per_shot=rows.money(
            None if total is None else max((price for price in each if price is not None), default=0)
        ),
        currency=rows.CURRENCY,
    )
