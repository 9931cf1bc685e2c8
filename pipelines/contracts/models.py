"""The written form of contracts: what keys an author may use. Keys are those of ODCS 3.2 where it has one.

Structure only; what names refer to is resolved in `load`. The JSON Schema for editors is generated from these classes.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

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


class ShareForm(Strict):
    """共享属性: the sharing type with its condition or legal basis."""

    type: Literal["无条件共享", "有条件共享", "不予共享"]
    condition: Text | None = None
    basis: Text | None = None
    mode: Text | None = None


class OpenForm(Strict):
    """开放属性: the opening type with its condition or legal basis."""

    type: Literal["无条件开放", "有条件开放", "不予开放"]
    condition: Text | None = None
    basis: Text | None = None


class CatalogueForm(Strict):
    """政务信息资源目录 elements that cannot be derived: the class code, the number in it, the format."""

    classCode: Annotated[str, StringConstraints(pattern=r"^[0-9]{6,12}$")]
    number: Annotated[int, Field(ge=1, le=999999)]
    format: Literal["电子文件", "电子表格", "数据库", "图形图像", "流媒体", "自描述格式"]


class Breakdown(Strict):
    """How counts beside the main one are made up: `groups` that share nobody and together are the main count, and of
    which of them each shown count consists. The counts must determine every group.

    `diversity`: at least so many groups must have anybody, or a row tells what everybody in it has in common;
    `closeness`: at most so far (half the sum of differences of shares, 0 to 1) may the shares of a row be from those of
    the table. Both hold unless `insensitive` says why the groups tell nothing of the people who are counted.
    """

    groups: Annotated[list[Name], Field(min_length=2, max_length=8)]
    counts: Annotated[dict[FieldName, Annotated[list[Name], Field(min_length=1)]], Field(min_length=1, max_length=8)]
    diversity: Annotated[int, Field(ge=2)] = 2
    closeness: Annotated[float, Field(gt=0, le=1)] = 0.5
    insensitive: Text | None = None


class OnlyWhere(Strict):
    """The rows of a table that count people; the others are shown as they are. `unshown`: rows whose figures the
    channel never shows, for with them it could be told what other open products withhold. `alike`: rows in which a
    count of these stands again (the kind of row, and which it is taken from): they lose their figures with it.
    """

    column: FieldName
    values: Annotated[list[str], Field(min_length=1)]
    unshown: list[str] = []
    alike: dict[str, str] = {}


class CountedBeside(Strict):
    """Another open product that is made from counts of the same people or cases. `totals`: the counts of which it shows
    what they are together under each total of `within`, at most one of each breakdown; `because`: why nothing else that
    it shows is a sum of these.
    """

    totals: list[FieldName] = []
    because: Text


class Anonymity(Strict):
    """k-anonymity of a table of counts: rows with fewer than k are withheld, and counts in a row that tell of fewer.

    `within`: the columns whose totals are published elsewhere, for instance the county; what is withheld must not
    follow from them. `breakdowns`: what the other counts are made of; `rates`: columns computed from one of these,
    withheld with it. `emptied`: rows stay, without their figures, because everybody knows which rows there are.
    `beside`: every other open product that is made from counts of the same source of persons.
    """

    k: Annotated[int, Field(ge=2)]
    count: FieldName
    quasi: Annotated[list[FieldName], Field(min_length=1)]
    within: list[FieldName] = []
    breakdowns: list[Breakdown] = []
    rates: dict[FieldName, FieldName] = {}
    only: OnlyWhere | None = None
    emptied: bool = False
    beside: dict[ProductName, CountedBeside] = {}

    @property
    def totals(self) -> frozenset[str]:
        """The counts beside the main one of which other open products show the totals."""
        return frozenset(name for one in self.beside.values() for name in one.totals)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that it names."""
        counts = [name for breakdown in self.breakdowns for name in breakdown.counts]
        only = [self.only.column] if self.only else []
        return (self.count, *self.quasi, *self.within, *counts, *self.rates, *only)


