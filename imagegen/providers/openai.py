"""OpenAI's image models, and servers that speak the same language under another base URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr, TypeAdapter

from imagegen.core.addresses import Origin
from imagegen.core.fetch import Fetcher
from imagegen.core.text import N_, clean, one_line
from imagegen.providers import openai_answers
from imagegen.providers.base import (
    AUTO,
    Accepted,
    Availability,
    ImageRequest,
    ImageResult,
    ModelSpec,
    Provider,
    ProviderConfig,
    Usage,
)
from imagegen.providers.downloads import Downloads
from imagegen.providers.errors import LONGEST_CODE, scrub
from imagegen.providers.openai_errors import (
    Refusal,
    bad_answer,
    broken_off,
    key_not_tested,
    key_refused,
    no_list_of_models,
    refused,
)
from imagegen.providers.openai_models import (
    COMPATIBLE_IDS,
    COMPATIBLE_MODELS,
    GONE,
    GPT_IMAGE_MODELS,
    PROVIDER_ID,
    SUCCESSOR,
)
from imagegen.providers.transport import BoundedTransport, ExchangeError, Failure, exchange

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI, OpenAIError

OFFICIAL_BASE_URL = "https://api.openai.com/v1"
OFFICIAL_HOST = "api.openai.com"
LONGEST_LIST = 1024 * 1024
"""Bytes of the list of models."""
LARGEST_PICTURE = 32 * 1024 * 1024
"""Bytes of answer for each picture, and as many again: 8.3 megapixels of noise with alpha take 44 MiB."""
_Urls = TypeAdapter(tuple[str, ...])


class OpenAIProvider(Provider):
    """GPT Image over OpenAI's API; the DALL·E names too where the base URL is somebody else's.

    The SDK is loaded and its client made at the first call or by `prepare`, for it takes half a second and
    pages that list models need neither. Retries of the SDK are off: a generation sent twice is billed twice.
    """

    id: ClassVar[str] = PROVIDER_ID
    label: ClassVar[str] = "OpenAI"
    key_setting: ClassVar[str | None] = "openai_api_key"
    base_url_setting: ClassVar[str | None] = "openai_base_url"
    takes_key: ClassVar[bool] = True
    key_page: ClassVar[str | None] = "https://platform.openai.com/api-keys"
    test_note: ClassVar[str | None] = N_("The test asks OpenAI for its list of models, which costs nothing.")

    def __init__(self, config: ProviderConfig, fetcher: Fetcher | None = None) -> None:
        super().__init__(config)
        self._base_url = config.base_url or OFFICIAL_BASE_URL
        self._downloads = Downloads(
            label=self.label,
            own=Origin.of(self._base_url),
            max_bytes=LARGEST_PICTURE,
            fetcher=fetcher or Fetcher(),
        )
        self._models = GPT_IMAGE_MODELS if is_official(self._base_url) else GPT_IMAGE_MODELS + COMPATIBLE_MODELS
        self._lock = Lock()
        self._client: OpenAI | None = None
        self._process = 0
        self._status_error: type[APIStatusError]
        self._sdk_error: type[OpenAIError]

    def available(self) -> Availability:
        """Tell whether there is a key that can be one."""
        if not self._key:
            return Availability(False, N_("Set OPENAI_API_KEY to draw with OpenAI's models."))
        if not self.accepts(self._key):
            return Availability(False, N_("OPENAI_API_KEY has characters in it that no key has."))
        return Availability(True)

    def models(self) -> tuple[ModelSpec, ...]:
        """Return the GPT Image models, and on compatible servers the DALL·E names."""
        return self._models

    def remembers(self, model_id: str) -> bool:
        """Tell whether OpenAI once had `model_id`."""
        return model_id in GONE

    def explain_unknown_model(self, model_id: str) -> str:
        """Return a sentence that names the successor of a model that OpenAI has ended."""
        if model_id not in GONE:
            return super().explain_unknown_model(model_id)
        label, day = GONE[model_id]
        return N_("OpenAI ended {model} on {date}. Use {successor} instead.").format(
            model=label, date=day.isoformat(), successor=SUCCESSOR
        )

    def prepare(self) -> None:
        """Load the SDK; its client is made again after the fork, for connections are not to be shared."""
        client = self._connect()
        client.images.with_raw_response  # noqa: B018 - loads the SDK's part for images
        client.close()

    def close(self) -> None:
        """Close the connections; calls under way fail."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _generate(self, spec: ModelSpec, request: ImageRequest) -> ImageResult | Accepted:
        headers, body = self._exchange(spec, request)
        request_id, model_returned = self._told(headers, "x-request-id"), self._told(headers, "openai-model")
        usage: Usage | None = None
        try:
            answer = openai_answers.parsed(body)
            usage = openai_answers.usage_of(answer)
            found = openai_answers.pictures(answer)
            urls = openai_answers.addresses(found)
            images = () if urls else openai_answers.payloads(found)
        except openai_answers.NoPicture as problem:
            raise bad_answer(str(problem), key=self._key, request_id=request_id, usage=usage) from None
        if not urls:
            return ImageResult(images=images, usage=usage, request_id=request_id, model_returned=model_returned)
        return Accepted(
            model=spec.id,
            n=request.n,
            receipt=_Urls.dump_json(urls).decode(),
            usage=usage,
            request_id=request_id,
            model_returned=model_returned,
        )

    def _told(self, headers: Mapping[str, str], name: str) -> str | None:
        """Return a name that the answer gives to something, as it may be stored: short, and without the key."""
        value = headers.get(name)
        return one_line(scrub(value, (self._key,)), LONGEST_CODE) if value else None

    def _collect(self, accepted: Accepted, seconds: float) -> ImageResult:
        urls = _Urls.validate_json(accepted.receipt)
        # Counted first: whoever lists a thousand addresses is not to be followed to each of them.
        self._check_count(len(urls), accepted, accepted.n)
        return accepted.delivered(self._downloads.pictures(urls, accepted, seconds))

    def _exchange(self, spec: ModelSpec, request: ImageRequest) -> tuple[Mapping[str, str], bytes]:
        """Send `request` once; return the headers and the body of a success, or raise ProviderError."""
        images: Any = self._resources().images
        with exchange(request.deadline_seconds, LARGEST_PICTURE * (request.n + 1)) as budget:
            try:
                answer = images.with_raw_response.generate(**wire_fields(spec, request))
            except ExchangeError as error:
                raise broken_off(error, self._key) from None
            except self._status_error as error:
                raise refused(self._refusal(error, budget.elapsed, spec)) from None
            except self._sdk_error:
                raise broken_off(budget.failed(Failure.LOST), self._key) from None
        return answer.headers, answer.content

    def _test(self, deadline_seconds: float) -> None:
        models = self._resources().models
        with exchange(deadline_seconds, LONGEST_LIST) as budget:
            try:
                answer = models.with_raw_response.list()
            except ExchangeError as error:
                raise key_not_tested(error, self._key) from None
            except self._status_error as error:
                raise key_refused(self._refusal(error, budget.elapsed, self._models[0])) from None
            except self._sdk_error:
                raise key_not_tested(budget.failed(Failure.LOST), self._key) from None
        if not openai_answers.is_list_of_models(answer.content):
            raise no_list_of_models(self._key)

    def _refusal(self, error: APIStatusError, elapsed: float, spec: ModelSpec) -> Refusal:
        return Refusal(
            status=error.status_code,
            headers=error.response.headers,
            body=error.body,
            elapsed=elapsed,
            model=spec,
            key=self._key,
        )

    @property
    def _key(self) -> SecretStr:
        return self.config.key or SecretStr("")

    def _resources(self) -> OpenAI:
        """Return the SDK's client of this process, made once: a fork must not share connections."""
        with self._lock:
            if self._client is None or self._process != os.getpid():
                self._client = self._connect()
                self._process = os.getpid()
            return self._client

    def _connect(self) -> OpenAI:
        from openai import APIStatusError, OpenAI, OpenAIError

        self._status_error, self._sdk_error = APIStatusError, OpenAIError
        client = OpenAI(
            api_key=self._key.get_secret_value(),
            base_url=self._base_url,
            max_retries=0,
            # Given here, it wins over an Authorization from OPENAI_CUSTOM_HEADERS.
            default_headers={
                "Authorization": f"Bearer {self._key.get_secret_value()}",
                "Accept-Encoding": "identity",
            },
            http_client=httpx2.Client(
                transport=BoundedTransport(self.config.max_connections),
                trust_env=False,
                follow_redirects=False,
            ),
        )
        # The SDK takes these from the environment; who pays is for the key alone to say.
        client.organization = client.project = None
        return client


def is_official(base_url: str) -> bool:
    """Tell whether `base_url` is OpenAI's own, its regional hosts included."""
    host = urlsplit(base_url).hostname or ""
    return host == OFFICIAL_HOST or host.endswith("." + OFFICIAL_HOST)


def wire_fields(spec: ModelSpec, request: ImageRequest) -> dict[str, Any]:
    """Return the fields of the request body: only what the model understands.

    GPT Image rejects `response_format` and `style`, and knows no seed and no negative prompt. The DALL·E
    names know none of the newer fields, and answer with an address unless asked for the picture itself.
    """
    fields: dict[str, Any] = {
        "model": spec.id,
        "prompt": clean(request.prompt),
        "n": request.n,
        "size": f"{request.width}x{request.height}",
    }
    quality = spec.quality_named(request.quality)
    if quality is not None:
        fields["quality"] = quality
    if spec.id in COMPATIBLE_IDS:
        return fields | {"response_format": "b64_json"}
    fields["output_format"] = request.output_format
    if request.background != AUTO:
        fields["background"] = request.background
    if request.user_hash is not None:
        fields["safety_identifier"] = request.user_hash
    return fields
