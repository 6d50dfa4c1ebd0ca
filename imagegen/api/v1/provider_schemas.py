"""What the API reads and writes of keys to providers, their limits, and the models that stand in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from imagegen.api.v1.requests import Reading
from imagegen.api.v1.schemas import Written
from imagegen.services.fallbacks import MOST as MOST_STAND_INS
from imagegen.services.provider_keys import LONGEST_KEY, SHORTEST_KEY
from imagegen.services.provider_limits import MOST as LARGEST_LIMIT

ProviderId = Annotated[str, Field(max_length=32, description="Provider's id.", examples=["local"])]
ModelId = Annotated[str, Field(max_length=120, description="Model's id.", examples=["local-studio"])]
_Limit = Field(ge=1, le=LARGEST_LIMIT, examples=[8])


class KeyBody(Reading):
    """A key to a provider."""

    key: SecretStr = Field(
        description=f"The key, of {SHORTEST_KEY} to {LONGEST_KEY} characters. It is kept sealed, and nothing answers "
        "with it again."
    )


class KeyTest(Written):
    """What came of a test of a key."""

    ok: bool = Field(description="Whether the provider accepted it.")
    message: str | None = Field(
        description="What was wrong, as a sentence for people; null if nothing.",
        examples=["OpenAI did not accept the key."],
    )


class LimitsBody(Reading):
    """Limits of the calls under one key; what is absent or null is not limited by people."""

    concurrency: Annotated[int | None, _Limit] = Field(None, description="Calls under way at once.")
    per_minute: Annotated[int | None, _Limit] = Field(None, description="Calls begun within a minute.")


class StandInPlace(Reading):
    """A model in the order of those that stand in."""

    provider: ProviderId
    model: ModelId


class StandInsBody(Reading):
    """The whole order of models that stand in."""

    items: list[StandInPlace] = Field(
        description=f"The models, the first to be asked first; {MOST_STAND_INS} at most, each once. None: a picture "
        "that its model cannot make fails, and says why."
    )


class StandIn(Written):
    """A model that stands in for one that cannot serve."""

    provider: str = Field(description="Id of its provider.", examples=["local"])
    model: str = Field(description="Its id.", examples=["local-studio"])
    label: str | None = Field(description="What people call it; null if the studio does not know it any more.")
    available: bool = Field(description="Whether the organisation can use it; it is passed over if not.")
    reason: str | None = Field(description="If not, what is missing, in a sentence.")


class StandInList(Written):
    """The models that stand in."""

    items: list[StandIn] = Field(description="The models, the first to be asked first.")
    next_cursor: None = Field(description="Always null: the list has no pages.")
