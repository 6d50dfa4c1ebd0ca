"""Which providers there are. A new one is a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Self

from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_
from imagegen.providers.base import Availability, ModelSpec, Provider, cannot
from imagegen.providers.errors import Outcome, ProviderError

if TYPE_CHECKING:
    from imagegen.settings import Settings

PROVIDERS: tuple[str, ...] = (
    "imagegen.providers.openai.OpenAIProvider",
    "imagegen.providers.local.provider.LocalProvider",
)
"""Dotted paths, in the order in which providers are offered; loaded when a registry is made."""


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model, its provider, and whether that can be used now."""

    spec: ModelSpec
    provider: Provider
    availability: Availability


class ProviderRegistry:
    """The providers of one installation. Safe for threads; asks no network."""

    def __init__(self, providers: Iterable[Provider], keyed: Collection[str] = ()) -> None:
        """Take the providers, and the ids of those to which there is another key than the installation's."""
        self._providers = {provider.id: provider for provider in providers}
        self._keyed = frozenset(keyed)

    @classmethod
    def from_settings(cls, settings: Settings, paths: Sequence[str] = PROVIDERS) -> Self:
        """Return the providers named by `paths`, each with its part of `settings`."""
        classes = [_load(path) for path in paths]
        return cls(kind(kind.config_from(settings)) for kind in classes)

    def for_keys(self, keyed: Collection[str]) -> ProviderRegistry:
        """Return the same providers as somebody sees them who has keys of their own to those in `keyed`.

        Only what is available differs. The calls are made with `Provider.with_key`.
        """
        return ProviderRegistry(self._providers.values(), keyed) if keyed else self

    def available(self, provider: Provider) -> Availability:
        """Tell whether `provider` can be used now, with the installation's key or another."""
        return provider.available_to_keys() if provider.id in self._keyed else provider.available()

    def providers(self) -> tuple[Provider, ...]:
        """Return all providers, usable or not."""
        return tuple(self._providers.values())

    def models(self) -> tuple[OfferedModel, ...]:
        """Return all models of all providers, usable or not, in the order in which they are offered."""
        return tuple(
            OfferedModel(spec, provider, availability)
            for provider in self._providers.values()
            for availability in (self.available(provider),)
            for spec in provider.models()
        )

    def find(self, provider_id: str | None = None, model_id: str | None = None) -> tuple[Provider, ModelSpec]:
        """Return the provider and the model that are meant, usable or not.

        Without a model it is the provider's first; without a provider the first that has the model, usable
        ones before others; without both the default. Raises ProviderError with a sentence for unknown ones.
        """
        if provider_id is not None:
            provider = self._provider(provider_id)
            return provider, (provider.spec(model_id) if model_id is not None else provider.models()[0])
        if model_id is None:
            return self.default()
        having = [offer for offer in self.models() if offer.spec.id == model_id]
        if not having:
            raise cannot(self._explanation(model_id), "model")
        offer = next((offer for offer in having if offer.availability.ok), having[0])
        return offer.provider, offer.spec

    def default(self) -> tuple[Provider, ModelSpec]:
        """Return the first usable provider and its first model; what is built in comes last."""
        usable = [provider for provider in self._providers.values() if self.available(provider).ok]
        if not usable:
            raise ProviderError(
                N_("No provider of pictures is set up."), kind=ErrorKind.AUTH, outcome=Outcome.NOT_SENT
            )
        chosen = min(usable, key=lambda provider: provider.built_in)
        return chosen, chosen.models()[0]

    def prepare(self) -> None:
        """Have every usable provider load what a call needs; a worker calls this once, before it forks."""
        for provider in self._providers.values():
            if self.available(provider).ok:
                provider.prepare()

    def close(self) -> None:
        """Let go of all connections."""
        for provider in self._providers.values():
            provider.close_all()

    def _provider(self, provider_id: str) -> Provider:
        try:
            return self._providers[provider_id]
        except KeyError:
            sentence = N_("There is no provider “{provider}”. Choose one of: {choices}.").format(
                provider=provider_id, choices=", ".join(self._providers)
            )
            raise cannot(sentence, "provider") from None

    def _explanation(self, model_id: str) -> str:
        """Return the sentence of a provider that knows what became of `model_id`, else a plain one."""
        for provider in self._providers.values():
            if provider.remembers(model_id):
                return provider.explain_unknown_model(model_id)
        return N_("There is no model “{model}”.").format(model=model_id)


def _load(path: str) -> type[Provider]:
    module, name = path.rsplit(".", 1)
    kind = getattr(import_module(module), name)
    if not (isinstance(kind, type) and issubclass(kind, Provider)):
        raise TypeError(f"{path} is not a Provider")
    return kind
