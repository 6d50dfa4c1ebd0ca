"""What a provider counted, of which errors tell too; so it knows nothing of calls."""

from __future__ import annotations

from dataclasses import dataclass


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
