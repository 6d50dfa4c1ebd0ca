"""The API's description, OpenAPI 3.1: made from the very types that read requests and write answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any, ClassVar

from flask import Blueprint, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ValidationError
from spectree import SpecTree
from spectree.models import InType, SecureType, SecurityScheme, SecuritySchemeData, Tag
from spectree.plugins.flask_plugin import FlaskPlugin
from spectree.response import Response as Answer
from werkzeug.routing import Rule

from imagegen.api.v1.reading import read_body, read_headers, read_query
from imagegen.api.v1.schemas import Problem
from imagegen.services.rights import SCOPES
from imagegen.web import access
from imagegen.web.errors import SENTENCES

Schema = dict[str, Any]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PROBLEM_TYPE = "application/problem+json"
SIGNED_IN = (401, 403)
"""Problems that every operation may answer with."""

BODY = (400, 413, 415, 422)
"""Problems of an operation that reads a JSON body."""


class AnswerInvalid(RuntimeError):
    """What the studio was about to answer breaks its own description: its fault, not the caller's."""


class StrictFlask(FlaskPlugin):
    """Reads requests strictly, and leaves every error to the app's own handlers.

    Spectree's own plugin takes a body that is no JSON for an empty object, and answers errors in its own shape.
    """

    def validate(  # type: ignore[override]
        self,
        func: Callable[..., Any],
        query: type[BaseModel] | None,
        json: type[BaseModel] | None,
        form: type[BaseModel] | None,
        headers: type[BaseModel] | None,
        *_rest: Any,
        **path: str,
    ) -> ResponseReturnValue:
        """Call `func` with its path parameters and with what it asks for by the names query, json and headers."""
        parts: dict[str, Any] = dict(path)
        for name, model, read in (
            ("query", query, read_query),
            ("headers", headers, read_headers),
            ("json", json, read_body),
        ):
            if model is not None:
                parts[name] = read(request, model)
        try:
            answer = func(**parts)
        except ValidationError as error:
            raise AnswerInvalid(str(error)) from error
        return self._written(answer)

    def _written(self, answer: Any) -> ResponseReturnValue:
        if isinstance(answer, BaseModel):
            return _json(answer)
        if isinstance(answer, tuple) and isinstance(answer[0], BaseModel):
            return _json(answer[0]), *answer[1:]
        return answer


def _json(answer: BaseModel) -> Response:
    # What was not set is not there: `total` is in a list only where it was asked for.
    return Response(answer.model_dump_json(exclude_unset=True), mimetype="application/json")


class Answers(Answer):
    """What an operation answers: its success, with content type and headers, and the problems it may meet."""

    def __init__(
        self,
        body: type[BaseModel] | None,
        description: str,
        *,
        status: int = 200,
        content_types: Iterable[str] = ("application/json",),
        headers: Mapping[str, str] | None = None,
        problems: Iterable[int] = (),
    ) -> None:
        super().__init__(**({f"HTTP_{status}": body} if body else {}))
        self._status = status
        self._body = body
        self._description = description
        self._content_types = tuple(content_types)
        self._headers = dict(headers or {})
        self._problems = sorted({*SIGNED_IN, *problems})

    def generate_spec(self, naming_strategy: Any = None) -> Schema:
        """Return the operation's `responses`."""
        schema = {"schema": {"$ref": f"#/components/schemas/{self._body.__name__}"}} if self._body else {}
        success: Schema = {"description": self._description}
        if self._content_types:
            success["content"] = dict.fromkeys(self._content_types, schema)
        if self._headers:
            success["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in self._headers.items()
            }
        refused = {str(code): {"$ref": f"#/components/responses/Problem{code}"} for code in self._problems}
        return {str(self._status): success} | refused | {"default": {"$ref": "#/components/responses/Problem"}}


class NoContent(Answers):
    """Success without a body."""

    def __init__(self, description: str, *, problems: Iterable[int] = ()) -> None:
        super().__init__(None, description, status=204, content_types=(), problems=problems)


DELETED = NoContent("Deleted.", problems=(404,))


class Tags:
    """The parts of the API, in the order in which the documentation shows them."""

    GENERATE: ClassVar = Tag(name="Generate", description="Ask for pictures, and what they will cost.")
    JOBS: ClassVar = Tag(name="Jobs", description="Follow what was asked for, shot by shot.")
    SCHEDULES: ClassVar = Tag(name="Schedules", description="Pictures to be made later, once or again and again.")
    IMAGES: ClassVar = Tag(name="Images", description="The organisation's pictures and their files.")
    LIBRARY: ClassVar = Tag(name="Library", description="Tags, collections and searches that find pictures again.")
    MODELS: ClassVar = Tag(name="Models", description="Who can draw, what, and for how much.")
    PROVIDERS: ClassVar = Tag(name="Providers", description="Keys of your own, their limits, and who stands in.")
    USAGE: ClassVar = Tag(name="Usage", description="What was used, what it cost, and what may be spent.")
    INSTALLATION: ClassVar = Tag(name="Installation", description="What concerns all organisations: for operators.")