class Lookup(Strict):
    """A product of which rows are given one `key` at a time, by the verification service and by no other road, and at
    most so many times a minute to each recipient.
    """

    key: FieldName
    perMinute: Annotated[int, Field(ge=1, le=6000)]


class ChannelColumn(Strict):
    """A column that a channel shows: from which column of the model, through which mask. `purposes`: those of grants
    that it is shown for; for any other through the mask `otherwise`, or not at all without one.
    """

    name: FieldName
    source: FieldName | None = Field(default=None, alias="from")
    mask: MaskName | None = None
    purposes: list[PurposeName] = []
    otherwise: MaskName | None = None


class OrganisationRows(Strict):
    """The column that says by a code of `departments` (a code list whose column `organisation` says whose it is, or the
    list of organisations itself) which organisation a row belongs to: grants may be limited by it.
    """

    column: FieldName
    departments: CodeListName


Approval = Literal["standing", "each"]
"""How often two persons say that a product may be released: once for what it shows, or before each release."""


class ReleaseForm(Strict):
    """What the release of a product waits for besides the gate: two persons (never less than its channel asks in
    `city.yaml`), and a moment by the city's clocks before which no run releases it.
    """

    approval: Approval | None = None
    notBefore: Moment | None = None


class ChannelForm(Strict):
    """One product: the allow-listed columns of the model in one channel."""

    product: Name
    name: Text
    nameEn: Text
    description: Text | None = None
    licence: Text | None = None
    rows: FieldName | None = None
    organisations: OrganisationRows | None = None
    anonymity: Anonymity | None = None
    lookup: Lookup | None = None
    release: ReleaseForm = ReleaseForm()
    properties: Annotated[list[FieldName | ChannelColumn], Field(min_length=1)]


class HandedOutForm(ChannelForm):
    """A channel whose files leave the platform: whoever gets them is told the terms of use."""

    licence: Text


class Overruled(Strict):
    """A text of a column in which the search for personal values finds what is none, and why a steward says so."""

    column: FieldName
    text: Annotated[str, Field(min_length=2, max_length=200)]
    reason: Text


class OpenChannelForm(HandedOutForm):
    """What anybody may have: counts of people under `anonymity`, or the reason why no figure in it is one.

    `reviewed`: columns that are made from what a register of persons says and yet tell of nobody, each with the reason.
    `overruled`: what the search for personal values is not to find; nothing longer is hidden by it.
    """

    notAboutPersons: Text | None = None
    reviewed: dict[FieldName, Text] = {}
    overruled: list[Overruled] = []


class Channels(Strict):
    """The channels of a model; a channel that is not named does not exist."""

    sharing: HandedOutForm | None = None
    open: OpenChannelForm | None = None
    analyst: ChannelForm | None = None


class ProductLowering(Strict):
    """Why what decides a model's rows, and which values stand in them, is no more sensitive than `to`, though these
    fields (or rows of these released models) do. `columns`: whose own values are lowered with it, keys of groups say.

    `aggregated`: rows are groups, of which counts are shown. `identity`: a number only tells which rows are about the
    same, or come first; neither it nor a part of it is shown. `selected`: it only tells what is left out.
    """

    sources: Annotated[list[Name], Field(min_length=1)] = Field(alias="from")
    to: Level
    by: Literal["aggregated", "identity", "selected"]
    because: Text
    columns: list[FieldName] = []


class NoticeOutcome(Strict):
    """The model in which rows stay, whatever becomes of them, and the column that says what became of them."""

    model: Name
    column: FieldName


class Notice(Strict):
    """Rows that a department is told of, in an issue of its own: of those that end for each `kind` and month of `ends`,
    of those that are superseded (since `ends`) and still called valid for each `kind`.

    `to`: the column with the department's credit code; `departments`: the code list whose column `organisation` says
    whose it is. When none of these rows is left, the issue closes with what `outcome` says became of them.
    """

    to: FieldName
    departments: CodeListName
    about: Literal["ending", "superseded"]
    kind: FieldName
    ends: FieldName
    outcome: NoticeOutcome | None = None


