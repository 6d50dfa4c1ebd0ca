"""What the API answers. These types write the answers and make the OpenAPI document: there is no other list."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from imagegen.core.errors import ErrorKind
from imagegen.models.states import JobStatus, ShotStatus

MOST_COUNTED = 10_001
"""A list's `total` stops here: counting on would cost more than the number is worth."""

_AN_ID = "0198f2a4-5b6c-7d8e-9f01-23456789abcd"

Id = Annotated[str, Field(description="Id.", examples=[_AN_ID])]
Money = Annotated[
    str, Field(description="US dollars, with six places.", pattern=r"^-?\d+\.\d{6}$", examples=["0.041000"])
]
Pixels = Annotated[int, Field(description="Pixels.", examples=[1024])]
Address = Annotated[str, Field(description="Path on this server.", examples=[f"/api/v1/images/{_AN_ID}/file"])]
SizeText = Annotated[str, Field(description="Width x height in pixels.", examples=["1024x1280"])]
Moment = Annotated[datetime, Field(description="Moment, in UTC.", examples=["2026-11-03T09:41:07.512Z"])]


class Written(BaseModel):
    """What is written into an answer."""

    model_config = ConfigDict(frozen=True)


class FieldProblem(Written):
    """What is wrong with one field."""

    field: str | None = Field(description="The field's name; null if it is about all of them.", examples=["size"])
    message: str = Field(description="What is wrong, as a sentence.")


class Problem(Written):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="Always about:blank: the status says what kind of error it is.")
    title: str = Field(description="The kind of error, in words.")
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="What happened, as a sentence for people.")
    kind: ErrorKind = Field(ErrorKind.BAD_REQUEST, description="What kind of error it is, for programs.")
    advice: str = Field("", description="What to do about it.")
    errors: list[FieldProblem] = Field([], description="What is wrong, field by field.")
    reference: str = Field("", description="What to quote when asking for help.")


class Image(Written):
    """A picture of the library."""

    id: Id
    filename: str = Field(description="Name for downloads.", examples=["marbled-silver-ink-1.png"])
    original_filename: str | None = Field(description="The name under which it was uploaded.")
    title: str = Field(description="Title; empty if it has none.")
    alt_text: str = Field(description="What it shows, for those who cannot see it; empty if nobody wrote it.")
    tags: list[str] = Field(description="Tags.")
    kind: Literal["uploaded", "ai_generated", "edited"] = Field(description="Where it comes from.")
    mime_type: str = Field(description="Content type of the file.", examples=["image/png"])
    width: Pixels
    height: Pixels
    file_size: int = Field(description="Bytes of the file.", examples=[1348817])
    sha256: str = Field(description="SHA-256 of the file, in hex.")
    storage_provider: str = Field(description="Where the file is kept.", examples=["local"])
    url: Address
    thumbnail_urls: dict[str, str] = Field(
        description="Path of each preview (WebP), by its width in pixels.",
        examples=[{"256": f"/api/v1/images/{_AN_ID}/thumbnail?width=256"}],
    )
    prompt: str | None = Field(description="The words it was made from.")
    provider: str | None = Field(description="Id of the provider that made it.")
    model: str | None = Field(description="Id of the model that made it.")
    seed: int | None = Field(description="Seed it was made with, where the model has one.")
    job_id: str | None = Field(description="The job that made it, if that still exists.")
    parent_id: str | None = Field(description="The picture it was made from, if any.")
    usage_count: int = Field(description="How often it is used in posts and carousels.")
    last_used_at: datetime | None = Field(description="When it was used last.")
    favourite: bool = Field(description="Whether it has a star.")
    created_at: Moment
    updated_at: Moment
    deleted_at: datetime | None = Field(description="When it was put into the trash; null if it is not there.")


class ImageList(Written):
    """A page of pictures."""

    items: list[Image] = Field(description="The pictures, in order.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null at the end.")
    total: int = Field(0, description=f"How many there are in all, up to {MOST_COUNTED:,}; only with count=1.")


