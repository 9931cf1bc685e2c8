"""The one decision: may this caller read this product now, and which rows and columns of it?

Pure. Loading callers belongs to `callers`, loading products to `catalog.listing`; every road asks here and nowhere
else. Whatever is not allowed by a rule below is denied.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo


class Reason(StrEnum):
    """Why a read is denied. `ADDRESS_*` concern signed addresses of files, which outlive the answer they came in."""

    UNKNOWN_PRODUCT = "unknown_product"
    NOT_PUBLISHED = "not_published"
    TOKEN_REQUIRED = "token_required"
    TOKEN_INVALID = "token_invalid"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_REVOKED = "token_revoked"
    LOCKED = "locked"
    SUSPENDED = "suspended"
    NOT_SHARED = "not_shared"
    GRANT_REQUIRED = "grant_required"
    GRANT_REVOKED = "grant_revoked"
    GRANT_EXPIRED = "grant_expired"
    GRANT_NOT_YET = "grant_not_yet"
    GRANT_PENDING = "grant_pending"
    GRANT_ROAD = "grant_road"
    GRANT_ELSEWHERE = "grant_elsewhere"
    GRANT_EMPTY = "grant_empty"
    COLUMNS_PENDING = "columns_pending"
    RELEASE_PENDING = "release_pending"
    PURPOSE_OTHER = "purpose_other"
    COLUMN_NOT_GRANTED = "column_not_granted"
    LOOKUP_ONLY = "lookup_only"
    TOO_MANY = "too_many"
    QUOTA_SPENT = "quota_spent"
    ADDRESS_INVALID = "address_invalid"
    ADDRESS_EXPIRED = "address_expired"
    ADDRESS_OUTDATED = "address_outdated"
    VERSION_ENDED = "version_ended"
    VERSION_UNKNOWN = "version_unknown"


_UNSAID = frozenset({Reason.GRANT_REQUIRED, Reason.PURPOSE_OTHER})
"""What says nothing of whether somebody's grants cover what they have: there is none, or the read is for another
purpose than theirs."""
ROADS = ("web", "delta_sharing", "rows", "verification", "tables", "files")
"""How data is read: pages with their downloads, Delta Sharing, rows by address, look-ups of licences, tables and
folders that are kept up to date at the recipient's."""


@dataclass(frozen=True)
class Grant:
    """Who may read which product, for what and how long. Times are UTC; the period includes its start, not its end.

    `divisions`: prefixes of division codes, `organisations`: codes of organisations, None for the rows of all;
    `columns`: names, None for all. `given_by` and
    `approver` are users, None in grants older than users and where nobody had to approve; `pending`: somebody has
    to and did not yet.
    """

    id: int
    recipient: str
    product: str
    divisions: tuple[str, ...] | None
    columns: tuple[str, ...] | None
    purpose: str
    case_number: str | None
    valid_from: datetime
    valid_until: datetime
    revoked: datetime | None
    given_by: str | None = None
    approver: str | None = None
    pending: bool = False
    roads: tuple[str, ...] | None = None
    """Of `ROADS`, None for all."""
    organisations: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Epoch:
    """The time in which a recipient's pseudonyms stay the same. The first began with the recipient (`since` None)."""

    number: int = 1
    since: datetime | None = None


FIRST_EPOCH = Epoch()


@dataclass(frozen=True)
class Caller:
    """Who asks. Anonymous when `recipient` is None; `problem` says what is wrong with the token that was shown.

    `token` is the public part of a token, `expires` when it ends, `application` what it was issued for,
    `organisation` the recipient's.
    """

    recipient: str | None = None
    token: str | None = None
    expires: datetime | None = None
    grants: tuple[Grant, ...] = ()
    problem: Reason | None = None
    application: str | None = None
    organisation: str | None = None
    wait: int | None = None
    """Seconds until a credential that was one wrong one too many may be tried again."""
    epoch: Epoch = FIRST_EPOCH
    """Of the recipient's pseudonyms, the one in force when the caller was looked up."""
    purpose: str | None = None
    """What the request says it is for, None if it says nothing: the grant says it then."""
    exchanged: bool = False
    """It was an access token that was shown: good for a quarter of an hour, and no secret of the recipient's own."""


