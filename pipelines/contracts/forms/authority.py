"""The written form of authority.yaml: which source says what a field is."""

from typing import Annotated

from pydantic import Field

from pipelines.contracts.forms.sources import Confidence
from pipelines.contracts.forms.words import Day, FieldName, Name, SourceName, Strict, Text


class ClaimForm(Strict):
    """One entry of authority.yaml: a source that may say what a field is, on what basis, and on which days.
    `confidence`: how sure it is that this source knows better than those below it."""

    source: SourceName
    column: FieldName | None = None
    basis: Text
    confidence: Confidence
    since: Day = Field(alias="from")
    until: Day | None = Field(default=None, alias="to")


AuthorityForm = dict[Text, Annotated[dict[Name, Annotated[list[ClaimForm], Field(min_length=1)]], Field(min_length=1)]]
"""authority.yaml: product contract -> column -> claims in order."""