class ShotError(Written):
    """Why something was not made."""

    kind: ErrorKind = Field(description="What kind of error it is, for programs.")
    message: str = Field(description="What happened, as a sentence for people.")


class Shot(Written):
    """One picture that a job has to deliver."""

    id: Id
    index: int = Field(description="Place in the job, from 0.")
    status: ShotStatus = Field(description="`unknown`: it was sent, no answer came, and it may have been billed.")
    provider: str = Field(description="Id of the provider that serves it.")
    model: str = Field(description="Id of the model that serves it.")
    image_id: str | None = Field(description="The picture, once it is there.")
    reused: bool = Field(
        description="Whether it was answered with an earlier picture of the same request, at no cost."
    )
    error: ShotError | None = Field(description="Why there is none.")


class JobImage(Written):
    """A picture that a job has delivered."""

    id: Id
    url: Address
    thumbnail_url: Address
    width: Pixels
    height: Pixels
    mime_type: str = Field(description="Content type of the file.", examples=["image/png"])


class Progress(Written):
    """How far a job is."""

    done: int = Field(description="Shots that need no more work, whatever became of them.", examples=[1])
    total: int = Field(description="Shots in all.", examples=[4])
    percent: int = Field(description="Their share, rounded down.", examples=[25], ge=0, le=100)


class JobCost(Written):
    """What a job costs."""

    estimated: Money | None = Field(description="At most, before it began; null if a price is not known.")
    actual: Money | None = Field(description="What it has cost so far; null if that is not known.")
    currency: Literal["USD"] = Field(description="Always US dollars.")


class Job(Written):
    """A request for work, and how it goes."""

    id: Id
    kind: str = Field(description="What kind of work it is.", examples=["generate"])
    status: JobStatus = Field(description="`partial`: some shots were delivered, and nothing works on the others.")
    paused: bool = Field(description="Whether a person has paused it: nothing more of it begins until resumed.")
    progress: Progress = Field(description="How far it is.")
    shots: list[Shot] = Field(description="The newest try of each picture to deliver, in order.")
    images: list[JobImage] = Field(description="What has been delivered, in order.")
    cost: JobCost = Field(description="What it costs.")
    error: ShotError | None = Field(
        description="The first shot's error, once the job has ended without all pictures."
    )
    created_at: Moment
    started_at: datetime | None = Field(description="When the first shot began.")
    finished_at: datetime | None = Field(description="When the last shot ended.")


class JobList(Written):
    """A page of jobs."""

    items: list[Job] = Field(description="The jobs, newest first.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null at the end.")
    total: int = Field(0, description=f"How many there are in all, up to {MOST_COUNTED:,}; only with count=1.")


class JobEvent(Written):
    """One event of a job."""

    seq: int = Field(description="Its number in the job, from 1 without gaps; also the event's `id`.", examples=[3])
    type: str = Field(description="What it is about and what became of it.", examples=["shot.succeeded"])
    job_id: Id
    shot_id: str | None = Field(description="The shot that it is about; null if it is about the job.")
    status: str = Field(description="The new state of the shot or the job.", examples=["succeeded"])
    created_at: Moment


class Estimate(Written):
    """What a request would cost at most."""

    estimated: Money | None = Field(description="All shots together; null if a price is not known.")
    per_shot: Money | None = Field(description="The dearest single shot; null if a price is not known.")
    currency: Literal["USD"] = Field(description="Always US dollars.")


class SizeOption(Written):
    """What a model makes of one shape."""

    aspect_ratio: str = Field(description="The shape, as width:height.", examples=["4:5"])
    name: str = Field(description="What people call it.", examples=["Portrait"])
    use: str = Field(description="Where it is used.")
    drawn: SizeText = Field(description="What the model is asked for.", examples=["1024x1280"])
    delivered: SizeText = Field(
        description="What is delivered: trimmed to the exact shape where that costs at most 2 %."
    )
    trimmed: str | None = Field(
        description="What is delivered with `trim`, where the exact shape costs more than that."
    )
    exact: bool = Field(description="Whether what is delivered has the shape exactly.")