ANONYMOUS = Caller()
MARTS = "analyst/marts.duckdb"
"""What a grant of the analysts' whole database names. It is no product's id: names have no dots."""


@dataclass(frozen=True)
class ShownUntil:
    """The `column` that says the last day on which a row may be shown; days are those of `zone`."""

    column: str
    zone: str


@dataclass(frozen=True)
class Organisations:
    """How a product says which organisation a row belongs to: in `column`, by `codes` of organisations, which are pairs
    of an organisation and what the column says for it. An organisation may have several, or none."""

    column: str
    codes: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class OfOrganisations:
    """A limit on rows: only those whose `column` says one of `codes`."""

    column: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Bound:
    """A column that is shown as it is for some purposes only, by every text that means one; for any other through a
    mask, or not at all if there is none. `keyed`: the mask is a pseudonym."""

    column: str
    purposes: frozenset[str]
    mask: str | None
    keyed: bool = False


def is_free(channel: str, share_type: str) -> bool:
    """Whether a product of a channel and share type is for everybody whole: no grant is asked, and none limits it."""
    return channel == "open" or (channel == "sharing" and share_type == "无条件共享")


@dataclass(frozen=True)
class Offer:
    """What the decision needs of a product. `version` is the published one, None if there is none.

    `rows` is the column that grants restrict by division; `pseudonyms` are columns with a mask of that name, `sealed`
    those with a mask that a key opens; `lookup` says that its rows are given one key at a time only.
    """

    product: str
    channel: str
    share_type: str
    columns: tuple[str, ...]
    rows: str | None
    pseudonyms: frozenset[str]
    version: int | None
    lookup: bool = False
    approval: frozenset[str] = frozenset()
    """The columns of levels that ask for a second person's approval, by city or release."""
    shown_until: ShownUntil | None = None
    """None if every row may be shown as long as its release is the published one."""
    organisations: Organisations | None = None
    """None if grants cannot be limited by organisation."""
    sealed: frozenset[str] = frozenset()
    bound: tuple[Bound, ...] = ()
    purposes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Codes of purposes by whatever text means them; any other text is a purpose of its own, in no contract's list."""

    @property
    def free(self) -> bool:
        """Whether nobody needs a grant to read it."""
        return is_free(self.channel, self.share_type)

    def purpose(self, text: str) -> str:
        """The code of a purpose; of one that has none, its text."""
        return self.purposes.get(text, text)

    def known(self, text: str | None) -> str | None:
        """A text that is a purpose, None for any other: what a caller says freely is nothing to keep."""
        return text if text in self.purposes or text in self.purposes.values() else None


