"""What every question of the API has: a body of JSON in a known form, and secrets in answers that nobody keeps."""

from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from pydantic import TypeAdapter, ValidationError

from catalog.access.forms import Form
from catalog.access.refusals import Refusal
from catalog.delivery.desk import Desk
from catalog.policy import administration

Asked = TypeVar("Asked", bound=Form)
NOT_KEPT: Final = {"Cache-Control": "no-store"}


async def _body(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_body)]


def require_json(request: Request) -> None:
    """Raises Refusal for a body that does not say it is JSON: a form of another site cannot say so."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "no_json")


def form_of(kind: type[Asked], body: bytes) -> Asked:
    """The body in its form. Raises Refusal."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Refusal(400, "unreadable") from error
        field = ".".join(map(str, first["loc"]))[:80]
        raise Refusal(422, "body", field or None, field=field or "—") from error


def shown(found: Any) -> dict[str, Any]:
    """One thing as JSON."""
    made: dict[str, Any] = TypeAdapter(type(found)).dump_python(found, mode="json")
    return made


def issued(desk: Desk, made: administration.IssuedToken | administration.IssuedClient) -> dict[str, Any]:
    """What was issued as JSON, with its Delta Sharing profile."""
    return {**shown(made), "profile": administration.profile(made, f"{desk.url}/delta-sharing")}