class ProductForm(Strict):
    """data_contracts/products/<library>/<dataset>.yaml: a released model and what channels may see of it.

    `advice`: rules that do not close the gate; what they find is an open issue of the owner. `shownUntil`: the column
    with the last day on which a row may be shown; afterwards no channel gives the row out, released again or not.
    `endedBy`: by source the column in which its rows name the row of this model that they may end; where such a row was
    refused and what it names is still shown, the owner is told.
    """

    name: Text
    nameEn: Text
    version: Semver
    status: Literal["draft", "active", "deprecated", "retired"]
    description: Text
    model: Name
    owner: OrganisationName
    key: Annotated[list[FieldName], Field(min_length=1)]
    share: ShareForm
    open: OpenForm
    slaProperties: SourceSla
    catalogue: CatalogueForm
    properties: Annotated[list[FieldName | ProductColumnForm], Field(min_length=1)]
    quality: list[RuleCall] = []
    advice: list[RuleCall] = []
    erasure: ErasureForm = ErasureForm()
    tells: dict[FieldName, list[FieldName]] = {}
    lowered: ProductLowering | None = None
    notice: Notice | None = None
    shownUntil: FieldName | None = None
    endedBy: dict[SourceName, FieldName] = {}
    channels: Channels = Channels()


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


class ConnectionForm(Strict):
    """Where a source lives; `secret` names the environment variable or file that holds the connection string.
    `sessions`: how many pulls may ask a database at a time, each over one session."""

    description: Text
    secret: Name
    sessions: Annotated[int, Field(ge=1, le=64)] | None = None


class LevelForm(Strict):
    """A sensitivity level's names; `approval`: a grant that shows a column of it needs a second person's approval."""

    name: Text
    nameEn: Text
    approval: bool = False


class ChannelPolicy(Strict):
    """A channel's names and the highest level it may show; `maxPseudonymised` for values that a keyed mask replaced.

    `approval`: the release of a product that shows a column of this level or a higher one waits for two persons.
    """

    name: Text
    nameEn: Text
    maxLevel: Level
    maxPseudonymised: Level | None = None
    approval: dict[Level, Approval] = {}

    def asks(self, level: int) -> Approval | None:
        """How often two persons release what shows a column of this level: the strictest of all levels up to it."""
        wanted = {approval for lowest, approval in self.approval.items() if lowest <= level}
        return "each" if "each" in wanted else "standing" if "standing" in wanted else None

    def limit(self, pseudonymised: bool) -> int:
        """The highest level of a column, which is higher for one that shows pseudonyms only."""
        return max(self.maxLevel, self.maxPseudonymised or 0) if pseudonymised else self.maxLevel


class AddressBookForm(Strict):
    """What addresses are matched with: the sources of standard addresses, divisions and boundaries of counties."""

    standard: SourceName
    divisions: SourceName
    boundaries: SourceName


WhenEnded = Literal["keep", "empty"]
"""Whether what was delivered stays at the recipient's or is taken away when the product is withdrawn or the grant is
over."""
DivisionCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}([0-9]{3}){0,2}$")]
FolderPath = Annotated[str, StringConstraints(pattern=r"^[^\s./\\][^\s/\\]*(/[^\s./\\][^\s/\\]*)*$")]
"""Below the folder that the connection string names; no part begins with a dot."""


class DeliveryForm(Strict):
    """库表: a product kept up to date in a table of a recipient's own database, `table` or `schema.table`.

    Whether the recipient may have it is for grants to say, at every delivery.
    """

    recipient: Text
    product: ProductName
    connection: Name
    table: Annotated[str, StringConstraints(pattern=r"^[^.\s]+(\.[^.\s]+)?$")]
    changes: bool = False
    """Whether each change is a row of a second table too, named as this one and `_changes`."""
    whenEnded: WhenEnded = "keep"


class PackagesForm(Strict):
    """What packages of files hold: `full` is always the whole product, `changes` what changed since the package before,
    where that can be told. `geojson`: of products that show a geometry."""

    product: ProductName
    formats: Annotated[list[Literal["csv", "parquet", "json", "ndjson", "xlsx", "geojson"]], Field(min_length=1)] = [
        "csv"
    ]
    content: Literal["full", "changes"] = "changes"
    whenEnded: WhenEnded = "keep"


