"""Ways in which an image service can fail, by name. A fault is `"401"` or `{"kind": "429", "retry_after": "2"}`.

`none` is no fault. All may have a `latency` in seconds, or `hold`: then the answer waits until the server is told to
release it. Options that some read: `retry_after`, `retry_after_ms`, `message`, `seconds` (between two bytes of a
drip).
`BILLED` names those after which the service has made, and charged for, what was asked.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.openai_server import Handler

Fault = dict[str, Any]
Answer = dict[str, Any]


def as_fault(fault: str | Fault) -> Fault:
    """Return `fault` in its long form; raise ValueError for one that there is not."""
    long = {"kind": fault} if isinstance(fault, str) else dict(fault)
    if long.get("kind") not in FAULTS:
        raise ValueError(f"no fault is called {long.get('kind')!r}; there are: {', '.join(sorted(FAULTS))}")
    return long


def error_body(message: str, kind: str, code: str | None = None, **more: Any) -> Answer:
    """Return an error as OpenAI writes it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def _status(status: int, message: str, kind: str, code: str | None = None, **more: Any) -> _Apply:
    def apply(handler: Handler, fault: Fault, _answer: Answer) -> None:
        names = {"retry-after": fault.get("retry_after"), "retry-after-ms": fault.get("retry_after_ms")}
        headers = {name: str(value) for name, value in names.items() if value is not None}
        text = fault.get("message", message).replace("{authorization}", handler.headers["Authorization"] or "")
        handler.send_json(status, error_body(text, kind, code, **more), headers)

    return apply


def _changed(change: Callable[[Answer], None]) -> _Apply:
    def apply(handler: Handler, _fault: Fault, answer: Answer) -> None:
        change(answer)
        handler.send_json(200, answer)

    return apply


def _raw(body: bytes, content_type: str, status: int = 200, **headers: str) -> _Apply:
    def apply(handler: Handler, _fault: Fault, _answer: Answer) -> None:
        handler.send_bytes(status, body, content_type, {name.replace("_", "-"): v for name, v in headers.items()})

    return apply


def _hang(handler: Handler, _fault: Fault, _answer: Answer) -> None:
    handler.wait_until_left()


def _drip(handler: Handler, fault: Fault, answer: Answer) -> None:
    body = json.dumps(answer).encode()
    handler.begin(200, len(body), "application/json")
    handler.drip(_bytewise(body), fault.get("seconds", 1.0))


def _drip_headers(handler: Handler, fault: Fault, _answer: Answer) -> None:
    handler.close_connection = True
    handler.drip(_bytewise(b"HTTP/1.1 200 OK\r\n" + b"x-slow: very\r\n" * 1000), fault.get("seconds", 1.0))


def _bytewise(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def _cut(handler: Handler, _fault: Fault, answer: Answer) -> None:
    body = json.dumps(answer).encode()
    handler.begin(200, len(body), "application/json")
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def _cut_before(handler: Handler, _fault: Fault, _answer: Answer) -> None:
    handler.close_connection = True


def _endless(handler: Handler, _fault: Fault, _answer: Answer) -> None:
    handler.begin(200, None, "application/json")
    handler.wfile.write(b'{"data":[{"b64_json":"')
    handler.drip(itertools.repeat(b"A" * (1 << 20)), 0.0)


def _packed(handler: Handler, _fault: Fault, answer: Answer) -> None:
    body = gzip.compress(json.dumps(answer).encode(), 1)
    handler.send_bytes(200, body, "application/json", {"content-encoding": "gzip"})


def _long_request_id(handler: Handler, _fault: Fault, answer: Answer) -> None:
    handler.send_json(200, answer, {"x-request-id": "r" * 5000})


def _broken_base64(answer: Answer) -> None:
    answer["data"][0]["b64_json"] = "!" + answer["data"][0]["b64_json"]


def _not_a_picture(answer: Answer) -> None:
    answer["data"][0]["b64_json"] = base64.b64encode(b"<svg onload='alert(1)'/>").decode()


def _address(answer: Answer) -> None:
    answer["data"] = [{"url": "https://169.254.169.254/latest/meta-data"} for _ in answer["data"]]


_Apply = Callable[["Handler", Fault, Answer], None]
_USER_ERROR = "image_generation_user_error"

FAULTS: dict[str, _Apply] = {
    "none": _changed(lambda answer: None),
    "401": _status(401, "Incorrect API key provided: {authorization}.", "invalid_request_error", "invalid_api_key"),
    "403": _status(403, "You may not do this.", "invalid_request_error"),
    "403_verification": _status(403, "Your organization must be verified to use the model.", "invalid_request_error"),
    "400": _status(400, "Unknown parameter: 'style'.", "invalid_request_error", "unknown_parameter"),
    "400_moderation": _status(
        400,
        "Your request was rejected by the safety system. safety_violations=[violence, sexual].",
        _USER_ERROR,
        "moderation_blocked",
        moderation_details={"moderation_stage": "input", "categories": ["violence"]},
    ),
    "400_billing": _status(400, "Hard limit.", "invalid_request_error", "billing_hard_limit_reached"),
    "404_model": _status(404, "The model does not exist.", "invalid_request_error", "model_not_found"),
    "429": _status(429, "Rate limit reached.", "requests", "rate_limit_exceeded"),
    "429_quota": _status(429, "You exceeded your quota.", "insufficient_quota", "insufficient_quota"),
    "500": _status(500, "The server had an error.", "server_error"),
    "502": _raw(b"<html>Bad gateway</html>", "text/html", 502),
    "503": _status(503, "Overloaded.", "server_error"),
    "redirect": _raw(b"", "text/plain", 307, location="/v1/elsewhere"),
    "html": _raw(b"<!doctype html><title>Welcome</title>", "text/html"),
    "broken_json": _raw(b'{"created": 1, "data": [', "application/json"),
    "list": _raw(b"[]", "application/json"),
    "error_in_200": _raw(json.dumps(error_body("No.", "server_error")).encode(), "application/json"),
    "broken_base64": _changed(_broken_base64),
    "empty_data": _changed(lambda answer: answer.update(data=[])),
    "no_data": _changed(lambda answer: answer.pop("data")),
    "wrong_count": _changed(lambda answer: answer["data"].append(dict(answer["data"][0]))),
    "not_a_picture": _changed(_not_a_picture),
    "address": _changed(_address),
    "no_usage": _changed(lambda answer: answer.pop("usage", None)),
    "broken_usage": _changed(lambda answer: answer.update(usage={"input_tokens": -1, "output_tokens": "many"})),
    "huge_usage": _changed(lambda answer: answer.update(usage={"input_tokens": 10**30, "output_tokens": 10**30})),
    "long_request_id": _long_request_id,
    "hang": _hang,
    "drip": _drip,
    "drip_headers": _drip_headers,
    "cut": _cut,
    "cut_before": _cut_before,
    "endless": _endless,
    "packed": _packed,
}

BILLED = frozenset(
    {
        "none",
        *("broken_base64", "empty_data", "no_data", "wrong_count", "not_a_picture", "address", "no_usage"),
        *("broken_usage", "huge_usage", "long_request_id", "html", "broken_json", "list", "packed", "endless"),
        *("hang", "drip", "drip_headers", "cut", "cut_before"),
    }
)
