"""The desk: every road passes here. It asks for the decision, writes the audit and hands out extracts and files.

Knows no protocol and no page; roads turn `Refused` into their own kind of answer.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from catalog.delivery import boundaries
from catalog.delivery.changes import change_set, shown_key
from catalog.delivery.downloads import Downloads
from catalog.delivery.extracts import Extract
from catalog.delivery.file_hashes import FileHashes
from catalog.delivery.folders import Folders
from catalog.delivery.marts import Marts, MartsFile
from catalog.delivery.views import Views
from catalog.delivery.work import Work
from catalog.listing import KEYED, Listing, Offering, Snapshot
from catalog.policy import audit
from catalog.policy.callers import Callers
from catalog.policy.decision import MARTS, Allowed, Caller, Decision, Denied, Reason, decide
from catalog.policy.quotas import Quotas
from catalog.policy.rates import Rates
from pipelines import synthetic
from pipelines.lake.cleanup import VIEWS
from pipelines.register import Register
from pipelines.register.chain import Entry
from pipelines.register.store import now
from pipelines.release.ledger import RELEASE
from pipelines.release.shown import released_columns
from pipelines.settings import Settings

NOT_FOUND = {Reason.UNKNOWN_PRODUCT, Reason.NOT_PUBLISHED}
PREVIEW_ROWS = 20
LONG = 1.0
"""Seconds after which an answer is asked about once more before it is given: it may have been taken back meanwhile."""


def token_id(caller: Caller) -> dict[str, str]:
    """What an audit body says of the token that was shown: its public id, nothing without one."""
    return {} if caller.token is None else {"token_id": caller.token}


class Refused(Exception):
    """A read that was denied and audited. `product` is None for one that no contract names; `wait`: seconds after which
    it may be asked again, None if waiting does not help."""

    def __init__(self, reason: Reason, product: str | None, wait: int | None = None) -> None:
        self.reason = reason
        self.product = product
        self.wait = wait
        super().__init__(reason.value)


@dataclass(frozen=True)
class Admission:
    """A read that was allowed and is not audited yet."""

    caller: Caller
    offering: Offering
    allowed: Allowed
    one_key: bool = False
    asked: float = field(default_factory=time.monotonic, compare=False)
    """When it was asked for, by the clock that only grows."""


class Desk:
    """What the roads of one installation share. Safe to use from many threads. `serving`: for many callers at once, so
    that expensive work is bounded as the city says; a command works for one person. `folders`: where views are made, if
    not in the lake."""

    def __init__(
        self, settings: Settings, register: Register, serving: bool = False, folders: Folders | None = None
    ) -> None:
        self.settings = settings
        self.url = settings.url.rstrip("/") or f"http://127.0.0.1:{settings.port}"
        self.register = register
        self.listing = Listing(settings.contracts, register)
        self.callers = Callers(register, lambda: settings.key("access_tokens"))
        work = Work(self.listing.snapshot().contracts.city.limits.work if serving else None)
        self.views = Views(settings, folders or Folders(settings.lake.root / VIEWS, work), self._shown_keyed)
        self.downloads = Downloads(settings, self.views, self.url, lambda: bool(self.said))
        self.hashes = FileHashes(self.views.folders)
        self.marts = Marts(settings.marts, settings.lake)
        self.rates = Rates()
        self.quotas = Quotas(register, cache(lambda: settings.key("quotas")))

    def _shown_keyed(self) -> bool:
        """Whether a recipient was ever shown a column keyed: by the masks that versions were released with, and those
        by purpose, which the audit names."""
        released = dict[tuple[str, str], set[int]]()
        for row in self.listing.ledger.of_kind(RELEASE):
            for name, (_, mask) in (row.body.get("columns") or {}).items():
                if mask in KEYED and row.version is not None:
                    released.setdefault((row.subject, f'"{name}"'), set()).add(row.version)
        shown = (audit.given(self.register, one, versions, naming) for (one, naming), versions in released.items())
        bound = self.listing.snapshot().contracts.products
        by_purpose = (audit.given(self.register, one, naming=f':"{mask}"') for one in bound for mask in KEYED)
        return any(shown) or any(by_purpose)

    @property
    def said(self) -> dict[str, bool]:
        """What answers, pages and packages say of made-up data: the mark, by the home or what it has published."""
        return synthetic.said(self.settings, self.listing.snapshot().published.values())

    def decide(self, caller: Caller, offering: Offering | None, road: str, one_key: bool = False) -> Decision:
        """The decision alone, for pages that only tell what a caller could do."""
        return decide(caller, offering.offer if offering else None, now(), one_key, road)

    def admit(self, caller: Caller, product: str, action: str, road: str, one_key: bool = False) -> Admission:
        """Let a read in, or audit the denial and raise Refused. `one_key`: of the rows of one key only.

        Raises AuditUnavailable.
        """
        offering = self.listing.snapshot().find(product)
        decision = self.decide(caller, offering, road, one_key)
        if isinstance(decision, Denied):
            raise self.refuse(caller, offering.product.id if offering else None, decision.reason, action, road)
        assert offering is not None
        if not self.views.has(decision):
            raise self.refuse(caller, offering.product.id, Reason.GRANT_EMPTY, action, road)
        return Admission(caller, offering, decision, one_key)

    def decide_marts(self, caller: Caller, road: str) -> Decision:
        """The decision about the analysts' database alone, for pages that only tell what a caller could do."""
        return decide(caller, self.marts.offer(self.listing.snapshot()), now(), road=road)

    def marts_file(self) -> MartsFile:
        """The analysts' database as contracts and ledger ask for it now. Raises Outdated, OSError."""
        return self.marts.file(self.listing.snapshot)

    def admit_marts(self, caller: Caller, action: str, road: str) -> Allowed:
        """Let a read of the analysts' database in, or audit the denial and raise Refused. Raises AuditUnavailable."""
        decision = self.decide_marts(caller, road)
        if isinstance(decision, Denied):
            raise self.refuse(caller, MARTS, decision.reason, action, road)
        return decision

    def decide_boundaries(self, caller: Caller, road: str) -> Decision:
        """Whether a page may draw county boundaries for this caller; it draws something else otherwise."""
        return decide(caller, boundaries.offer(self.listing.snapshot()), now(), road=road)

    def refuse(
        self,
        caller: Caller,
        product: str | None,
        reason: Reason,
        action: str,
        road: str,
        wait: int | None = None,
        **facts: Any,
    ) -> Refused:
        """Audit a denial; returns the error to raise. Of a lock the audit was told when it began. Raises
        AuditUnavailable."""
        if caller.problem is Reason.LOCKED:
            return Refused(Reason.LOCKED, product, caller.wait)
        outcome: audit.Outcome = "not_found" if reason in NOT_FOUND else "denied"
        body = {"road": road, "reason": reason.value, **facts, **token_id(caller)}
        who, system = caller.recipient, caller.application
        audit.record(self.register, action, outcome, body, recipient=who, application=system, product=product)
        return Refused(reason, product, wait)

    def hold_back(self, caller: Caller, product: str | None, action: str, road: str, wait: int, untold: int) -> None:
        """Raise Refused for a caller who asks too often and has to `wait`; nothing for 0.

        `untold`: how many were refused that the audit is told of now, in one row. Raises AuditUnavailable.
        """
        refused = Refused(Reason.TOO_MANY, product, wait)
        if untold:
            refused = self.refuse(caller, product, Reason.TOO_MANY, action, road, wait, tries=untold)
        if wait:
            raise refused

    def answered(self, admission: Admission, action: str, road: str, **facts: Any) -> None:
        """Audit a read that is about to be answered. Raises AuditUnavailable, and then there must be no answer; Refused
        if the answer took long to make and the caller may not have it any more."""
        audit.write(self.register, self.answering(admission, action, road, **facts))

    def answering(self, admission: Admission, action: str, road: str, **facts: Any) -> Entry:
        """The audit's row of a read, for whoever writes it before there is an answer. Raises as `answered`."""
        self._ask_again(admission, action, road)
        allowed = admission.allowed
        body: dict[str, Any] = {**allowed.told, **facts}
        read = {*body["columns"], *body.get("used", ())}
        level = max(
            (column.level for column in admission.offering.product.columns if column.name in read), default=None
        )
        return self._allowed(admission.caller, allowed, allowed.version, action, level, {"road": road, **body})

    def _ask_again(self, admission: Admission, action: str, road: str) -> None:
        if time.monotonic() - admission.asked >= LONG:
            self.stands(admission, action, road)

    def stands(self, admission: Admission, action: str, road: str, **facts: Any) -> None:
        """Audit a denial and raise Refused if the caller may not have any more what they were let in for. Of several
        grants the one counts by which it was: another one in force may show less. Raises AuditUnavailable, LakeError.
        """
        allowed, caller = admission.allowed, self._now(admission.caller)
        by = tuple(grant for grant in caller.grants if allowed.grant in (None, grant.id))
        offering = self.listing.snapshot().find(allowed.product)
        decision = self.decide(replace(caller, grants=by), offering, road, admission.one_key)
        if isinstance(decision, Denied):
            raise self.refuse(caller, allowed.product, decision.reason, action, road, **facts)
        of_now = replace(allowed, day=decision.day, epoch=decision.epoch)
        outdated = not self.views.same(allowed, of_now)  # by midnight, or by new pseudonyms
        standing = allowed.version in self.listing.standing_versions(allowed.product)
        if outdated or not standing or not decision.shows(allowed):
            raise self.refuse(caller, allowed.product, Reason.NOT_PUBLISHED, action, road, **facts)

    def _now(self, caller: Caller) -> Caller:
        """The same caller, as the register knows them now. An access token ends before the client that it is of."""
        if caller.token is not None:
            found = replace(self.callers.from_token_id(caller.token), purpose=caller.purpose)
            over = caller.exchanged and caller.expires is not None and caller.expires <= now()
            return replace(found, problem=found.problem or Reason.TOKEN_EXPIRED) if over else found
        return caller if caller.recipient is None else self.callers.on_behalf(caller.recipient)

    def marts_stand(self, caller: Caller, file: MartsFile, action: str, road: str, **facts: Any) -> None:
        """The same for a file of the analysts' database: no release that is in it may have been taken back."""
        decision = self.decide_marts(caller := self._now(caller), road)
        if isinstance(decision, Denied):
            raise self.refuse(caller, MARTS, decision.reason, action, road, **facts)
        if any(version not in self.listing.standing_versions(name) for name, version in file.releases):
            raise self.refuse(caller, MARTS, Reason.NOT_PUBLISHED, action, road, **facts)

    def answered_marts(self, caller: Caller, allowed: Allowed, action: str, road: str, **facts: Any) -> None:
        """The same for the analysts' database, which is always asked again; the facts say which file it was."""
        decision = self.decide_marts(caller := self._now(caller), road)
        if isinstance(decision, Denied):
            raise self.refuse(caller, MARTS, decision.reason, action, road)
        products = self.listing.snapshot().contracts.products.values()
        level = max(
            column.level for one in products if one.channel == allowed.product.split("/")[0] for column in one.columns
        )
        audit.write(self.register, self._allowed(caller, allowed, None, action, level, {"road": road, **facts}))

    @staticmethod
    def _allowed(
        caller: Caller,
        allowed: Allowed,
        version: int | None,
        action: str,
        level: int | None,
        body: dict[str, Any],
    ) -> Entry:
        body |= token_id(caller)
        if allowed.purpose is not None:
            body["purpose"] = allowed.purpose
        return audit.entry(
            action,
            "allowed",
            body,
            recipient=allowed.recipient,
            product=allowed.product,
            version=version,
            grant=allowed.grant,
            application=caller.application,
            level=level,
        )

    def visible(self, caller: Caller, snapshot: Snapshot, road: str) -> list[Admission]:
        """Every product the caller may read now by a road."""
        found = []
        for offering in snapshot.offerings():
            decision = self.decide(caller, offering, road)
            if isinstance(decision, Allowed):
                found.append(Admission(caller, offering, decision))
        return found

    def at_version(self, admission: Admission, version: int) -> Admission | None:
        """The same read of an earlier version that may be begun, None if it was withdrawn or never released.

        Columns that were made otherwise then than the contract says now are left out of it.
        """
        body = self.listing.readable_versions(admission.allowed.product).get(version)
        return None if body is None else self._at(admission, version, body)

    def standing(self, admission: Admission) -> list[Admission]:
        """The same read of every version that somebody may still be reading, the newest first."""
        versions = sorted(self.listing.standing_versions(admission.allowed.product).items(), reverse=True)
        return [then for version, body in versions if (then := self._at(admission, version, body))]

    def _at(self, admission: Admission, version: int, body: Mapping[str, Any]) -> Admission | None:
        """The same read of a version that was released so."""
        made_so = released_columns(admission.offering.product, body)
        columns = tuple(name for name in admission.allowed.columns if name in made_so)
        pseudonyms = tuple(name for name in admission.allowed.pseudonyms if name in columns)
        sealed = tuple(name for name in admission.allowed.sealed if name in columns)
        masks = tuple(pair for pair in admission.allowed.masks if pair[0] in columns)
        kept = {"columns": columns, "pseudonyms": pseudonyms, "sealed": sealed, "masks": masks}
        then = replace(admission.allowed, version=version, **kept)  # type: ignore[arg-type]
        if not then.limiting <= set(made_so):
            return None
        return replace(admission, allowed=then) if self.views.has(then) else None

    def changes(self, before: Admission, after: Admission) -> Extract:
        """What changed between two reads of a product by the same caller. Raises SchemaChanged, LakeError."""
        key = shown_key(after.offering.product, after.allowed.plain)
        return change_set(self.views, before.allowed, after.allowed, key)

    def preview(self, extract: Extract, rows: int = PREVIEW_ROWS) -> list[tuple[Any, ...]]:
        """The first rows of an extract. Raises LakeError."""
        with self.views.folders.connection() as con:
            con.execute("SET threads = 1")  # the same rows each time, and no more than a page needs
            return con.execute(f"SELECT * FROM {extract.relation} LIMIT {int(rows)}").fetchall()

    def records(self, extract: Extract) -> list[dict[str, Any]]:
        """All rows of an extract by column name, for pages that show the whole of a small product. Raises LakeError."""
        return [dict(zip(extract.columns, row, strict=True)) for row in self.preview(extract, extract.rows)]

    def clean(self) -> None:
        """Delete the views of versions that were taken back, and of older ones that nobody reads."""
        now = self.listing.snapshot()
        published = now.contracts.products.keys() & now.published.keys()  # of any other no version can be read
        self.views.clean({name: self.listing.standing_versions(name).keys() for name in published})
