"""F25: whatever a provider answers with, it ends as a picture or as an error that says that it was paid for."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pybase64
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from imagegen.core.errors import ErrorKind
from imagegen.core.fetch import Fetched, Fetcher, FetchError, Problem
from imagegen.providers.base import ImageRequest, ModelSpec, ProviderConfig
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.openai import OpenAIProvider
from tests.fakes.pictures import picture

REQUEST = ImageRequest(model="gpt-image-2.6-flare", prompt="a lighthouse", width=1024, height=1024, quality="low")
GOOD = {
    "created": 1,
    "data": [{"b64_json": pybase64.b64encode(picture(16, 16, "png")).decode()}],
    "usage": {
        "input_tokens": 4,
        "input_tokens_details": {"text_tokens": 4, "image_tokens": 0},
        "output_tokens": 180,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": 180},
        "total_tokens": 184,
    },
}


class Nowhere(Fetcher):
    """Fetches nothing: this is about answers, not about what lies elsewhere."""

    def fetch(self, url: str, **_: Any) -> Fetched:
        raise FetchError(Problem.STATUS)


class Answered(OpenAIProvider):
    """A provider that has just been answered with `body`."""

    body = b""

    def _exchange(self, spec: ModelSpec, request: ImageRequest) -> tuple[Mapping[str, str], bytes]:
        return {"x-request-id": "req_1"}, self.body


PROVIDER = Answered(ProviderConfig(key=SecretStr("sk-test-key"), base_url="http://127.0.0.1:9/v1"), Nowhere())

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["https://pictures.example/1.png", "file:///etc/passwd", "http://[::1", "A" * 5, "iVBORw0KGgo="]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the ways to everything in a JSON value, itself included."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Draw a good answer of which up to three places hold something else, or nothing, or hold it twice."""
    answer: Any = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([place for place in places(answer) if place] or [()])) or (None,)
        if last is None:
            break
        parent = answer
        for key in way:
            parent = parent[key]
        change = draw(st.sampled_from(["replace", "drop", "double"]))
        if change == "replace":
            parent[last] = draw(anything)
        elif change == "drop":
            del parent[last]
        elif isinstance(parent, list):
            parent.append(parent[last])
    return json.dumps(answer).encode()


bodies = spoilt() | anything.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
cut_bodies = st.tuples(bodies, st.integers(0, 400)).map(lambda drawn: drawn[0][: drawn[1]])


@settings(max_examples=400)
@given(bodies | cut_bodies)
def test_f25_any_answer_is_exactly_one_picture_or_an_error_that_says_that_it_was_paid_for(body: bytes) -> None:
    PROVIDER.body = body
    try:
        result = PROVIDER.generate(REQUEST)
    except ProviderError as error:
        assert (error.outcome, error.kind, error.retryable) == (Outcome.ACCEPTED, ErrorKind.BAD_ANSWER, False)
        assert error.message.endswith(".")
        assert error.request_id == "req_1"
    else:
        assert len(result.images) == 1
