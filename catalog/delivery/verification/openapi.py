"""The verification service described by itself: OpenAPI 3.1. That it fits is tested with schemathesis."""

from typing import Any

from catalog.delivery.rows.openapi import security_schemes
from catalog.delivery.sharing.openapi import error_answers, error_schema, errors, headers, itself
from catalog.delivery.verification.licences import Verdict
from catalog.policy.administration import SCOPE
from pipelines.messages import say

VERSION = "1.0.0"
Json = dict[str, Any]


def document(prefix: str, token_url: str) -> Json:
    """The description of the service at `prefix`; OAuth clients get their access tokens at `token_url`."""
    return {
        "openapi": "3.1.0",
        "info": {"title": say("verify.doc.title"), "version": VERSION, "description": say("verify.doc.about")},
        "servers": [{"url": prefix}],
        "security": [{"token": []}, {"oauth": [SCOPE]}],
        "paths": {"/licence/{identifier}": {"get": _licence()}, "/openapi.json": {"get": {**itself(), "security": []}}},
        "components": {
            "securitySchemes": security_schemes(token_url),
            "schemas": {"Error": error_schema()},
            "responses": error_answers(),
        },
    }


def _licence() -> Json:
    day: Json = {"type": "string", "format": "date"}
    answer: dict[str, Json] = {
        "identifier": {"type": "string"},
        "genuine": {"type": "boolean"},
        "verdict": {"type": "string", "enum": [one.value for one in Verdict]},
        "asOf": day,
        "knownOn": {**day, "type": ["string", "null"]},
        "inForce": {"type": ["boolean", "null"]},
        "licence": {"type": ["object", "null"]},
    }
    told = {name: {**schema, "description": say(f"verify.doc.{name}")} for name, schema in answer.items()}
    schema = {"type": "object", "required": list(told), "properties": told, "additionalProperties": False}
    found = {
        "description": say("verify.doc.answer"),
        "headers": headers("Link"),
        "content": {"application/json": {"schema": schema}},
    }
    about = say("verify.doc.place")
    place = {"name": "identifier", "in": "path", "required": True, "schema": {"type": "string"}, "description": about}
    on = {"name": "on", "in": "query", "schema": day, "description": say("verify.doc.on")}
    return {
        "operationId": "verifyLicence",
        "summary": say("verify.doc.answer"),
        "parameters": [place, on],
        "responses": {"200": found, **errors(400, 401, 403, 404)},
    }
