"""The written form of a source contract: how it is pulled and loaded, and what is asked of its rows.

What products say in the same words, of erasure and retention, is here too.
"""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.contracts.forms.fields import ColumnForm
from pipelines.contracts.forms.words import (
    BatchPolicy,
    ConnectorCall,
    CursorColumns,
    Cycle,
    Day,
    DerivationCall,
    DriftPolicy,
    FieldName,
    Name,
    Overlap,
    Retention,
    RuleCall,
    Semver,
    Share,
    SourceName,
    Strict,
    Text,
)


class SourceSla(Strict):
    """How often the owner delivers, and how long rows are kept."""

    frequency: Cycle
    retention: Retention


class Keyed(Strict):
    """What every load mode has: the columns that tell rows apart."""

    key: Annotated[list[FieldName], Field(min_length=1)]


class FullReplace(Keyed):
    """A delivery is the whole table: what is not in it is gone, however much that is."""

    mode: Literal["full_replace"]
    newest: FieldName | None = None
    volumeFloor: Share


class SnapshotDiff(Keyed):
    """A delivery is the whole table, compared with the last one. Ceilings are shares of the rows known before."""

    mode: Literal["snapshot_diff"]
    newest: FieldName | None = None
    deletionCeiling: Share = 0.02
    volumeFloor: Share


class CursorLoad(Keyed):
    """A delivery is the rows changed since the last one, less an overlap for late rows; nothing is deleted.

    Of several columns the first is what overlaps are counted in; the others decide between rows that it does not.
    """

    mode: Literal["cursor"]
    cursor: CursorColumns
    overlap: Overlap = 0


class ChangeLog(Keyed):
    """A delivery is changes in `order`; `operation` says I, U or D."""

    mode: Literal["change_log"]
    order: FieldName
    operation: FieldName
    overlap: Overlap = 0


class Append(Keyed):
    """A delivery is events that never change; a key that is known already is a replay."""

    mode: Literal["append"]
    cursor: CursorColumns | None = None
    overlap: Overlap = 0


Load = Annotated[FullReplace | SnapshotDiff | CursorLoad | ChangeLog | Append, Field(discriminator="mode")]
WholeTable = FullReplace | SnapshotDiff


def newest(load: Load) -> tuple[str, ...]:
    """The columns that order rows with one key, the first deciding: the greatest counts. None: they have no order."""
    named = next((getattr(load, name) for name in ("newest", "cursor", "order") if hasattr(load, name)), None)
    return () if named is None else (named,) if isinstance(named, str) else tuple(named)


def position(load: Load) -> tuple[str, ...]:
    """The columns whose greatest values are where the next pull goes on; none: all is pulled each time."""
    return () if isinstance(load, FullReplace | SnapshotDiff) else newest(load)


class DriftForm(Strict):
    """What happens when a source changes what it sends: evolve (noted, goes on), freeze (goes on, an error until the
    contract says so), quarantine (the column's values are not taken over), stop (the batch is held for the steward).
    """

    new_column: BatchPolicy = "evolve"
    retyped: DriftPolicy = "freeze"
    codes: DriftPolicy = "evolve"
    units: DriftPolicy = "stop"
    encoding: DriftPolicy = "stop"
    digits: DriftPolicy = "stop"
    mix: DriftPolicy = "evolve"
    volume: BatchPolicy = "evolve"


class CorrectionForm(Strict):
    """A guarded correction: `column` of the row with the key `where` becomes `set` as long as `expect` is delivered.

    Values are cleaned texts; null is no value. `status`: whether its owner was told (sent), and agreed (confirmed).
    """

    id: Name
    column: FieldName
    where: Annotated[dict[FieldName, Text], Field(min_length=1)]
    expect: Text | None
    set: Text | None
    reason: Text
    status: Literal["open", "sent", "confirmed"]
    since: Day


class LinkageForm(Strict):
    """By which columns a row says who it is about. A row whose number is right is about whom the number says; others
    are linked to whom their other marks fit (pipelines/linkage), and until then are about nobody.

    `registers`: it registers persons under numbers that are taken as issued; rows are linked to those. `person`: the
    derived column that the number becomes.
    """

    registers: bool = False
    person: FieldName
    id_number: FieldName
    name: FieldName
    sex: FieldName | None = None
    birth_date: FieldName | None = None
    division: FieldName | None = None
    address: FieldName | None = None
    mobile: FieldName | None = None

    @property
    def marks(self) -> dict[str, str]:
        """The marks that the source has: mark -> column. `person` is none of them."""
        return {mark: str(name) for mark, name in self if mark not in ("registers", "person") and name is not None}


class AddressForm(Strict):
    """A column of addresses that are matched to standard ones (pipelines/geo); `division`: where it says they are."""

    column: FieldName
    division: FieldName | None = None


Confidence = Literal["high", "medium", "low"]


class ErasureRefusal(Strict):
    """Why the rows of a source stay when a person is erased: the legal basis, where it was read, how sure it is."""

    basis: Text
    source: Text
    confidence: Confidence


class ErasureForm(Strict):
    """What the erasure of a person does to the rows in which the person stands; without it such a row goes.

    `cells`: the row is about something else, or about others too. By column of the person's id the columns that tell
    of the person: they are emptied with it, and the row stays.
    """

    cells: dict[FieldName, list[FieldName]] = {}


class SourceErasureForm(ErasureForm):
    """The same for a source. `refused`: its rows stay, and the receipt of the erasure says why."""

    refused: ErasureRefusal | None = None


class GroundForm(Strict):
    """The source of the areas that the things of a layer stand on, the column that both have, and the areas' shapes."""

    source: SourceName
    key: FieldName
    shape: FieldName


class LayerForm(Strict):
    """Things on the map: the column of their geometry, the one whose first six characters are the county that a row
    says they lie in, and what they stand on. A run looks where they are (pipelines/geo/layers).
    """

    shape: FieldName
    county: FieldName | None = None
    ground: GroundForm | None = None


class SourceForm(Strict):
    """data_contracts/sources/<org>/<dataset>.yaml

    `across`: rules about this source and another, asked of what is admitted of both when a run has pulled everything;
    they refuse no row, what they find is an issue of the owner. `tells`: by column of a person's id the columns that
    tell who that is besides those of `erasure`; whom the row is shown to, if that is somebody else, does not see them.
    """

    name: Text
    nameEn: Text
    version: Semver
    status: Literal["draft", "active", "deprecated", "retired"]
    description: Text
    connector: ConnectorCall
    load: Load
    slaProperties: SourceSla
    ignored: list[Text] = []
    properties: Annotated[list[FieldName | ColumnForm], Field(min_length=1)]
    derived: list[Annotated[dict[FieldName, DerivationCall], Field(min_length=1, max_length=1)]] = []
    quality: list[RuleCall] = []
    linkage: LinkageForm | None = None
    addresses: list[AddressForm] = []
    layer: LayerForm | None = None
    drift: DriftForm = DriftForm()
    corrections: list[CorrectionForm] = []
    across: list[RuleCall] = []
    erasure: SourceErasureForm = SourceErasureForm()
    tells: dict[FieldName, list[FieldName]] = {}
