"""The written form of a product contract: a released model, and what each channel may see of it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pipelines.contracts.forms.fields import ProductColumnForm
from pipelines.contracts.forms.sources import ErasureForm, SourceSla
from pipelines.contracts.forms.words import (
    CodeListName,
    FieldName,
    Level,
    MaskName,
    Moment,
    Name,
    OrganisationName,
    ProductName,
    PurposeName,
    RuleCall,
    Semver,
    SourceName,
    Strict,
    Text,
)


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
    `beside`: every other open product that is made from counts of the same source of persons. `period`: the quasi
    identifier that says when what is counted was; only periods that are over are shown. `notPeriods`: those that look
    like one and are none, with the reason.
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
    period: FieldName | None = None
    notPeriods: dict[FieldName, Text] = {}

    @property
    def parts(self) -> tuple[str, ...]:
        """The columns whose totals are known: `within`, and the period: what a total grew by is the one of a period."""
        return (*self.within, *([self.period] if self.period is not None else []))

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

    `reviewed`: columns that are made from what a register of persons says, or are numbers of persons, and yet tell of
    nobody, each with the reason.
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
    """Rows that a department is told of, in an issue of its own: of those that end, or came late, for each `kind` and
    month of `ends`, of those that are superseded (since `ends`) and still called valid for each `kind`.

    `to`: the column with the department's credit code; `departments`: the code list whose column `organisation` says
    whose it is. When none of these rows is left, the issue closes with what `outcome` says became of them.
    """

    to: FieldName
    departments: CodeListName
    about: Literal["ending", "late", "superseded"]
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