class Sizes(Written):
    """The sizes of one model."""

    provider: str = Field(description="The provider's id.", examples=["local"])
    model: str = Field(description="The model's id.")
    default: SizeText = Field(description="What is drawn if nothing is asked for.")
    sizes: list[str] = Field(
        description="Every exact size, if the model has a list; else the sizes of the shapes, and any other that "
        "`limits.size_rule` of GET /models allows.",
        examples=[["1024x1024", "1024x1536"]],
    )
    items: list[SizeOption] = Field(description="What comes of each aspect ratio.")


class SizeBounds(Written):
    """The sizes of a model that draws freely."""

    multiple: int = Field(description="Both edges are a multiple of this, in pixels.", examples=[16])
    min_edge: Pixels
    max_edge: Pixels
    min_pixels: int = Field(description="Width times height at least.")
    max_pixels: int = Field(description="Width times height at most.")
    min_ratio: float = Field(description="Width divided by height at least.")
    max_ratio: float = Field(description="Width divided by height at most.")


class Limits(Written):
    """What a model can be asked for."""

    prompt_characters: int = Field(description="Longest prompt.", examples=[32000])
    variants: int = Field(description="Most variants of each shape in one job.", examples=[10])
    qualities: list[str] = Field(description="Its qualities; empty if it has just one.", examples=[["low", "high"]])
    default_quality: str | None = Field(description="The quality if none is asked for.")
    output_formats: list[str] = Field(description="File formats, its default first.", examples=[["png", "webp"]])
    features: list[str] = Field(description="What it understands beside prompt and size.", examples=[["seed"]])
    size_rule: SizeBounds | None = Field(description="Its sizes, if it draws freely; null if it has a list.")
    shutdown_date: str | None = Field(description="The day on which its provider ends it, if announced.")


class Prices(Written):
    """What a model costs, from a dated table."""

    known: bool = Field(description="False: nobody knows, which is not to say that it is free.")
    free: bool = Field(description="True: it costs nothing.")
    currency: Literal["USD"] = Field(description="Always US dollars.")
    checked: str | None = Field(description="The day on which the prices were checked.", examples=["2026-11-01"])
    source: str | None = Field(description="Where the prices are published.")
    derived: bool = Field(description="Whether the prices of pictures were computed from those of tokens.")
    per_image: dict[str, dict[str, str]] = Field(
        description="US dollars a picture, by size, then by quality (empty text: it has just one).",
        examples=[{"1024x1024": {"low": "0.006000"}}],
    )
    tokens_per_million: dict[str, str] = Field(description="US dollars for a million tokens, by kind of token.")


class Model(Written):
    """A model, and what it can do."""

    id: str = Field(description="Its id, as `model` of a request.")
    provider: str = Field(description="Id of its provider, as `provider` of a request.", examples=["local"])
    label: str = Field(description="What people call it.")
    available: bool = Field(description="Whether its provider is set up here.")
    operations: list[str] = Field(description="What it can be asked to do.", examples=[["generate"]])
    sizes: list[str] = Field(
        description="Exact sizes: all of them, or the best one of each shape if it draws freely.",
        examples=[["1024x1024", "1024x1536"]],
    )
    limits: Limits = Field(description="What it can be asked for.")
    prices: Prices = Field(description="What it costs.")


class ModelList(Written):
    """All models of all providers."""

    items: list[Model] = Field(description="The models, in the order in which they are offered.")
    next_cursor: None = Field(description="Always null: the list has no pages.")


class ProviderFailure(Written):
    """What went wrong with a provider last."""

    kind: str = Field(description="The kind of error.", examples=["unavailable"])
    message: str = Field(description="A sentence for people.")
    at: Moment


