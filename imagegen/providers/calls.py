"""What goes into a call to a provider and what comes out of it, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr, TypeAdapter

from imagegen.providers.specs import AUTO, PNG, Operation, Size
from imagegen.providers.usage import Usage as Usage

DEFAULT_DEADLINE_SECONDS = 300.0


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
class ImageResult:
    """The pictures of one call, in the order asked for, and what the provider said about them."""

    images: tuple[ImagePayload, ...]
    usage: Usage | None = None
    request_id: str | None = None
    model_returned: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A call that the provider has taken on, and how its pictures can be had without asking for them again.

    `receipt` is the provider's own affair: a job's id, or addresses that let in whoever has them. So it is
    kept sealed, and is in no repr, page, event or log. The rest is what an `ImageResult` will say.
    """

    model: str
    n: int
    receipt: str = field(repr=False)
    usage: Usage | None = None
    request_id: str | None = None
    model_returned: str | None = None

    def delivered(self, images: tuple[ImagePayload, ...]) -> ImageResult:
        """Return the call's result, now that `images` are there."""
        return ImageResult(
            images=images, usage=self.usage, request_id=self.request_id, model_returned=self.model_returned
        )

    def dumps(self) -> SecretStr:
        """Return all of it as text, to be sealed and kept for `Provider.resume`."""
        return SecretStr(_ACCEPTED.dump_json(self).decode())

    @staticmethod
    def loads(text: SecretStr) -> Accepted:
        """Return what `dumps` wrote; raise ValueError if it is something else."""
        return _ACCEPTED.validate_json(text.get_secret_value())


_ACCEPTED = TypeAdapter(Accepted)
OnAccepted = Callable[[Accepted], None]
"""Is told, once, before the first byte of a picture is fetched: the place to write an `Accepted` down."""


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