PATH = {
    "image_id": "The picture's id.",
    "job_id": "The job's id.",
    "provider_id": "The provider's id.",
    "budget_id": "The budget's id.",
    "round_id": "The round's id.",
    "schedule_id": "The schedule's id.",
    "tag_id": "The tag's id.",
    "collection_id": "The collection's id.",
    "search_id": "The search's id.",
}

spec = SpecTree(
    backend=StrictFlask,
    mode="strict",
    title="Imagegen Studio",
    version="1",
    description=(
        "Make pictures, follow the work, and read the library.\n\n"
        "Call with a personal token in `Authorization: Bearer …`. Every id is text, every moment is in UTC, money is "
        "a decimal string in US dollars with six places, and null where it is not known. Errors are problem details "
        "(RFC 9457). Addresses in answers are paths on this server."
    ),
    page_templates={},
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda _parent, child: child,
    validation_error_model=Problem,
    security_schemes=[
        SecurityScheme(
            name="token",
            data=SecuritySchemeData(
                type=SecureType.HTTP,
                scheme="bearer",
                description="A personal token, made under Settings or with `flask --app wsgi tokens create`.",
            ),
        ),
        SecurityScheme(
            name="session",
            data=SecuritySchemeData(
                type=SecureType.API_KEY,
                field_in=InType.COOKIE,
                name="studio",
                description="The cookie of a signed-in browser (`__Host-studio` behind HTTPS). A POST needs the "
                "page's CSRF token in the header `X-CSRFToken` too.",
            ),
        ),
    ],
    security=[{"token": []}, {"session": []}],
)


def operation(tag: Tag, operation_id: str, answers: Answers, **more: Any) -> Decorator:
    """Describe a route, and read what it asks for by the types of its parameters `query`, `headers` and `json`."""
    described: Decorator = spec.validate(
        resp=answers, tags=[tag], operation_id=operation_id, path_parameter_descriptions=PATH, **more
    )
    return described


blueprint = Blueprint("api-openapi", __name__)


@blueprint.get("/openapi.json")
@access.public
def openapi() -> ResponseReturnValue:
    """Answer with the description itself."""
    response = jsonify(document())
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request)


@cache
def document() -> Schema:
    """Return the OpenAPI document; the same for every app, since all have the same routes."""
    found: Schema = deepcopy(spec.spec)
    components = found["components"]
    for name in _parameter_models():
        del components["schemas"][name]
    components["responses"] = _problems()
    scopes = _scopes()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            operation["x-scope"] = scopes[method.upper(), path]
            operation["parameters"] = [_plain(parameter) for parameter in operation["parameters"]]
    return found


def _rules() -> list[tuple[Rule, Callable[..., Any]]]:
    """Return the routes that the document describes, each with its view."""
    views = current_app.view_functions
    rules = [(rule, views[rule.endpoint]) for rule in current_app.url_map.iter_rules()]
    return [(rule, view) for rule, view in rules if spec.get_function_metadata(view) is not None]


def _parameter_models() -> set[str]:
    """Return the models of queries and headers, which the document writes out parameter by parameter."""
    described = [spec.get_function_metadata(view) for _rule, view in _rules()]
    return {name for one in described if one for name in (one.query, one.headers) if name}


def _plain(parameter: Schema) -> Schema:
    """Return a parameter without what pydantic says of None: one that may be missing is never null."""
    schema = parameter["schema"]
    only: Schema = next((one for one in schema.pop("anyOf", ()) if one != {"type": "null"}), {})
    said_already = ("title", "description")
    told = {name: value for name, value in (schema | only).items() if name not in said_already and value is not None}
    return {**parameter, "schema": told}


def _scopes() -> dict[tuple[str, str], str]:
    """Return which scope a token needs, by method and path, from what each route says of who may call it."""
    needed: dict[tuple[str, str], str] = {}
    for rule, view in _rules():
        needed |= {(method, _braced(rule.rule)): _scope(access.access_of(view)) for method in rule.methods or ()}
    return needed


def _scope(said: access.Access | None) -> str:
    if said is not None and said.operator:
        return "admin"
    right = said.right if said else None
    return next(name for name, allowed in SCOPES.items() if right in allowed)


def _braced(rule: str) -> str:
    return rule.replace("<", "{").replace(">", "}")


def _problems() -> Schema:
    """Return one answer for each status that errors have, and one for all others."""

    def problem(status: int, description: str) -> Schema:
        schema = {"$ref": "#/components/schemas/Problem"}
        example = {"type": "about:blank", "title": SENTENCES[status], "status": status, "detail": SENTENCES[status]}
        return {"description": description, "content": {PROBLEM_TYPE: {"schema": schema, "example": example}}}

    each = {f"Problem{status}": problem(status, sentence) for status, sentence in SENTENCES.items()}
    return each | {"Problem": problem(500, "Anything else that went wrong.")}
