"""The API's documentation: a page drawn here from the OpenAPI document, without any script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, gettext

from imagegen.api.v1.openapi import Schema, document
from imagegen.web import access

blueprint = Blueprint("api-docs", __name__)

_REFERENCE = "#/components/schemas/"


@blueprint.get("/docs")
@access.public
def page() -> ResponseReturnValue:
    """Show the documentation; it tells nothing that belongs to anybody.

    It is drawn from the API's own words, which are English, as the names in it are; so the whole page is.
    """
    with force_locale("en"):
        return render_template("api/docs.html", api=described(document()), root=request.url_root.rstrip("/"))


def described(found: Schema) -> dict[str, Any]:
    """Return an OpenAPI document as the page shows it."""
    responses = found["components"]["responses"]
    return {
        "title": found["info"]["title"],
        "paragraphs": _paragraphs(found["info"]["description"]),
        "ways_in": [prose(scheme["description"]) for scheme in found["components"]["securitySchemes"].values()],
        "groups": [
            {
                "name": tag["name"],
                "text": prose(tag["description"]),
                "operations": list(_operations(found, tag["name"], responses)),
            }
            for tag in found["tags"]
        ],
        "types": [_type(name, schema) for name, schema in sorted(found["components"]["schemas"].items())],
    }


def _operations(found: Schema, tag: str, responses: Schema) -> Iterator[dict[str, Any]]:
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield _operation(method.upper(), path, operation, responses)


def _operation(method: str, path: str, operation: Schema, responses: Schema) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return {
        "id": operation["operationId"],
        "method": method,
        "path": path,
        "title": operation["summary"].rstrip("."),
        "paragraphs": _paragraphs(operation["description"]),
        "scope": operation["x-scope"],
        "parameters": [_parameter(parameter) for parameter in operation["parameters"]],
        "body": kinds(body) if body else None,
        "answers": [_answer(status, answer, responses) for status, answer in operation["responses"].items()],
    }


def _parameter(parameter: Schema) -> dict[str, Any]:
    return {
        "name": parameter["name"],
        "place": parameter["in"],
        "kinds": kinds(parameter["schema"]),
        "mark": _mark(asked=True, required=parameter["required"]),
        "notes": _notes(parameter["schema"]),
        "text": prose(parameter["description"]),
    }


def _answer(status: str, answer: Schema, responses: Schema) -> dict[str, Any]:
    answer = responses[answer["$ref"].rsplit("/", 1)[-1]] if "$ref" in answer else answer
    content: dict[str, Schema] = answer.get("content", {})
    content_type, media = next(iter(content.items()), ("", {}))
    return {
        "status": status,
        "text": prose(answer["description"]),
        "content_type": content_type,
        "kinds": kinds(media["schema"]) if "schema" in media else [],
        "headers": [(name, prose(header["description"])) for name, header in answer.get("headers", {}).items()],
    }


def _type(name: str, schema: Schema) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    asked = schema.get("additionalProperties") is False
    return {
        "name": name,
        "paragraphs": _paragraphs(schema.get("description", "")),
        "values": schema.get("enum", []),
        "fields": [
            {
                "name": field,
                "kinds": kinds(found),
                "mark": _mark(asked=asked, required=field in required),
                "notes": _notes(found),
                "text": prose(found.get("description", "")),
            }
            for field, found in schema.get("properties", {}).items()
        ],
    }


def _mark(*, asked: bool, required: bool) -> str:
    """Return what is worth saying of a field: in requests most may be missing, in answers hardly any."""
    if asked:
        return gettext("required") if required else ""
    return "" if required else gettext("may be missing")


_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} of them",
}


def _notes(schema: Schema) -> list[str]:
    """Return a field's bounds, default and an example, in words."""
    own = {**schema, **next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), {})}
    notes = [words.format(own[bound]) for bound, words in _BOUNDS.items() if bound in own]
    if schema.get("default") not in (None, ""):
        notes.append(f"default {json.dumps(schema['default'])}")
    if examples := schema.get("examples"):
        notes.append(f"such as {json.dumps(examples[0], ensure_ascii=False)}")
    return notes


Kind = dict[str, str | None]


def kinds(schema: Schema) -> list[Kind]:
    """Return the kinds of value that `schema` takes, as words; a kind with a name of its own has a `target`."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return [{"text": name, "target": name}]
    if "anyOf" in schema:
        return [kind for one in schema["anyOf"] for kind in kinds(one)]
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return [{"text": " | ".join(json.dumps(value) for value in values), "target": None}]
    if schema.get("type") == "array":
        return [{**kind, "text": f"list of {kind['text']}"} for kind in kinds(schema.get("items", {}))]
    return [{"text": _PLAIN.get(schema.get("format", ""), schema.get("type", "anything")), "target": None}]


_PLAIN = {"date-time": "string (RFC 3339)"}


def _paragraphs(text: str) -> list[list[tuple[str, bool]]]:
    return [prose(paragraph) for paragraph in text.split("\n\n") if paragraph]


def prose(text: str) -> list[tuple[str, bool]]:
    """Return `text` in pieces, each with whether it stood between backticks and so is code."""
    return [(piece, index % 2 == 1) for index, piece in enumerate(text.split("`")) if piece]
