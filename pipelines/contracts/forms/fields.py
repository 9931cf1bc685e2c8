"""The written form of fields.yaml, and of the columns of contracts, whose keys override it."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.contracts.forms.words import (
    CodeListName,
    FieldName,
    GeometryKind,
    Level,
    LogicalType,
    RuleCall,
    StepCall,
    Strict,
    Text,
)


class TypeOptions(Strict):
    """Limits of a value: lengths in characters, bounds inclusive; dates may be `today`, `tomorrow` or `today+N`."""

    maxLength: Annotated[int, Field(ge=1)] | None = None
    pattern: Text | None = None
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None


class GeometryForm(Strict):
    """A value is a geometry in well-known text: one or several points, lines or polygons, in degrees of `crs`.

    `schematic` (示意图): it is drawn roughly, without a 审图号, and never shown in the open channel.
    """

    kind: GeometryKind
    crs: Literal["EPSG:4490"]
    schematic: bool = False


class FieldLowering(Strict):
    """What more sensitive fields a field is made from, and why it is less sensitive. `generalised`: it is computed from
    them and coarser, never a copy. `selected`: it shows only those of their values that are about somebody or something
    less protected, legal persons for instance.
    """

    sources: Annotated[list[FieldName], Field(min_length=1)] = Field(alias="from")
    by: Literal["generalised", "selected"]


class FieldDefinition(Strict):
    """One entry of fields.yaml."""

    businessName: Text
    businessNameEn: Text
    description: Text | None = None
    standard: Text | None = None
    unit: Text | None = None
    logicalType: LogicalType
    logicalTypeOptions: TypeOptions = TypeOptions()
    classification: Level
    personal: Literal["person", "id_number", "name", "mobile", "address"] | None = None
    geometry: GeometryForm | None = None
    codes: CodeListName | None = None
    clean: list[StepCall] = []
    quality: list[RuleCall] = []
    lowered: FieldLowering | None = None

    @property
    def schematic(self) -> bool:
        """Whether it is a geometry that is drawn roughly."""
        return self.geometry is not None and self.geometry.schematic


class ColumnForm(Strict):
    """A column of a contract; every key but `name` overrides fields.yaml."""

    name: FieldName
    physicalName: Text | None = None
    required: bool = False
    unique: bool = False
    description: Text | None = None
    classification: Level | None = None
    logicalTypeOptions: TypeOptions | None = None
    clean: list[StepCall] | None = None
    quality: list[RuleCall] | None = None


class ProductColumnForm(ColumnForm):
    """A column of a product contract. `transformSourceObjects`: what it is computed from, as `column` of the same row,
    `<org>/<dataset>.column`, `<model>.column` or `edition.as_of`; a column taken over as it is says nothing.
    """

    transformSourceObjects: list[Text] = []
