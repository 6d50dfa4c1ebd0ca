"""What a request will cost and what it did cost, from a dated table: exact decimals, rounded once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, model_validator

from imagegen.core.money import Micro, from_usd, to_usd
from imagegen.providers.base import ImageRequest, Usage
from imagegen.providers.sizes import parse_size
from imagegen.providers.specs import ModelSpec, Size

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is ten times as fast, and every process reads the prices before it is up."""
TABLE = Path(__file__).with_name("prices.yaml")
ANY_MODEL = "*"
ONE_QUALITY = ""
_MILLION = Decimal(1_000_000)


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _written_exactly(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("write amounts in quotes: a YAML number is not exact")
    return value


Usd = Annotated[Decimal, BeforeValidator(_written_exactly), Field(ge=0)]
SizeKey = Annotated[Size, BeforeValidator(_size)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenPrices(_Strict):
    """US dollars for a million tokens; `text_out` where written words cost other than drawn pictures."""

    text_in: Usd
    image_in: Usd
    image_out: Usd
    text_out: Usd | None = None

    def of(self, usage: Usage) -> Decimal:
        """Return the US dollars that `usage` costs, exactly."""
        drawn = usage.output_tokens - usage.output_text_tokens
        text_out = self.image_out if self.text_out is None else self.text_out
        return (
            usage.input_text_tokens * self.text_in
            + usage.input_image_tokens * self.image_in
            + drawn * self.image_out
            + usage.output_text_tokens * text_out
        ) / _MILLION


class ModelPrice(_Strict):
    """The price of one model: when it was checked, where it is from, and the figures."""

    checked: date
    source: str
    free: bool = False
    tokens_per_million: TokenPrices | None = None
    per_image: dict[SizeKey, dict[str, Usd]] = Field(default_factory=dict)
    output_tokens: dict[SizeKey, dict[str, PositiveInt]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.free and (self.tokens_per_million or self.per_image or self.output_tokens):
            raise ValueError("a free model has no prices")
        if self.output_tokens and self.tokens_per_million is None:
            raise ValueError("output tokens need a price per token")
        if not (self.free or self.per_image or self.output_tokens):
            raise ValueError("a model needs a price per picture or the tokens that a picture takes")
        return self

    def pictures(self) -> dict[Size, dict[str, Decimal]]:
        """Return the US dollars of one picture's output, by size and quality."""
        if self.tokens_per_million is None or not self.output_tokens:
            return self.per_image
        each = self.tokens_per_million.image_out / _MILLION
        return {
            size: {quality: tokens * each for quality, tokens in row.items()}
            for size, row in self.output_tokens.items()
        }

    def picture(self, size: Size, quality: str) -> Decimal | None:
        """Return the US dollars of one picture of `size` at `quality`; None if that quality has no price.

        A size that is not listed costs the dearest listed price per pixel, and at least the cheapest price.
        """
        listed = {at: row[quality] for at, row in self.pictures().items() if quality in row}
        if not listed:
            return None
        if size in listed:
            return listed[size]
        per_pixel = max(price / (at[0] * at[1]) for at, price in listed.items())
        return max(per_pixel * size[0] * size[1], min(listed.values()))


def written(path: Path) -> dict[str, Any]:
    """Return what a file of prices holds: by provider, then model, what has yet to be checked.

    Raises OSError, and ValueError for a file that has not this form.
    """
    try:
        read = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - the safe one
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from None
    providers = (read.get("providers") or {}) if isinstance(read, dict) else None
    if not isinstance(providers, dict) or not all(isinstance(models, dict) for models in providers.values()):
        raise ValueError(f"{path} is not a price table")
    return {**read, "providers": providers}


class _Table(_Strict):
    as_of: date
    prompt_bytes_per_token: PositiveInt
    providers: dict[str, dict[str, ModelPrice]]


class PriceTable:
    """Prices of providers' models as of a date. An unknown price is None, never zero."""

    def __init__(self, table: _Table) -> None:
        self._table = table

    @classmethod
    def load(cls, *overrides: Path) -> Self:
        """Return the studio's own table, with each model that an override file names taken from there.

        Raises ValueError for a file that is not a price table.
        """
        merged: dict[str, Any] = {}
        for path in (TABLE, *overrides):
            read = written(path)
            providers = merged.get("providers", {})
            for provider, models in read["providers"].items():
                providers = {**providers, provider: {**providers.get(provider, {}), **models}}
            merged = {**merged, **read, "providers": providers}
        return cls(_Table.model_validate(merged))

    @property
    def as_of(self) -> date:
        """Return the table's date, which is stored with every cost."""
        return self._table.as_of

    def estimate(self, spec: ModelSpec, request: ImageRequest) -> Micro | None:
        """Return what `request` will cost at most, in micro-USD for all its pictures; None if unknown.

        Raises ProviderError for a quality that the model does not have.
        """
        price = self._price(spec.provider, spec.id)
        if price is None:
            return None
        if price.free:
            return 0
        picture = price.picture(request.size, spec.quality_named(request.quality) or ONE_QUALITY)
        if picture is None:
            return None
        cost = picture * request.n
        if price.tokens_per_million is not None:
            words = Usage(input_text_tokens=self._prompt_tokens(request.prompt))
            cost += price.tokens_per_million.of(words)
        return from_usd(cost)

    def actual(self, provider: str, model: str, usage: Usage | None) -> Micro | None:
        """Return what `usage` cost, in micro-USD; None if the price or the usage is unknown."""
        price = self._price(provider, model)
        if price is None:
            return None
        if price.free:
            return 0
        if usage is None or price.tokens_per_million is None:
            return None
        return from_usd(price.tokens_per_million.of(usage))

    def describe(self, spec: ModelSpec) -> dict[str, Any]:
        """Return the model's prices for pages and API: JSON values, money as decimal strings in USD.

        `known` is false for a model without a price. `per_image` is by size, then quality; `derived` says
        that it was computed from tokens and is no published figure.
        """
        price = self._price(spec.provider, spec.id)
        if price is None:
            return {"known": False, "currency": "USD"}
        tokens = price.tokens_per_million
        return {
            "known": True,
            "free": price.free,
            "currency": "USD",
            "checked": price.checked.isoformat(),
            "source": price.source,
            "derived": bool(price.output_tokens),
            "per_image": {
                "{}x{}".format(*size): {quality: to_usd(from_usd(usd)) for quality, usd in row.items()}
                for size, row in price.pictures().items()
            },
            "tokens_per_million": (
                {name: str(usd) for name, usd in tokens if usd is not None} if tokens is not None else {}
            ),
        }

    def _price(self, provider: str, model: str) -> ModelPrice | None:
        models = self._table.providers.get(provider, {})
        return models.get(model) or models.get(ANY_MODEL)

    def _prompt_tokens(self, prompt: str) -> int:
        return -(-len(prompt.encode("utf-8", "ignore")) // self._table.prompt_bytes_per_token)
