"""A published version built again, whole, from what it was built from then; and compared with what is published.

The ledger and the receipt of the edition name versions of sources, of what was prepared and of released models, and
the code. Everything is made in scratch, which is emptied at the end; nothing published is written.

Belongs here: finding what a version was built from, building it, the verdict. Does not belong here: what content is
(lake.content), or whether files are as the ledger says (verify), which is asked as well.
"""

import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version as package_version
from pathlib import Path

import duckdb

from pipelines.contracts.dbt import BEFORE, LOG, generated
from pipelines.contracts.load import Contracts, Product, ProductContract, load
from pipelines.engine import connect
from pipelines.erasure.order import require_finished
from pipelines.evidence.record import Statement
from pipelines.geo.matching import INPUTS
from pipelines.lake import delta
from pipelines.lake.build import build
from pipelines.lake.content import Difference, content_hash, difference
from pipelines.lake.edition import CoreVersion, Edition, Prepared, Released, core_columns, write_snapshot
from pipelines.lake.errors import disk_full_named
from pipelines.lake.lock import run_lock
from pipelines.lake.models import models
from pipelines.lake.parquet import sha256
from pipelines.lake.zones import Lake, library_of
from pipelines.messages import CitylakeError
from pipelines.preparation import MATCHED
from pipelines.privacy import channel_keys
from pipelines.register import Register, chain
from pipelines.register.receipts import Receipt, Receipts, Stage
from pipelines.release import compared, plan
from pipelines.release.ledger import RELEASE, WITHDRAWAL, Ledger, Recorded
from pipelines.release.made import ENGINES, FILES, MADE, code_files, engines, tables, views
from pipelines.release.products import Counted, write_candidate
from pipelines.release.since import concerns
from pipelines.release.verify import Files, Verified, verified
from pipelines.retention.apply import JOURNAL as ENDING
from pipelines.settings import Settings

DECISIONS = 100_000
"""How many decisions about a subject are looked through for the one before a release."""
Place = tuple[Path, int]
"""A table and its version."""


