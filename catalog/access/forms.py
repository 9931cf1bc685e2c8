"""What bodies of requests must look like. Whether names exist and limits mean something is the policy's to say."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_PLAIN = r"^[^\x00-\x1f\x7f]+$"
"""No control characters: no register keeps them all."""
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN)]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=_PLAIN)]
Code = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9_./-]+$")]
Codes = Annotated[list[Code], Field(min_length=1, max_length=1000)]
Days = Annotated[int, Field(ge=1, le=3650, strict=True)]


class Form(BaseModel):
    """A body: nothing but its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Form):
    """An act that needs no more than its address."""


class NewName(Form):
    """A recipient or an application."""

    name: Name
    organisation: Code


class NewToken(Form):
    """A token, or an OAuth client."""

    recipient: Name
    application: Name | None = None
    kind: Literal["token", "client"] = "token"
    days: Days = 90


class Rotation(Form):
    """A successor; the old one stays good for `overlap_hours`."""

    overlap_hours: Annotated[int, Field(ge=0, le=9999, strict=True)] = 7 * 24
    days: Days = 90


class Renewal(Form):
    """A successor of what the caller shows; the old one stays good for `overlap_hours`."""

    overlap_hours: Annotated[int, Field(ge=0, le=9999, strict=True)] = 24


class NewGrant(Form):
    """A grant; what is left out is not limited."""

    recipient: Name
    product: Code
    purpose: Text
    case_number: Name | None = None
    divisions: Codes | None = None
    organisations: Codes | None = None
    columns: Codes | None = None
    roads: Codes | None = None
    days: Days = 180


class Cut(Form):
    """Whom to cut off or to let in again, and why."""

    whom: Literal["recipient", "organisation"]
    name: Name
    why: Text
