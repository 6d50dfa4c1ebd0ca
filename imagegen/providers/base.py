"""The interface of an image provider: one typed request, one typed result, checks and promises in between."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, TypeVar, final

import structlog
from pydantic import SecretStr

from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_
from imagegen.providers.calls import (
    DEFAULT_DEADLINE_SECONDS,
    Accepted,
    Availability,
    ImagePayload,
    ImageRequest,
    ImageResult,
    OnAccepted,
    ProviderConfig,
    Usage,
)
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.keyed import ByKey, CallsUnderWay
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
    "Accepted",
    "Availability",
    "Feature",
    "ImagePayload",
    "ImageRequest",
    "ImageResult",
    "ModelSpec",
    "OnAccepted",
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

TEST_SECONDS = 10.0
SENDABLE = re.compile(r"[!-~]+")
"""What a key can be made of and still stand in a header."""

R = TypeVar("R")

log = structlog.get_logger(__name__)


class Provider(ABC):
    """A maker of pictures. One object serves many threads at once; it keeps nothing of a request.

    `key_setting` and `base_url_setting` name attributes of Settings. `built_in` marks a provider that
    draws in this process with no network and no key; it is never a silent stand-in for another.

    `takes_key`: an organisation may bring a key of its own; it is only ever sent to the installation's base URL.
    `key_page` is where keys are made. `test_note` says what `test` asks and what that costs; without one there is
    nothing to test.
    """

    id: ClassVar[str]
    label: ClassVar[str]
    built_in: ClassVar[bool] = False
    key_setting: ClassVar[str | None] = None
    base_url_setting: ClassVar[str | None] = None
    takes_key: ClassVar[bool] = False
    key_page: ClassVar[str | None] = None
    test_note: ClassVar[str | None] = None

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self._calls = CallsUnderWay(self)
        self._by_key: ByKey[Provider] = ByKey(self._with_key)

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
    def _generate(self, spec: ModelSpec, request: ImageRequest) -> ImageResult | Accepted:
        """Draw a request that `check` has passed, sending it once; raise ProviderError.

        A provider that answers with a receipt instead of pictures returns that, and `_collect` gets them.
        """

    def _collect(self, accepted: Accepted, seconds: float) -> ImageResult:
        """Get the pictures of a call that `_generate` called accepted, within `seconds`; raise ProviderError.

        May be called again and by another process. Never asks for a new picture, so every error is ACCEPTED.
        """
        raise NotImplementedError(f"{self.id} gives no receipts")

    def remembers(self, model_id: str) -> bool:
        """Tell whether `model_id` was this provider's once, so that `explain_unknown_model` knows more."""
        return False

    def explain_unknown_model(self, model_id: str) -> str:
        """Return a sentence about a model that is not on offer; name its successor where there is one."""
        return N_("{provider} has no model “{model}”.").format(provider=self.label, model=model_id)

    def available_to_keys(self) -> Availability:
        """Tell whether somebody who brings a key of their own can use the provider. Never asks the network."""
        return Availability(True) if self.takes_key else self.available()

    def accepts(self, key: SecretStr) -> bool:
        """Tell whether `key` can be one at all: its characters can be sent. Never asks the network."""
        return bool(SENDABLE.fullmatch(key.get_secret_value()))

    @final
    def with_key(self, key: SecretStr) -> Provider:
        """Return this provider under another key: the same address, connections of its own.

        Kept for the keys that were lately used. Raises ValueError for a provider that takes no key.
        """
        if not self.takes_key:
            raise ValueError(f"{self.id} takes no key")
        return self._by_key.get(key)

    def _with_key(self, key: SecretStr) -> Provider:
        return type(self)(replace(self.config, key=key))

    @final
    def retire(self) -> None:
        """Close as soon as no call is under way."""
        self._calls.retire()

    @final
    def close_all(self) -> None:
        """Close the connections under every key; calls under way fail."""
        self._by_key.close()
        self.close()

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
    def generate(self, request: ImageRequest, on_accepted: OnAccepted | None = None) -> ImageResult:
        """Draw `request` and return exactly `request.n` pictures.

        Blocks until done or until `request.deadline_seconds` have passed. Raises ProviderError and nothing
        else; what the provider or the model cannot do is refused before anything is sent. `on_accepted` hears
        of a call that was taken on and whose pictures are still to be fetched, so that `resume` can do it
        should this process die.
        """
        self._check_available()
        spec = self.spec(request.model)
        check(spec, request)
        started = time.monotonic()
        answer = self._guarded(lambda: self._generate(spec, request), Outcome.UNKNOWN)
        if isinstance(answer, Accepted):
            self._announce(answer, on_accepted)
            return self._collected(answer, request.deadline_seconds - (time.monotonic() - started))
        self._check_count(len(answer.images), answer, request.n)
        return answer

    @final
    def resume(self, accepted: Accepted, *, deadline_seconds: float = DEFAULT_DEADLINE_SECONDS) -> ImageResult:
        """Return the pictures of a call that was accepted earlier; sends no new request for any.

        Raises ProviderError, always ACCEPTED: of kind UNAVAILABLE or TIMEOUT another `resume` may get them
        later, of any other kind they are lost.
        """
        return self._collected(accepted, deadline_seconds)

    @final
    def test(self, deadline_seconds: float = TEST_SECONDS) -> None:
        """Ask the provider the cheapest thing that shows whether the key opens it (`test_note` says what).

        Raises ProviderError and nothing else. Does nothing for a provider that has no `test_note`.
        """
        self._check_available()
        self._guarded(lambda: self._test(deadline_seconds), Outcome.REJECTED)

    def _test(self, deadline_seconds: float) -> None:  # noqa: B027 - most have nothing to ask
        """Make the call of `test`; raise ProviderError."""

    def _collected(self, accepted: Accepted, seconds: float) -> ImageResult:
        result = self._guarded(lambda: self._collect(accepted, seconds), Outcome.ACCEPTED, accepted)
        self._check_count(len(result.images), accepted, accepted.n)
        return result

    def _announce(self, accepted: Accepted, on_accepted: OnAccepted | None) -> None:
        """Tell of `accepted`. Whoever cannot write it down must not cost us the picture that is paid for."""
        if on_accepted is None:
            return
        try:
            on_accepted(accepted)
        except Exception as error:
            log.error("provider.accepted_not_kept", provider=self.id, error=type(error).__name__)

    def _check_available(self) -> None:
        availability = self.available()
        if not availability.ok:
            raise ProviderError(availability.reason, kind=ErrorKind.AUTH, outcome=Outcome.NOT_SENT)

    def _guarded(self, call: Callable[[], R], outcome: Outcome, accepted: Accepted | None = None) -> R:
        """Return what `call` returns; of a mistake in our own code it is `outcome` that can be said at most."""
        try:
            with self._calls.one():
                return call()
        except ProviderError:
            raise
        except Exception as error:
            log.error("provider.crashed", provider=self.id, error=type(error).__name__)
            raise ProviderError(
                N_("{provider} could not be used because of a mistake in the studio.").format(provider=self.label),
                kind=ErrorKind.INTERNAL,
                outcome=Outcome.REJECTED if self.built_in else outcome,
                request_id=accepted.request_id if accepted else None,
                usage=accepted.usage if accepted else None,
            ) from error

    def _check_count(self, got: int, answer: ImageResult | Accepted, wanted: int) -> None:
        """Raise ProviderError if `answer` has `got` pictures and not as many as were `wanted`."""
        if got == wanted:
            return
        raise ProviderError(
            N_("{provider} sent another number of pictures ({got}) than it was asked for ({wanted}).").format(
                provider=self.label, wanted=wanted, got=got
            ),
            kind=ErrorKind.BAD_ANSWER,
            outcome=Outcome.ACCEPTED,
            request_id=answer.request_id,
            usage=answer.usage,
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