class FileDeliveryForm(PackagesForm):
    """文件: packages of a product put into a folder at a recipient's: of a mount, an SFTP server or an S3 bucket."""

    recipient: Text
    connection: Name
    folder: FolderPath


class ReturnTo(Strict):
    """Who receives the rows of one division, and where."""

    recipient: Text
    connection: Name
    folder: FolderPath


class ReturnForm(PackagesForm):
    """回流: the rows of each division that is named (a county, town or village) in packages of their own, as far as the
    grant of that division's own recipient goes."""

    by: Literal["division"]
    to: Annotated[dict[DivisionCode, ReturnTo], Field(min_length=1)]


def _delivery_kind(form: Any) -> str:
    keys = form if isinstance(form, dict) else form.__class__.model_fields
    return "return" if "by" in keys or "to" in keys else "files" if "folder" in keys else "table"


AnyDelivery = Annotated[
    Annotated[DeliveryForm, Tag("table")]
    | Annotated[FileDeliveryForm, Tag("files")]
    | Annotated[ReturnForm, Tag("return")],
    Discriminator(_delivery_kind),
]


MonthDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]


class WorkYear(Strict):
    """A year as announced: weekdays that are off, weekend days that are worked, and who says so."""

    off: list[Day]
    worked: list[Day] = []
    source: Text


class WorkCalendarForm(Strict):
    """Years that are announced; `statutory`: the days (MM-DD) that are off in every year, by law."""

    years: dict[Annotated[int, Field(ge=2000, le=2199)], WorkYear]
    statutory: list[MonthDay]


Duty = Literal["verification", "acknowledgement", "correction", "delivery", "recall"]
"""What somebody has to do about an issue by a day: verify what was raised, say that a correction was taken over,
correct what runs found, deliver what is late, answer a withdrawal."""


class DeadlineForm(Strict):
    """So many working days for a duty, where that is said and how far this was checked."""

    days: Annotated[int, Field(ge=1, le=250)]
    basis: Text
    confidence: Text


class WorkForm(Strict):
    """Expensive work at once in one process of the catalogue: so many at work, so many waiting for so long."""

    places: Annotated[int, Field(ge=1, le=64)] = 2
    waiting: Annotated[int, Field(ge=0, le=32)] = 16
    seconds: Annotated[float, Field(gt=0, le=60)] = 5


class QuotaForm(Strict):
    """What one caller may have: questions a minute, rows and bytes of data a day."""

    perMinute: Annotated[int, Field(ge=1, le=1_000_000)]
    rowsPerDay: Annotated[int, Field(ge=1, le=10**15)]
    bytesPerDay: Annotated[int, Field(ge=1, le=10**18)]


class CallersForm(Strict):
    """Limits by class of caller: without a token by address, a token of an application, any other token."""

    anonymous: QuotaForm = QuotaForm(perMinute=1_200, rowsPerDay=10_000_000, bytesPerDay=10_000_000_000)
    application: QuotaForm = QuotaForm(perMinute=12_000, rowsPerDay=200_000_000, bytesPerDay=200_000_000_000)
    organisation: QuotaForm = QuotaForm(perMinute=12_000, rowsPerDay=200_000_000, bytesPerDay=200_000_000_000)


class CredentialsForm(Strict):
    """Tokens and client secrets. `perMinute`: wrong ones, from one network or naming one id, before more are refused;
    `renewDays`: how long at most a successor lives that a recipient makes itself, 0 for none, `overlapHours` the old
    one beside it; `renewUntilDays`: none lives longer than so many days from what an administrator issued.
    """

    perMinute: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    renewDays: Annotated[int, Field(ge=0, le=3660)] = 90
    renewUntilDays: Annotated[int, Field(ge=1, le=3660)] = 365
    overlapHours: Annotated[int, Field(ge=0, le=8760)] = 168