@dataclass(frozen=True)
class Reproduced:
    """What came of it. `rows` were rebuilt. `content`: their canonical content hash, `published`: that of the published
    rows, `recorded`: that in the ledger, None if an order changed the version since or the row is older than these;
    `differs`: how the rows differ, None if all hashes are one. `bytes_equal`: the files are the same byte for byte;
    `because`: why rows differ, or else the files. `found`: whether the published files are what the ledger says;
    `orders`: what changed them, or what they were built from, since."""

    subject: str
    version: int
    rows: int
    content: str
    published: str
    recorded: str | None
    differs: Difference | None
    bytes_equal: bool
    because: tuple[Statement, ...]
    found: Verified
    orders: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the rows are the same and stand in the files that the ledger names: whoever wrote the same rows into
        other files may have written more."""
        return self.differs is None and self.found.state != "corrupt"


def reproduce(settings: Settings, subject: str, version: int | None = None) -> Reproduced:
    """Build a version of a model or `<channel>/<product>` again, by default the published one, and compare.

    Raises RunLocked while another run holds the home, CitylakeError for what cannot be reproduced: a ledger whose chain
    is broken, unknown or ended versions, other code than then, inputs that are gone, and contents that differ because
    of an order since.
    """
    contracts = load(settings.contracts)
    settings.prepare()
    with run_lock(settings.home, f"reproduce {subject}"), disk_full_named(settings.home):
        require_finished(settings.home)
        if (settings.home / ENDING).exists():
            raise CitylakeError("reproduce.unfinished", file=settings.home / ENDING)
        register = Register(settings.register_url)
        folder = settings.lake.scratch() / f"reproduce-{uuid.uuid4().hex}"
        try:
            register.upgrade()
            return _Reproduction(settings, contracts, register, Lake(folder)).of(subject, version)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            register.close()


class _Reproduction:
    """One reproduction under the run lock. `scratch`: a lake of its own for whatever is made."""

    def __init__(self, settings: Settings, contracts: Contracts, register: Register, scratch: Lake) -> None:
        self.settings, self.contracts, self.lake, self.scratch = settings, contracts, settings.lake, scratch
        self.ledger, self.receipts = Ledger(register), Receipts(register, "reproduce")
        self.lacking = False

    def of(self, subject: str, version: int | None) -> Reproduced:
        if row := self.ledger.first_break():
            raise CitylakeError("reproduce.ledger_broken", row=row)
        self.entry = self._entry(subject, version)
        self.version = self.entry.version or 0
        self.contract, self.product = self._contract(subject)
        self.model = self.contract.form.model
        self.receipt = self._receipt()
        self.day = date.fromisoformat(self.receipt.body["as_of"])
        files = generated(self.contracts, self.day)
        self.graph = models(self.settings.dbt_project, self._dbt, files)
        if self.model not in self.graph:
            raise CitylakeError("reproduce.no_subject", subject=subject)
        rewritings = self.ledger.rewritings()
        self._require_same_code(rewritings)
        later = [one for one in rewritings if one.sequence > self.entry.sequence]
        orders = tuple(one.subject for one in later if concerns(one, self.graph, self.model) or self._touched(one))
        self.recorded = None if any(map(self._touched, later)) else self.entry.body.get("content")
        found = verified(Files(self.lake, self.ledger), self.entry, self.version)
        with connect(self.scratch.scratch()) as con, self._unreadable_named():
            built = self._built(files)
            return self._compared(con, self._cut(con, built), found, orders)

    def _entry(self, subject: str, version: int | None) -> Recorded:
        """The release that is asked for: of several of the same version the newest."""
        if version is None:
            if subject not in self.ledger.published():
                raise CitylakeError("reproduce.not_published", subject=subject)
            entry = self.ledger.published()[subject]
        else:
            found = [one for one in self._decisions(subject) if one.kind == RELEASE and one.version == version]
            if not found:
                raise CitylakeError("reproduce.no_version", subject=subject, version=version)
            entry = found[0]
        self._require_kept(subject, entry)
        return entry

    def _decisions(self, subject: str) -> list[Recorded]:
        return [one for one in self.ledger.history(subject, DECISIONS) if one.kind in (RELEASE, WITHDRAWAL)]

    def _require_kept(self, subject: str, entry: Recorded) -> None:
        """Raises CitylakeError for a version that was ended: of it, only its ledger row is left."""
        ended = self.ledger.ended_versions().get(subject, {}).get(entry.version or 0)
        if ended is not None:
            about = {"subject": subject, "version": entry.version, "order": ended.subject}
            day = ended.body.get("as_of") or ended.at.date()  # an order has no day of its own
            raise CitylakeError("reproduce.ended", **about, day=day)

    def _contract(self, subject: str) -> tuple[ProductContract, Product | None]:
        """The contract of a subject, and its channel if it is a product."""
        if subject in self.contracts.models:
            return self.contracts.models[subject], None
        if subject in self.contracts.products:
            product = self.contracts.products[subject]
            return product.contract, product
        raise CitylakeError("reproduce.no_subject", subject=subject)

    def _receipt(self) -> Receipt:
        receipt = self.receipts.last(Stage.EDITION, self.entry.edition)
        if receipt is None:
            raise CitylakeError("reproduce.no_receipt", subject=self.entry.subject, edition=self.entry.edition)
        if self.entry.body.get("built_from") not in (None, chain.digest(receipt.body)):
            raise CitylakeError("reproduce.receipt_changed", subject=self.entry.subject, edition=self.entry.edition)
        return receipt

    def _require_same_code(self, rewritings: list[Recorded]) -> None:
        """Raises CitylakeError naming the files that are not what the version was built by."""
        about = {"subject": self.entry.subject, "version": self.version, "code": self.entry.body["code"]}
        made = self.receipt.body.get(MADE)
        project, other = self.settings.dbt_project, dict[str, str]()
        if made is not None:
            now = code_files(self.graph, project, self.contracts, [self.model], self.day)
            then = {path: one for path, one in made[FILES].items() if path in now or path.startswith("macros/")}
            other = {path: then.get(path, "-") for path in now | then if now.get(path) != then.get(path)}
        elif self._inputs(rewritings) != self.entry.body["inputs"]:  # the receipt is from before files were told
            raise CitylakeError("reproduce.code_unknown", **about, inputs=self.entry.body["inputs"])
        if self.entry.body["contract"] not in {self.contract.hash, self.contract.meaning}:
            other[str(self.contract.path)] = self.entry.body["contract"]
        if other:
            listed = "、".join(f"{path}（{one}）" for path, one in sorted(other.items()))
            raise CitylakeError("reproduce.other_code", **about, files=listed)

    def _inputs(self, rewritings: list[Recorded]) -> str | None:
        """What the inputs of the version would be by the code of today."""
        earlier = [one for one in rewritings if one.sequence < self.entry.sequence]
        versions = plan.rewritten(self.receipt.body["sources"], earlier)
        project = self.settings.dbt_project
        return plan.model_inputs(self.graph, project, self.contracts, versions, self.day).get(self.model)

    def _touched(self, rewriting: Recorded) -> bool:
        """Whether an order changed this version itself."""
        before, after = rewriting.body["releases"].get(self.entry.subject, {}).get(str(self.version), (None, None))
        return bool(before != after)

    def _built(self, files: Mapping[str, str]) -> Place:
        """The model, built whole (or from its base, if it continues one) from what the version was built from."""
        entry = self.entry
        snapshot = self.scratch.scratch() / "snapshot.json"
        edition = Edition(entry.edition, self.day, *self._sources())
        base = self._base()
        released = [self._released(name) for name in sorted(tables(self.graph, self.model))]
        mine = [] if base is None or self.graph[self.model].strategy is None else [self._at(self.model, base)]
        write_snapshot(snapshot, edition, [*released, *mine], {self.model}, self._told(base))
        project, work = self.settings.dbt_project, self._dbt
        result = build(project, self.scratch, entry.edition, snapshot, [self.model], work=work, generated=files)
        one = result.models[self.model]
        if one.location is None or one.version is None:
            about = {"subject": entry.subject, "version": self.version}
            raise CitylakeError("reproduce.failed", **about, problem=one.message)
        return one.location, one.version

    def _sources(self) -> tuple[dict[str, CoreVersion], dict[str, Prepared]]:
        """The sources that the model reads, as they were."""
        read = {
            source.removesuffix(LOG)
            for name in (self.model, *views(self.graph, self.model))
            for source in self.graph[name].sources
        }
        then = {name: self.receipt.body["sources"][name] for name in read & self.receipt.body["sources"].keys()}
        core = {name for name in then if name.startswith("core.")}
        prepared = {name: self._prepared(name, then[name]) for name in sorted(then.keys() - core)}
        return self._core(core), prepared

    def _core(self, relations: Collection[str]) -> dict[str, CoreVersion]:
        found = {}
        for source, contract in self.contracts.sources.items():
            relation = f"core.{source.replace('/', '__')}"
            if relation in relations:
                version = self.receipt.body["sources"][relation]
                admissions = self.receipts.of_stage(Stage.ADMIT, source, DECISIONS)
                admitted = next((one.body for one in admissions if one.body["core_version"] == version), None)
                location = self.lake.core(contract.org, contract.dataset)
                if admitted is None or not delta.is_readable(location, version):
                    raise CitylakeError("reproduce.input_gone", relation=relation, version=version)
                columns = core_columns(location, version)
                found[source] = CoreVersion(location, version, admitted["batch"], tuple(admitted["key"]), columns)
        return found

    def _prepared(self, relation: str, version: int) -> Prepared:
        """What was found out about core then. Earlier versions of matches are not kept: they are made again."""
        zone, _, name = relation.partition(".")
        location = self.lake.linkage(name) if zone == "linkage" else self.lake.matched(name)
        if delta.is_readable(location, version):
            return Prepared(location, version)
        if name in MATCHED and zone == "matched":
            every = {one for one in self.receipt.body["sources"] if one.startswith("core.")}
            made = MATCHED[name](self.scratch, self.contracts, self._core(every))
            then = delta.commit_metadata(location, version).get(INPUTS)
            if made is not None and delta.commit_metadata(made.location, made.version).get(INPUTS) == then:
                return made
        raise CitylakeError("reproduce.input_gone", relation=relation, version=version)

    def _base(self) -> Recorded | None:
        """The version of the model that was published before this one. Raises CitylakeError if it is ended and a model
        continues it."""
        mine = self.ledger.release_beside(self.model, self.entry) if self.product else self.entry
        before = [one for one in self._decisions(self.model) if mine and one.sequence < mine.sequence]
        if not before or before[0].kind != RELEASE:
            return None
        if self.graph[self.model].strategy is not None:
            self._require_kept(self.model, before[0])
        return before[0]

    def _told(self, base: Recorded | None) -> dict[str, Released]:
        """Of a history: the version of its subject that it had told of before."""
        if base is None or f"{BEFORE}.{self.model}" not in self.graph[self.model].sources:
            return {}
        (subject,) = self.graph[self.model].depends_on
        beside = self.ledger.release_beside(subject, base)
        if beside is None:
            return {}
        self._require_kept(subject, beside)
        return {self.model: self._at(subject, beside)}

    def _released(self, name: str) -> Released:
        """The version of a model that this one was built from."""
        beside = self.ledger.release_beside(name, self.entry)
        if beside is None:
            raise CitylakeError("reproduce.input_gone", relation=name, version="-")
        self._require_kept(name, beside)
        return self._at(name, beside)

    def _at(self, name: str, entry: Recorded) -> Released:
        location, version = self.lake.released(library_of(name), name), entry.version or 0
        if not delta.is_readable(location, version):
            raise CitylakeError("reproduce.input_gone", relation=name, version=version)
        return Released(library_of(name), name, location, version)

    def _cut(self, con: duckdb.DuckDBPyConnection, built: Place) -> Place:
        """What the channel shows of it, if a product is asked for."""
        product = self.product
        if product is None:
            return built
        channel_keys.register(con, self.settings.kept_key, product.channel, (column.mask for column in product.columns))
        location = self.scratch.product_candidate(self.entry.edition, product.channel, product.name)
        return location, write_candidate(con, product, _rows(built), location, self._counted(con, product, built))

    def _counted(self, con: duckdb.DuckDBPyConnection, product: Product, built: Place) -> Counted | None:
        """What a table of counts is cut from, with the releases that it was compared with."""
        releases = compared.earlier(self.ledger, product.id, self.entry.sequence)
        number = self.entry.body.get(compared.COMPARED)
        if number is None:  # the row is from before more than one was compared
            releases = releases[-1:]
            for one in releases:
                self._require_kept(product.id, one)
        counts = compared.counted(con, product, _rows(built), self.day, self.lake, self.ledger, releases)
        self.lacking = counts is not None and number is not None and len(counts.earlier) < number
        return counts

    def _compared(
        self, con: duckdb.DuckDBPyConnection, built: Place, found: Verified, orders: tuple[str, ...]
    ) -> Reproduced:
        public = (self.lake.subject(self.entry.subject), self.version)
        kinds, shown = _types(built), _types(public)
        content, published = content_hash(con, _rows(built), kinds), content_hash(con, _rows(public), shown)
        same = content == published == (self.recorded or published)
        if not same and orders and found.state != "corrupt":
            about = {"subject": self.entry.subject, "version": self.version, "orders": "、".join(orders)}
            raise CitylakeError("reproduce.rewritten", **about)
        if not same and self.lacking:
            raise CitylakeError("reproduce.compared_gone", subject=self.entry.subject, version=self.version)
        both = {name: kind for name, kind in kinds.items() if shown.get(name) == kind}
        differs = None if same else difference(con, _rows(built), _rows(public), both)
        if differs is not None:
            other = sorted({name for name, _ in kinds.items() ^ shown.items()})
            differs = replace(differs, columns=(*differs.columns, *other))
        equal = _files(built) == _files(public)
        because = () if equal and same else self._because() if same else self._differs_because(found)
        rows = delta.row_count(delta.open_table(*built))
        about_rows = (self.entry.subject, self.version, rows, content, published, self.recorded, differs)
        return Reproduced(*about_rows, equal, because, found, orders)

    def _differs_because(self, found: Verified) -> tuple[Statement, ...]:
        """What can be said of where rows that differ come from: what the ledger vouches for is not what changed."""
        said = []
        if found.state == "unchanged":
            said.append(Statement("reproduce.because.inputs", {}))
        then, now = self.entry.body["code"], package_version("citylake")
        if then != now:
            said.append(Statement("reproduce.because.code", {"then": then, "now": now}))
        return tuple(said)

    def _because(self) -> tuple[Statement, ...]:
        """Why files may differ although their rows are the same: threads, where nothing else tells."""
        found = []
        then, now = self.receipt.body.get(MADE, {}).get(ENGINES), engines()
        if then is None:
            found.append(Statement("reproduce.because.unknown", {}))
        elif other := [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]:
            listed = ", ".join(f"{name} {then.get(name)} -> {now.get(name)}" for name in other)
            found.append(Statement("reproduce.because.engines", {"engines": listed}))
        receipt = self.receipts.last(Stage.BUILD, self.entry.edition)
        by_key = receipt.body["by_key"].get(self.model) if receipt else None
        if by_key is not None and not by_key["why"] and self.product is None:
            found.append(Statement("reproduce.because.by_key", {}))
        return tuple(found) or (Statement("reproduce.because.threads", {"threads": now["threads"]}),)

    @contextmanager
    def _unreadable_named(self) -> Iterator[None]:
        """Name files that are gone or torn, of whatever was to be read."""
        try:
            yield
        except duckdb.IOException as error:
            about = {"subject": self.entry.subject, "version": self.version}
            raise CitylakeError("reproduce.unreadable", **about) from error

    @property
    def _dbt(self) -> Path:
        """dbt's working copy and parse cache, those of runs."""
        folder = self.settings.home / "dbt"
        folder.mkdir(exist_ok=True)
        return folder


def _rows(place: Place) -> str:
    read = delta.scan(delta.open_table(*place))
    return f"(SELECT {read.columns} FROM {read.source})"


def _types(place: Place) -> dict[str, str]:
    return delta.column_types(delta.open_table(*place).schema())


def _files(place: Place) -> list[str]:
    """The SHA-256 of every file of a version; names of files are drawn by lot."""
    location, version = place
    return sorted(sha256(location / file.path) for file in delta.table_files(delta.open_table(location, version)))
