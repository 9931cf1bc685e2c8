"""What the protocol leaves to its servers, described: OpenAPI 3.1 of the signed addresses of files.

Of all the rest below `/delta-sharing` the protocol's own document tells. That both fit the answers is tested with
schemathesis.
"""

from collections.abc import Mapping
from typing import Any

from catalog.delivery.sharing.addresses import SIGNATURE
from pipelines.messages import say

VERSION = "1.0.0"
PROTOCOL = "https://github.com/delta-io/delta-sharing/blob/main/PROTOCOL.md"
Json = dict[str, Any]
_TEXT: Json = {"type": "string"}
_BYTES: Json = {"application/octet-stream": {"schema": {}}}


def document(prefix: str) -> Json:
    """The description of the addresses at `prefix`."""
    get = _file()
    bare = {status: {**answer, "content": {}} for status, answer in get["responses"].items() if "$ref" not in answer}
    head = {**get, "operationId": "headFile", "responses": {**get["responses"], **bare}}
    return {
        "openapi": "3.1.0",
        "info": {"title": say("sharing.doc.title"), "version": VERSION, "description": say("sharing.doc.about")},
        "externalDocs": {"url": PROTOCOL},
        "servers": [{"url": prefix}],
        "paths": {
            "/files/{channel}/{product}/v{version}/{key}/{name}": {"get": get, "head": head},
            "/openapi.json": {"get": itself()},
        },
        "components": {"schemas": {"Error": error_schema()}, "responses": error_answers()},
    }


def error_schema() -> Json:
    """What an error of the protocol looks like."""
    return {
        "type": "object",
        "required": ["errorCode", "message"],
        "properties": {"errorCode": _TEXT, "message": _TEXT},
        "additionalProperties": False,
    }


def error_answers() -> Json:
    """The errors of these roads, by status."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    found: Json = {
        str(status): {"description": say(f"sharing.doc.error.{status}"), "content": content}
        for status in (400, 401, 403, 404, 410, 416, 429, 500, 503)
    }
    found["401"]["headers"] = {"WWW-Authenticate": {"required": True, "schema": _TEXT}}
    found["429"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def errors(*statuses: int) -> Json:
    """Those that an answer may be, with what any may be."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in (*statuses, 429, 500, 503)}


def headers(*names: str) -> Mapping[str, Json]:
    """Headers of texts."""
    return {name: {"schema": _TEXT} for name in names}


def itself() -> Json:
    """The operation that answers the description."""
    answer = {"description": say("rows.doc.self"), "content": {"application/json": {"schema": {"type": "object"}}}}
    return {"operationId": "describe", "summary": say("rows.doc.self"), "responses": {"200": answer, **errors()}}


def _file() -> Json:
    places = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in ("channel", "product", "version", "key", "name")
    ]
    signed = [{"name": name, "in": "query", "schema": _TEXT} for name in ("t", "e", SIGNATURE)]
    asked = [{"name": name, "in": "header", "schema": _TEXT} for name in ("Range", "If-Range")]
    whole = {"description": say("sharing.doc.file"), "headers": headers("Link", "ETag"), "content": _BYTES}
    part = {
        **whole,
        "description": say("sharing.doc.part"),
        "content": {**_BYTES, "multipart/byteranges": {"schema": {}}},
    }
    return {
        "operationId": "readFile",
        "summary": say("sharing.doc.file"),
        "parameters": [*places, *signed, *asked],
        "responses": {"200": whole, "206": part, **errors(401, 403, 404, 410, 416)},
    }
