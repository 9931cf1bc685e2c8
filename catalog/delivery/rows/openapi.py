"""The row API described by itself: OpenAPI 3.1 with every parameter, answer, header and error body.

Written by hand rather than derived from the routes: filters are parameters named after columns, which no signature can
say. That it fits the routes and their answers is tested with schemathesis.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.delivery.rows.pages import MEDIA_TYPES
from catalog.delivery.rows.problems import MEDIA_TYPE
from catalog.delivery.rows.question import DEFAULT_LIMIT, FUNCTIONS, MOST_LIMIT, WORDS
from catalog.policy.administration import SCOPE
from pipelines.messages import say

VERSION = "1.0.0"
Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_OR_NULL: Json = {"type": ["string", "null"]}
_HEADERS = {"Link": _TEXT, "Product-Version": {"type": "integer"}, "Row-Count": {"type": "integer"}, "ETag": _TEXT}
_RATES: Json = {f"RateLimit-{name}": {"type": "integer"} for name in ("Limit", "Remaining", "Reset")}
_RATES["RateLimit-Policy"] = _TEXT


def document(prefix: str, most_listed: int, token_url: str) -> Json:
    """The description of the API at `prefix`, an address; OAuth clients get their access tokens at `token_url`."""
    return {
        "openapi": "3.1.0",
        "info": {"title": say("rows.doc.title"), "version": VERSION, "description": say("rows.doc.about")},
        "servers": [{"url": prefix}],
        "security": [{}, {"token": []}, {"oauth": [SCOPE]}],
        "paths": {
            "/products": _both(_list(most_listed)),
            "/products/{channel}/{name}": _both(_product()),
            "/products/{channel}/{name}/rows": _both(_rows()),
            "/quota": _both(_quota()),
            "/receipt": {"get": _receipt()},
            "/openapi.json": {"get": _self()},
        },
        "components": {
            "securitySchemes": security_schemes(token_url),
            "parameters": {
                "channel": _place("channel"),
                "name": _place("name"),
                "cursor": _query("cursor", {"type": "string", "pattern": "^[A-Za-z0-9_-]*$"}),
            },
            "schemas": {
                "Problem": problem_schema(),
                "Summary": _summary(),
                "Product": _described(),
                "Column": _column(),
            },
            "responses": {str(status): _error(status) for status in (400, 401, 403, 404, 406, 410, 413, 429, 500, 503)},
        },
    }


def security_schemes(token_url: str) -> Json:
    """By what a recipient's program is known."""
    flow = {"tokenUrl": token_url, "scopes": {SCOPE: say("rows.doc.oauth.read")}}
    return {
        "token": {"type": "http", "scheme": "bearer", "description": say("rows.doc.token")},
        "oauth": {"type": "oauth2", "flows": {"clientCredentials": flow}, "description": say("rows.doc.oauth")},
    }


def _both(get: Json) -> Json:
    """An address that is read, or only looked at: the same without a body."""
    bare = {
        status: {name: part for name, part in answer.items() if name != "content"}
        for status, answer in get["responses"].items()
        if "$ref" not in answer
    }
    head = {**get, "operationId": f"{get['operationId']}Head", "responses": {**get["responses"], **bare}}
    return {"get": get, "head": head}


def _list(most: int) -> Json:
    products = {"type": "array", "items": _ref("schemas", "Summary")}
    answer = {
        "type": "object",
        "required": ["products"],
        "properties": {"products": products, "next": {"type": "string", "description": say("rows.doc.next")}},
        "additionalProperties": False,
    }
    limit = {"type": "integer", "minimum": 1, "maximum": most, "default": most}
    return {
        "operationId": "listProducts",
        "summary": say("rows.doc.list"),
        "parameters": [_query("limit", limit), _ref("parameters", "cursor")],
        "responses": {"200": _json("rows.doc.list", answer, {"Link": _TEXT}), **_errors(400, 401)},
    }


def _product() -> Json:
    return {
        "operationId": "getProduct",
        "summary": say("rows.doc.product"),
        "parameters": [_ref("parameters", "channel"), _ref("parameters", "name")],
        "responses": {
            "200": _json("rows.doc.product", _ref("schemas", "Product"), {"Link": _TEXT}),
            **_errors(400, 401, 403, 404),
        },
    }


def _rows() -> Json:
    filters = {"type": "object", "additionalProperties": {"type": "string", "pattern": f"^({'|'.join(WORDS)})\\."}}
    formats = {"type": "string", "enum": list(MEDIA_TYPES)}
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT}
    several = {"type": "string", "minLength": 1}
    content: Json = {media.partition(";")[0]: {"schema": {}} for media in MEDIA_TYPES.values()}
    content["application/json"] = {"schema": {"type": "array", "items": {"type": "object"}}}
    headers = {
        name: {"schema": schema, "description": say(f"rows.doc.header.{name}")}
        for name, schema in {**_HEADERS, **_RATES}.items()
    }
    return {
        "operationId": "readRows",
        "summary": say("rows.doc.rows"),
        "parameters": [
            _ref("parameters", "channel"),
            _ref("parameters", "name"),
            {**_query("filters", filters), "style": "form", "explode": True},
            _query("fields", several),
            _query("sort", several),
            _query("limit", limit),
            _ref("parameters", "cursor"),
            _query("as_of", {"type": "integer", "minimum": 0, "maximum": 999_999_999}),
            _query("format", formats),
            _query("group", several),
            *(_query(name, several) for name in FUNCTIONS),
            {"name": "If-None-Match", "in": "header", "schema": _TEXT, "description": say("rows.doc.none_match")},
        ],
        "responses": {
            "200": {"description": say("rows.doc.rows"), "headers": headers, "content": content},
            "304": {"description": say("rows.doc.unchanged"), "headers": {"ETag": headers["ETag"]}},
            **_errors(400, 401, 403, 404, 406, 410, 413),
        },
    }


