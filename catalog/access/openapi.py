"""The API of those who administer described by itself: OpenAPI 3.1, made of the acts, lists and forms that it has.

That it fits the answers is tested with schemathesis.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from catalog.access.acts import ACTS, AFTER, ISSUED, LIMIT, LISTS, MOST_LISTED, NUMBER, TOKEN, List
from catalog.access.forms import Form, Renewal
from catalog.access.refusals import AREA
from catalog.access.renewing import PATH
from catalog.delivery.rows.openapi import problem_schema
from catalog.delivery.rows.problems import MEDIA_TYPE
from catalog.policy.renewal import ACT
from catalog.web.sessions import PERSON_COOKIE
from pipelines.messages import say

VERSION: Final = "1.0.0"
LIST_ERRORS: Final = (400, 401, 403, 429, 500, 503)
ACT_ERRORS: Final = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)
_PATTERNS: Final = {NUMBER: "^[1-9][0-9]{0,8}$", TOKEN: "^[0-9a-f]{16}$"}
Json = dict[str, Any]


def document(prefix: str) -> Json:
    """The description of the API at `prefix`, an address."""
    paths: dict[str, Json] = {"/openapi.json": {"get": _self()}}
    for one in LISTS:
        paths.setdefault(one.path, {})["get"] = _list(one)
    for act in ACTS:
        paths.setdefault(act.path, {})["post"] = _act(act.path, act.action, act.form, act.answers, act.creates)
    paths[PATH] = {
        "post": {**_act(PATH, ACT, Renewal, ISSUED, creates=True), "security": [{"token": []}, {"client": []}]}
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": say("access.doc.title"), "version": VERSION, "description": say("access.doc.about")},
        "servers": [{"url": prefix}],
        "security": [{"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": PERSON_COOKIE,
                    "description": say("access.doc.session"),
                },
                "token": {"type": "http", "scheme": "bearer", "description": say("access.doc.token")},
                "client": {"type": "http", "scheme": "basic", "description": say("access.doc.client")},
            },
            "schemas": {"Problem": problem_schema()},
            "responses": {str(status): _error(status) for status in ACT_ERRORS},
        },
    }


def _self() -> Json:
    answer = _json(say("rows.doc.self"), {"type": "object"})
    return {"operationId": "describe", "summary": say("rows.doc.self"), "responses": {"200": answer, **_errors((500,))}}


def _list(one: List) -> Json:
    name = one.path[1:]
    item = _of(one.of)
    item["properties"] |= {held: {"type": "boolean", "description": say(f"access.doc.{held}")} for held in one.holds}
    schema = {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": item}, "next": {"type": "string"}},
        "additionalProperties": False,
    }
    text = say(f"access.doc.list.{name}")
    parameters: list[Json] = [
        {"name": by, "in": "query", "schema": {"type": "string", "maxLength": 64, "pattern": "^[a-z/_]*$"}}
        for by in one.narrowed
    ]
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_LISTED}
    parameters += [
        {"name": LIMIT, "in": "query", "schema": limit},
        {"name": AFTER, "in": "query", "schema": {"type": "string"}, "description": say("access.doc.after")},
    ]
    answers = {"200": _json(text, schema), **_errors(LIST_ERRORS)}
    return {"operationId": f"list_{name}", "summary": text, "parameters": parameters, "responses": answers}


def _act(path: str, action: str, form: type[Form], answers: Sequence[type], creates: bool) -> Json:
    text, schema = say(f"web.action.{action}"), {"oneOf": [_of(one) for one in answers]}
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": _PATTERNS[name]}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if path == "/tokens":
        key = {"type": "string", "pattern": "^[!#-~]{1,64}$"}
        about = say("access.doc.request_key")
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": key, "description": about})
    return {
        "operationId": path[1:].replace("/", "_").replace("{", "").replace("}", "") + "_post",
        "summary": text,
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": form.model_json_schema()}},
        },
        "responses": {
            "200": _json(text, schema),
            **({"201": _json(say("access.doc.created"), schema)} if creates else {}),
            **_errors(ACT_ERRORS),
        },
    }


def _of(kind: type) -> Json:
    """What one of a kind looks like."""
    schema: Json = TypeAdapter(kind).json_schema(mode="serialization")
    schema = {**schema, "properties": {**schema["properties"]}, "additionalProperties": False}
    if kind in ISSUED:
        schema["properties"]["profile"] = {"type": "object", "description": say("access.doc.profile")}
    return schema


def _json(text: str, schema: Json) -> Json:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _errors(statuses: Sequence[int]) -> Json:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _error(status: int) -> Json:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": say(f"{AREA}.title.{status}"), "content": {MEDIA_TYPE: {"schema": schema}}}