@dataclass(frozen=True)
class Allowed:
    """What may be read: these columns of the rows whose `rows` column starts with one of `divisions` (None: all) and
    which belong to `organisations` (None: to any).

    `pseudonyms` are the visible columns that must be hashed, `sealed` those that must be sealed for `recipient`, with
    the keys of `epoch`.
    """

    product: str
    version: int
    columns: tuple[str, ...]
    rows: str | None
    divisions: tuple[str, ...] | None
    pseudonyms: tuple[str, ...]
    recipient: str | None
    grant: int | None
    purpose: str | None
    shown_until: str | None = None
    """The column with the last day of a row: only rows whose day is not before `day` may be read."""
    day: date | None = None
    epoch: Epoch = FIRST_EPOCH
    """The first one where nothing is keyed."""
    organisations: OfOrganisations | None = None
    masks: tuple[tuple[str, str], ...] = ()
    """Columns that its purpose does not cover, each with the mask that they are shown through; a keyed one is among
    `pseudonyms` too."""
    sealed: tuple[str, ...] = ()

    @property
    def keyed(self) -> tuple[str, ...]:
        """The columns that nobody else is shown like this."""
        return (*self.pseudonyms, *self.sealed)

    @property
    def plain(self) -> tuple[str, ...]:
        """The columns that it shows as the product does, or keyed."""
        masked = dict(self.coarser)
        return tuple(name for name in self.columns if name not in masked)

    def shows(self, other: "Allowed") -> bool:
        """Whether it lets through all that another one by the same grant does, of an earlier version maybe, or a part
        of it that lies in one division."""
        columns = set(other.columns) <= set(self.columns) and set(other.plain) <= set(self.plain)
        return columns and self._reaches(other) and self._concerns(other)

    def _reaches(self, other: "Allowed") -> bool:
        """Whether its divisions hold those of another one."""
        return within(other.divisions, self.divisions) and (self.divisions is None or self.rows == other.rows)

    def _concerns(self, other: "Allowed") -> bool:
        """Whether its organisations are at least those of another one."""
        if self.organisations is None or other.organisations is None:
            return self.organisations is None
        same = self.organisations.column == other.organisations.column
        return same and set(other.organisations.codes) <= set(self.organisations.codes)

    @property
    def coarser(self) -> tuple[tuple[str, str], ...]:
        """Of `masks` those that anybody can make: of a value that the product shows less is left."""
        return tuple(pair for pair in self.masks if pair[0] not in self.pseudonyms)

    @property
    def limited(self) -> bool:
        """Whether there may be rows that it leaves out."""
        return self.divisions is not None or self.organisations is not None

    @property
    def limiting(self) -> frozenset[str]:
        """The columns by which it leaves rows out; a version without one of them cannot be read by it."""
        by_division = None if self.divisions is None else self.rows
        by_organisation = None if self.organisations is None else self.organisations.column
        return frozenset(name for name in (by_division, by_organisation, self.shown_until) if name is not None)

    @property
    def told(self) -> dict[str, object]:
        """Its columns and the limits of its rows, with the columns that these go by, as the audit tells them."""
        said: dict[str, object] = {"columns": self.columns, "divisions": self.divisions}
        by = {} if self.divisions is None else {"divisions": self.rows}
        if self.organisations is not None:
            said["organisations"] = self.organisations.codes
            by["organisations"] = self.organisations.column
        if by:
            said["limited_by"] = by
        return {**said, "masks": dict(self.masks)} if self.masks else said


def within(inner: tuple[str, ...] | None, outer: tuple[str, ...] | None) -> bool:
    """Whether divisions lie in others; None: no limit."""
    return outer is None or (inner is not None and all(code.startswith(outer) for code in inner))


@dataclass(frozen=True)
class Denied:
    """Nothing may be read."""

    reason: Reason


Decision = Allowed | Denied


def decide(
    caller: Caller, product: Offer | None, now: datetime, one_key: bool = False, road: str | None = None
) -> Decision:
    """The answer to every read. `now` is UTC; `one_key`: the read is of the rows of one key, by the lookup road.

    `road`: one of `ROADS`; a grant for some roads is in force on none if it is not said which.

    Open products are for anyone; unconditionally shared ones for any recipient with a valid token; everything else
    needs a grant in force. A token that is shown must be good, even for an open product.
    """
    if caller.problem is not None:
        return Denied(caller.problem)
    if product is None:
        return Denied(Reason.UNKNOWN_PRODUCT)
    if product.version is None:
        return Denied(Reason.NOT_PUBLISHED)
    if product.lookup and not one_key:
        return _closed(Reason.LOOKUP_ONLY, caller, product, now, road)
    if product.channel == "open":
        return _allow(caller, product, product.version, None, now)
    if caller.recipient is None:
        return Denied(Reason.TOKEN_REQUIRED)
    if product.free:
        return _allow(caller, product, product.version, None, now)
    if product.channel == "analyst" or (product.channel == "sharing" and product.share_type == "有条件共享"):
        grant = _in_force(caller, product, now, road)
        return grant if isinstance(grant, Denied) else _allow(caller, product, product.version, grant, now)
    return _closed(Reason.NOT_SHARED, caller, product, now, road)


def _closed(reason: Reason, caller: Caller, product: Offer, now: datetime, road: str | None) -> Denied:
    """Why a product that is closed by its contract is not read. Whoever has grants none of which is in force is told
    that, as of an open one: by it what they have is called back, and by a contract it is not."""
    granted = None if product.free else _in_force(caller, product, now, road)
    return granted if isinstance(granted, Denied) and granted.reason not in _UNSAID else Denied(reason)


