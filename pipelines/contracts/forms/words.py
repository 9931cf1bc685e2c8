"""What all written forms are made of: names, texts, days, levels, verbs with their arguments, and no unknown keys.

Forms of files and of their parts do not belong here.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME = re.compile(r"[a-z][a-z0-9_]*")
NAME_PATTERN = f"^{NAME.pattern}$"
SEMVER_PATTERN = r"^[0-9]+\.[0-9]+\.[0-9]+$"
RETENTION_PATTERN = r"^([1-9][0-9]*[dmy]|永久)$"
DAY_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
MOMENT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1)]
ProductName = Annotated[str, StringConstraints(pattern=r"^(open|sharing|analyst)/[a-z][a-z0-9_]*$")]
Day = Annotated[str, StringConstraints(pattern=DAY_PATTERN)]
Moment = Annotated[str, StringConstraints(pattern=MOMENT_PATTERN)]
Semver = Annotated[str, StringConstraints(pattern=SEMVER_PATTERN)]
Level = Annotated[int, Field(ge=1, le=4)]
Share = Annotated[float, Field(gt=0, le=1)]
Overlap = Annotated[int, Field(ge=0)]
"""How far a pull steps back behind the last: seconds for times, days for dates, units for numbers."""
GeometryKind = Literal["point", "line", "polygon"]
LogicalType = Literal["string", "integer", "number", "date", "timestamp", "boolean"]
Cycle = Literal["实时", "每日", "每周", "每月", "每季度", "每半年", "每年", "不定期"]
Retention = Annotated[str, StringConstraints(pattern=RETENTION_PATTERN)]
DriftPolicy = Literal["evolve", "freeze", "quarantine", "stop"]
BatchPolicy = Literal["evolve", "freeze", "stop"]
"""What concerns no column of the contract has none to quarantine."""
Call = Name | Annotated[dict[Name, dict[str, Any]], Field(min_length=1, max_length=1)]
"""A verb: its name, or its name with arguments."""


def _listed(kind: str) -> Any:
    """Mark names that editors may complete from a list; `schema` fills the list in."""
    return Field(json_schema_extra={"x-list": kind})


FieldName = Annotated[Name, _listed("field")]
CodeListName = Annotated[Name, _listed("code_list")]
OrganisationName = Annotated[Name, _listed("organisation")]
MaskName = Annotated[Name, _listed("mask")]
PurposeName = Annotated[Name, _listed("purpose")]
SourceName = Annotated[Text, _listed("source")]
StepCall = Annotated[Call, _listed("step")]
RuleCall = Annotated[Call, _listed("rule")]
ConnectorCall = Annotated[Call, _listed("connector")]
DerivationCall = Annotated[Call, _listed("derivation")]


CursorColumns = FieldName | Annotated[list[FieldName], Field(min_length=1)]


class Strict(BaseModel):
    """No unknown keys, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