class ProviderLimits(Written):
    """The limits that people have set to the calls under one key."""

    concurrency: int | None = Field(description="Calls under way at once; null: not limited by people.", examples=[8])
    per_minute: int | None = Field(description="Calls begun within a minute; null: any number.", examples=[60])


class Provider(Written):
    """A provider, and how it is doing with the key that the organisation uses."""

    id: str = Field(description="Its id, as `provider` of a request.", examples=["local"])
    label: str = Field(description="What people call it.")
    available: bool = Field(description="Whether the organisation can use it.")
    reason: str | None = Field(description="If not, what is missing, in a sentence.")
    own_key: bool = Field(description="Whether the organisation has a key of its own to it.")
    limits: ProviderLimits = Field(description="What people let be called with the key that the organisation uses.")
    status: Literal["quiet", "well", "slow", "failing", "paused", "broken"] = Field(
        description="`quiet`: no calls in 24 hours. `paused`: it asked for a pause. `broken`: it does not answer."
    )
    held_until: Moment | None = Field(description="When the next call may be made, if it is paused or broken.")
    broken_since: Moment | None = Field(description="Since when it does not answer, if it is broken.")
    calls: int = Field(description="Calls in the last 24 hours that say something of it, at most 1,000.")
    success_rate: float | None = Field(description="Share of them that gave a picture, 0 to 1; null without any.")
    p50_seconds: float | None = Field(description="Half of the pictures took at most this long.")
    p95_seconds: float | None = Field(description="95 % of the pictures took at most this long.")
    last_error: ProviderFailure | None = Field(description="The organisation's last error there in 24 hours.")


class ProviderList(Written):
    """All providers."""

    items: list[Provider] = Field(description="The providers, in the order in which they are offered.")
    next_cursor: None = Field(description="Always null: the list has no pages.")


class UsageLine(Written):
    """What was used."""

    cost: Money
    images: int = Field(description="Pictures delivered.", examples=[12])
    success_rate: float | None = Field(description="Share of tries that gave a picture, 0 to 1; null without any.")
    mean_seconds: float | None = Field(description="How long a picture took on average; null without any.")


class UsageOfPerson(UsageLine):
    """What one person used."""

    user_id: str | None = Field(description="The person's id; null for somebody who is gone.")
    name: str | None = Field(description="What they are called.")


class UsageOfModel(UsageLine):
    """What one model was used for."""

    provider: str = Field(description="Id of its provider.", examples=["local"])
    model: str = Field(description="Its id.")


class UsageOfOperation(UsageLine):
    """What one kind of work used."""

    operation: str = Field(description="The kind of work.", examples=["generate"])


class UsageOfDay(Written):
    """What one day cost."""

    day: str = Field(description="The day, in the organisation's time zone.", examples=["2026-11-20"])
    cost: Money


class UsageSaved(Written):
    """What was not made anew, because the same request had been answered before."""

    images: int = Field(description="Pictures that were used again.", examples=[4])
    cost: Money


class Usage(Written):
    """What was used in a span of days. Costs stand on the day of billing, pictures on the day of asking."""

    since: str = Field(description="First day.", examples=["2026-11-01"])
    until: str = Field(description="Last day.", examples=["2026-11-30"])
    time_zone: str = Field(description="Whose days these are.", examples=["Europe/Berlin"])
    whose: Literal["all", "mine"] = Field(description="Everybody's usage, or your own.")
    currency: Literal["USD"] = Field(description="Always US dollars.")
    total: UsageLine = Field(description="All together.")
    saved: UsageSaved = Field(description="What earlier pictures saved: their estimated price, where it is known.")
    by_day: list[UsageOfDay] = Field(description="Every day, in order.")
    by_person: list[UsageOfPerson] = Field(description="By person, the dearest first.")
    by_model: list[UsageOfModel] = Field(description="By model, the dearest first.")
    by_operation: list[UsageOfOperation] = Field(description="By kind of work, the dearest first.")