def _in_force(caller: Caller, product: Offer, now: datetime, road: str | None) -> Grant | Denied:
    """The newest grant in force, or why the newest one is not."""
    mine = [grant for grant in caller.grants if (grant.recipient, grant.product) == (caller.recipient, product.product)]
    newest_first = sorted(mine, key=lambda grant: grant.id, reverse=True)
    problems = [(grant, _problem(grant, now, road) or _other(caller, product, grant)) for grant in newest_first]
    for grant, problem in problems:
        if problem is None:
            return grant
    return Denied(problems[0][1] or Reason.GRANT_REQUIRED) if problems else Denied(Reason.GRANT_REQUIRED)


def _problem(grant: Grant, now: datetime, road: str | None) -> Reason | None:
    if grant.revoked is not None:
        return Reason.GRANT_REVOKED
    if grant.pending:
        return Reason.GRANT_PENDING
    if now < grant.valid_from:
        return Reason.GRANT_NOT_YET
    if now >= grant.valid_until:
        return Reason.GRANT_EXPIRED
    if grant.roads is not None and road not in grant.roads:
        return Reason.GRANT_ROAD
    return None


def _other(caller: Caller, product: Offer, grant: Grant) -> Reason | None:
    """Whoever says what a read is for must say what it was granted for."""
    if caller.purpose is None or product.purpose(caller.purpose) == product.purpose(grant.purpose):
        return None
    return Reason.PURPOSE_OTHER


def _allow(caller: Caller, product: Offer, version: int, grant: Grant | None, now: datetime) -> Decision:
    if not product.columns or (product.shown_until and product.shown_until.column not in product.columns):
        return Denied(Reason.RELEASE_PENDING)  # by contract and release nothing is shown, or nobody knows which rows
    wanted = None if grant is None else grant.columns
    columns = tuple(name for name in product.columns if wanted is None or name in wanted)
    if grant is not None and grant.given_by is not None and grant.approver is None:
        # nobody had to approve it then; what a contract made more sensitive since waits for somebody who does
        asking, columns = columns, tuple(name for name in columns if name not in product.approval)
        if asking and not columns:
            return Denied(Reason.COLUMNS_PENDING)
    purpose = None if grant is None else grant.purpose
    uncovered = {one.column: one for one in product.bound if one.column in columns and purpose not in one.purposes}
    columns = tuple(name for name in columns if name not in uncovered or uncovered[name].mask is not None)
    divisions = None if grant is None else grant.divisions
    if not columns or (divisions is not None and (product.rows is None or not all(divisions) or not divisions)):
        return Denied(Reason.GRANT_EMPTY)  # also a limit on rows that the product no longer knows how to apply
    organisations = _of_organisations(product, grant)
    if organisations is not None and not organisations.codes:
        return Denied(Reason.GRANT_EMPTY)
    keyed = product.pseudonyms | {name for name, one in uncovered.items() if one.keyed}
    pseudonyms = tuple(name for name in columns if name in keyed)
    sealed = tuple(name for name in columns if name in product.sealed)
    if (pseudonyms or sealed) and caller.recipient is None:
        return Denied(Reason.TOKEN_REQUIRED)  # there is nobody to key them for
    return Allowed(
        product=product.product,
        version=version,
        columns=columns,
        rows=product.rows,
        divisions=None if divisions is None else tuple(sorted(set(divisions))),
        pseudonyms=pseudonyms,
        recipient=caller.recipient,
        grant=grant.id if grant else None,
        purpose=grant.purpose if grant else product.known(caller.purpose),
        shown_until=product.shown_until.column if product.shown_until else None,
        day=now.astimezone(ZoneInfo(product.shown_until.zone)).date() if product.shown_until else None,
        epoch=caller.epoch if pseudonyms or sealed else FIRST_EPOCH,
        organisations=organisations,
        sealed=sealed,
        masks=tuple((name, one.mask) for name, one in uncovered.items() if one.mask is not None),
    )


def _of_organisations(product: Offer, grant: Grant | None) -> OfOrganisations | None:
    """A grant's limit by organisation, in the words of the product. Without any code it lets nothing through: neither
    does a product that no longer says whose its rows are."""
    if grant is None or grant.organisations is None:
        return None
    known = product.organisations or Organisations("", frozenset())
    codes = {code for organisation, code in known.codes if organisation in grant.organisations}
    return OfOrganisations(known.column, tuple(sorted(codes)))