class SignInForm(Strict):
    """How people who administer sign in, and where that is said.

    `passwordLength`: characters at least; `passwordDays`: days after which a password is changed, none if it never has
    to; after `tries` wrong tries in a row an account is closed for `lockMinutes`, twice as long with each time;
    `idleMinutes` and `hours`: after so much time without a page, or since signing in, a session is over.
    """

    passwordLength: Annotated[int, Field(ge=8, le=64)] = 12
    passwordDays: Annotated[int, Field(ge=1, le=3660)] | None = None
    tries: Annotated[int, Field(ge=3, le=20)] = 5
    lockMinutes: Annotated[int, Field(ge=1, le=1440)] = 15
    idleMinutes: Annotated[int, Field(ge=1, le=1440)] = 30
    hours: Annotated[int, Field(ge=1, le=24)] = 8
    basis: Text = "—"
    confidence: Text = "—"


class LimitsForm(Strict):
    """How much callers may ask of the catalogue."""

    work: WorkForm = WorkForm()
    callers: CallersForm = CallersForm()
    credentials: CredentialsForm = CredentialsForm()


class AnomaliesForm(Strict):
    """When reads are not as those before, by grant (or recipient and product that needs none) and day of the city, and
    where that is said.

    A day is held against the days of the last `pastDays` on which there were reads, if these are `leastDays`: its rows
    are more than `floor`, than `times` their median, and than the median and `deviations` (1.4826 MAD). Before, they
    are more than `floor` and than `times` the rows of the product. Or there are reads before the hour `opens`, from the
    hour `closes` on, or when nobody works, and fewer than `leastDays` of the days before had such. `refusals`: so many
    tries of one recipient in a day of what no grant opens.
    """

    pastDays: Annotated[int, Field(ge=1, le=366)]
    leastDays: Annotated[int, Field(ge=1, le=366)]
    deviations: Annotated[float, Field(gt=0, le=1000)]
    times: Annotated[float, Field(ge=1, le=1000)]
    floor: Annotated[int, Field(ge=1, le=10**15)]
    opens: Annotated[int, Field(ge=0, le=24)]
    closes: Annotated[int, Field(ge=0, le=24)]
    refusals: Annotated[int, Field(ge=1, le=1_000_000)]
    basis: Text
    confidence: Text


class TimeStampForm(Strict):
    """Who puts time stamps (RFC 3161) on the heads of ledger and audit: `address`, over HTTP, and the `certificate`
    (PEM) of the authority, or of who issued its."""

    address: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s]+$")]
    certificate: Annotated[str, StringConstraints(pattern=r"^-----BEGIN CERTIFICATE-----\n")]


class HeadsAwayForm(Strict):
    """Where each signed head of ledger and audit goes when a run ends: a `folder` outside of this system, mounted."""

    folder: Annotated[str, StringConstraints(pattern=r"^/")]


class DeviceForm(Strict):
    """A key that is not kept here: `command` is run in the folder `secrets/signing`, gets a message on its standard
    input and writes the signature in DER to its standard output (GB/T 32918.2, SM3, user 1234567812345678)."""

    algorithm: Literal["sm2"]
    publicKey: Annotated[
        str, StringConstraints(pattern=r"^-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAE")
    ]
    command: Annotated[list[Text], Field(min_length=1)]


class SigningForm(Strict):
    """Who signs heads and receipts: a `device`, or the Ed25519 key of the installation. `former`: devices of before,
    which hand over to it and whose receipts still count."""

    device: DeviceForm | None = None
    former: list[DeviceForm] = []


class CityForm(Strict):
    """data_contracts/city.yaml"""

    name: Text
    nameEn: Text
    division: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
    timezone: Text
    operator: OrganisationName
    connections: dict[Name, ConnectionForm]
    deliveries: dict[Name, AnyDelivery] = {}
    addressBook: AddressBookForm | None = None
    workCalendar: WorkCalendarForm | None = None
    deadlines: dict[Duty, DeadlineForm] = {}
    levels: dict[Level, LevelForm]
    channels: dict[Literal["open", "sharing", "analyst"], ChannelPolicy]
    anomalies: AnomaliesForm | None = None
    signIn: SignInForm = SignInForm()
    limits: LimitsForm = LimitsForm()
    timeStamps: TimeStampForm | None = None
    headsAway: HeadsAwayForm | None = None
    signing: SigningForm | None = None