def _quota() -> Json:
    count = {"type": "integer", "minimum": 0}
    day = _object(dict.fromkeys(("per_day", "used", "left"), count))
    answer = _object(
        {
            "caller": {"type": "string", "enum": ["anonymous", "application", "organisation"]},
            "name": _OR_NULL,
            "questions": _object({"per_minute": count, "left": count}),
            "rows": day,
            "bytes": day,
            "day": {"type": "string", "format": "date"},
            "opens": {"type": "string", "format": "date-time"},
        }
    )
    return {
        "operationId": "readQuota",
        "summary": say("rows.doc.quota"),
        "responses": {"200": _json("rows.doc.quota", answer, _RATES), **_errors(401)},
    }


def _receipt() -> Json:
    day = {"type": "string", "format": "date"}
    return {
        "operationId": "signReceipt",
        "summary": say("rows.doc.receipt"),
        "parameters": [{**_query(name, day), "required": True} for name in ("first", "last")],
        "responses": {
            "200": _json("rows.doc.receipt", _object({"statement": _TEXT, "signature": _TEXT})),
            **_errors(400, 401, 413),
        },
    }


def _self() -> Json:
    answer = _json("rows.doc.self", {"type": "object"})
    return {"operationId": "describe", "summary": say("rows.doc.self"), "responses": {"200": answer, **_errors()}}


def _errors(*statuses: int) -> Json:
    return {str(status): _ref("responses", str(status)) for status in (*statuses, 429, 500, 503)}


def _error(status: int) -> Json:
    answer: Json = {
        "description": say(f"rows.title.{status}"),
        "content": {MEDIA_TYPE: {"schema": _ref("schemas", "Problem")}},
    }
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"required": True, "schema": _TEXT}}
    if status == 429:
        rates = {name: {"schema": kind} for name, kind in _RATES.items()}
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}}, **rates}
    return answer


def problem_schema() -> Json:
    """What an error looks like."""
    texts = {name: {**_TEXT, "description": say(f"rows.doc.problem.{name}")} for name in ("detail", "rule", "next")}
    return {
        "type": "object",
        "description": say("rows.doc.problem"),
        "required": ["type", "title", "status", "detail", "rule", "next"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": _TEXT,
            "status": {"type": "integer"},
            **texts,
            "parameter": {**_TEXT, "description": say("rows.doc.problem.parameter")},
        },
        "additionalProperties": False,
    }


def _summary() -> Json:
    links = {name: {"type": "string", "format": "uri"} for name in ("self", "rows", "page", "dictionary")}
    return _object(
        {
            "id": _TEXT,
            "channel": _TEXT,
            "name": _TEXT,
            "title": _object({"zh": _TEXT, "en": _TEXT}),
            "version": {"type": "integer", "minimum": 0},
            "as_of": _OR_NULL,
            "licence": _OR_NULL,
            "links": _object(links),
        }
    )


def _described() -> Json:
    summary = _summary()
    version = _object({"version": {"type": "integer", "minimum": 0}, "as_of": _OR_NULL})
    more = {
        "description": _OR_NULL,
        "key": {"type": "array", "items": _TEXT},
        "versions": {"type": "array", "items": version},
        "columns": {"type": "array", "items": _ref("schemas", "Column")},
    }
    return _object({**summary["properties"], **more})


def _column() -> Json:
    optional = dict.fromkeys(("mask", "unit", "standard", "codes", "description", "purposes", "otherwise"), _OR_NULL)
    filters = {"type": "array", "items": {"type": "string", "enum": list(WORDS)}}
    texts = dict.fromkeys(("column", "name_zh", "name_en", "type"), _TEXT)
    return _object({**texts, "level": {"type": "integer"}, **optional, "filters": filters})


def _object(properties: Mapping[str, Any]) -> Json:
    """An object with exactly these members."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
        "additionalProperties": False,
    }


def _json(code: str, schema: Json, headers: Mapping[str, Json] | None = None) -> Json:
    answer: Json = {"description": say(code), "content": {"application/json": {"schema": schema}}}
    if headers:
        answer["headers"] = {name: {"schema": kind} for name, kind in headers.items()}
    return answer


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": say(f"rows.doc.{name}")}


def _place(name: str) -> Json:
    schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": say(f"rows.doc.{name}")}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def parameters(found: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Name and description of the parameters of rows in a document, for pages."""
    rows = found["paths"]["/products/{channel}/{name}/rows"]["get"]["parameters"]
    named = [found["components"]["parameters"].get(item.get("$ref", "").rpartition("/")[2], item) for item in rows]
    return [(item["name"], item["description"]) for item in named if item["in"] == "query"]
