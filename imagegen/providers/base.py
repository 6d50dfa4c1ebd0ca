"""The interface of an image provider: one typed request, one typed result, checks and promises in between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, final

import structlog
from pydantic import SecretStr

from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.specs import (
    AUTO,
    BACKGROUNDS,
    FORMATS_WITH_ALPHA,
    JPEG,
    MIME_TYPES,
    OPAQUE,
    PNG,
    TRANSPARENT,
    WEBP,
    Feature,
    ModelSpec,
    Operation,
    Size,
    SizeRule,
    cannot,
    size_text,
)

__all__ = [
    "AUTO",
    "BACKGROUNDS",
    "JPEG",
    "MIME_TYPES",
    "OPAQUE",
    "PNG",
    "TRANSPARENT",
    "WEBP",
    "Availability",
    "Feature",
    "ImagePayload",
    "ImageRequest",
    "ImageResult",
    "ModelSpec",
    "Operation",
    "Provider",
    "ProviderConfig",
    "Size",
    "SizeRule",
    "Usage",
    "cannot",
    "check",
    "size_text",
]

DEFAULT_DEADLINE_SECONDS = 300.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One call to a provider: `n` pictures of one prompt, one size, one quality.

    `seed` is the first picture's. `user_hash` stands for the person without telling who it is. `hints` is what
    only some providers use (colours, calm areas). `deadline_seconds` is for the whole call, to the last byte.
    """

    model: str
    prompt: str
    width: int
    height: int
    operation: Operation = Operation.GENERATE
    negative_prompt: str | None = None
    quality: str | None = None
    seed: int | None = None
    background: str = AUTO
    output_format: str = PNG
    n: int = 1
    user_hash: str | None = None
    hints: Mapping[str, str] = field(default_factory=dict)
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS

    @property
    def size(self) -> Size:
        """Return width and height in pixels."""
        return (self.width, self.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePayload:
    """One picture as the provider delivered it: not yet decoded, so not yet to be trusted."""

    data: bytes = field(repr=False)
    mime_type: str
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the provider says that it counted for the whole call; the bill follows from it.

    `output_text_tokens` are those of `output_tokens` that were words and not pictures; `images` is for
    providers that count pictures and no tokens.
    """

    input_text_tokens: int = 0
    input_image_tokens: int = 0
    output_tokens: int = 0
    output_text_tokens: int = 0
    images: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, as they are stored with an attempt."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """The pictures of one call, in the order asked for, and what the provider said about them."""

    images: tuple[ImagePayload, ...]
    usage: Usage | None = None
    request_id: str | None = None
    model_returned: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """Where a provider is and with which key; a key's value never shows in a repr or a log.

    `max_connections` bounds the pool that the threads of one process share.
    """

    key: SecretStr | None = None
    base_url: str | None = None
    max_connections: int = 64


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a provider can be used now; if not, `reason` is a sentence that says what is missing."""

    ok: bool
    reason: str = ""


class Provider(ABC):
    """A maker of pictures. One object serves many threads at once; it keeps nothing of a request.

    `key_setting` and `base_url_setting` name attributes of Settings. `built_in` marks a provider that
    draws in this process with no network and no key; it is never a silent stand-in for another.
    """

    id: ClassVar[str]
    label: ClassVar[str]
    built_in: ClassVar[bool] = False
    key_setting: ClassVar[str | None] = None
    base_url_setting: ClassVar[str | None] = None

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config

    @classmethod
    def config_from(cls, settings: object) -> ProviderConfig:
        """Return this provider's part of `settings` (an imagegen.settings.Settings)."""
        return ProviderConfig(
            key=_secret(getattr(settings, cls.key_setting) if cls.key_setting else None),
            base_url=(getattr(settings, cls.base_url_setting) if cls.base_url_setting else None) or None,
        )

    @abstractmethod
    def available(self) -> Availability:
        """Tell whether the provider is configured. Never asks the network."""

    @abstractmethod
    def models(self) -> tuple[ModelSpec, ...]:
        """Return the models on offer. Never asks the network."""

    @abstractmethod
    def _generate(self, spec: ModelSpec, request: ImageRequest) -> ImageResult:
        """Draw a request that `check` has passed; raise ProviderError."""

    def remembers(self, model_id: str) -> bool:
        """Tell whether `model_id` was this provider's once, so that `explain_unknown_model` knows more."""
        return False

    def explain_unknown_model(self, model_id: str) -> str:
        """Return a sentence about a model that is not on offer; name its successor where there is one."""
        return N_("{provider} has no model “{model}”.").format(provider=self.label, model=model_id)

    def prepare(self) -> None:  # noqa: B027 - most providers need nothing
        """Load what a call needs, without the network; a worker calls it once, before it forks."""

    def close(self) -> None:  # noqa: B027 - most providers hold nothing
        """Let go of connections. The provider can be used again afterwards."""

    @final
    def spec(self, model_id: str) -> ModelSpec:
        """Return the model `model_id`; raise ProviderError with a sentence if there is none."""
        for spec in self.models():
            if spec.id == model_id:
                return spec
        raise cannot(self.explain_unknown_model(model_id), "model")

    @final
    def generate(self, request: ImageRequest) -> ImageResult:
        """Draw `request` and return exactly `request.n` pictures.

        Blocks until done or until `request.deadline_seconds` have passed. Raises ProviderError and nothing
        else; what the provider or the model cannot do is refused before anything is sent.
        """
        availability = self.available()
        if not availability.ok:
            raise ProviderError(availability.reason, kind=ErrorKind.AUTH, outcome=Outcome.NOT_SENT)
        spec = self.spec(request.model)
        check(spec, request)
        try:
            result = self._generate(spec, request)
        except ProviderError:
            raise
        except Exception as error:
            raise self._crashed(error) from error
        if len(result.images) != request.n:
            raise ProviderError(
                N_("{provider} sent another number of pictures ({got}) than it was asked for ({wanted}).").format(
                    provider=self.label, wanted=request.n, got=len(result.images)
                ),
                kind=ErrorKind.BAD_ANSWER,
                outcome=Outcome.ACCEPTED,
                request_id=result.request_id,
                usage=result.usage,
            )
        return result

    def _crashed(self, error: Exception) -> ProviderError:
        """Return the error of a mistake in our own code: what was sent by then, nobody can tell."""
        log.error("provider.crashed", provider=self.id, error=type(error).__name__)
        return ProviderError(
            N_("{provider} could not be used because of a mistake in the studio.").format(provider=self.label),
            kind=ErrorKind.INTERNAL,
            outcome=Outcome.REJECTED if self.built_in else Outcome.UNKNOWN,
        )


def check(spec: ModelSpec, request: ImageRequest) -> None:
    """Raise ProviderError (bad_request, not sent) if `spec` cannot do `request`; the sentence says why."""
    spec.quality_named(request.quality)
    for broken, sentence, about in _CHECKS:
        if broken(spec, request):
            raise cannot(
                sentence.format(
                    model=spec.label,
                    operation=request.operation,
                    limit=spec.max_prompt_chars,
                    length=len(request.prompt),
                    most=spec.max_images_per_call,
                    size=size_text(request.size),
                    format=request.output_format,
                    formats=", ".join(spec.output_formats),
                    background=request.background,
                ),
                about,
            )


_CHECKS: tuple[tuple[Callable[[ModelSpec, ImageRequest], bool], str, str], ...] = (
    (lambda s, r: r.operation not in s.operations, N_("{model} cannot do “{operation}”."), "operation"),
    (lambda s, r: not r.prompt.strip(), N_("Write what the picture should show."), "prompt"),
    (
        lambda s, r: len(r.prompt) > s.max_prompt_chars,
        N_("The prompt has {length} characters; {model} reads at most {limit}."),
        "prompt",
    ),
    (
        lambda s, r: not 1 <= r.n <= s.max_images_per_call,
        N_("{model} draws between 1 and {most} pictures in one call."),
        "n",
    ),
    (lambda s, r: not s.draws(r.size), N_("{model} does not draw {size} pixels."), "size"),
    (
        lambda s, r: r.output_format not in s.output_formats,
        N_("{model} does not deliver {format}. Choose one of: {formats}."),
        "output_format",
    ),
    (
        lambda s, r: r.background not in BACKGROUNDS,
        N_("No background is called “{background}”."),
        "background",
    ),
    (
        lambda s, r: r.background == TRANSPARENT and Feature.TRANSPARENT not in s.supports,
        N_("{model} cannot draw on a transparent background."),
        "background",
    ),
    (
        lambda s, r: r.background == TRANSPARENT and r.output_format not in FORMATS_WITH_ALPHA,
        N_("A transparent background needs PNG or WebP."),
        "output_format",
    ),
    (
        lambda s, r: r.seed is not None and Feature.SEED not in s.supports,
        N_("{model} takes no seed."),
        "seed",
    ),
    (
        lambda s, r: bool(r.negative_prompt) and Feature.NEGATIVE_PROMPT not in s.supports,
        N_("{model} takes no negative prompt."),
        "negative_prompt",
    ),
)


def _secret(value: SecretStr | str | None) -> SecretStr | None:
    if value is None:
        return None
    key = (value.get_secret_value() if isinstance(value, SecretStr) else value).strip()
    return SecretStr(key) if key else None
