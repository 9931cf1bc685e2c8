"""One run: ingest sources, take an edition, build what changed, prove, decide, release, refresh the marts.

The steps that Dagster shows and the command line starts. Each step fails alone: what went wrong becomes an issue with
an owner, the rest of the run goes on, and the last release stays published.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Table

from pipelines.admission import correction_book, granted
from pipelines.admission.admit import Admitted, admit, applied
from pipelines.admission.compile import ERASED_ROW
from pipelines.admission.quarantine import Quarantine
from pipelines.admission.reasons import reasons, told
from pipelines.admission.receive import Delivery, kept, receive, replayed, returned
from pipelines.admission.renames import RENAMED, ColumnsRenamed
from pipelines.connectors.base import listed
from pipelines.contracts.dbt import BEFORE, generated
from pipelines.contracts.forms.sources import WholeTable
from pipelines.contracts.load import Contracts, SourceContract, load
from pipelines.erasure.marks import Erased
from pipelines.erasure.order import JOURNAL, erasing_key, require_finished
from pipelines.evidence import days
from pipelines.failures import Failures
from pipelines.issues import REFUSED, Finding, Issues, Severity
from pipelines.lake.build import BuildResult, build
from pipelines.lake.cleanup import clean, forget_candidates
from pipelines.lake.edition import Edition, Released, write_snapshot
from pipelines.lake.errors import disk_full_named
from pipelines.lake.lock import run_lock
from pipelines.lake.models import Model, models
from pipelines.lake.zones import library_of
from pipelines.linkage.reviews import Reviews
from pipelines.messages import CitylakeError
from pipelines.preparation import ADDRESSES, LINKAGE, MATCHED, Preparation, compared, core_versions
from pipelines.privacy.sensitivity import sensitivity
from pipelines.register import Register, heads
from pipelines.register.receipts import REPLAY, RETURNED, Receipt, Receipts, Stage
from pipelines.register.store import now
from pipelines.register.tables import audit, ledger
from pipelines.register.times import as_utc
from pipelines.release import approval, away, failing, marts, plan, stamps
from pipelines.release.editor import Editor, Outcome
from pipelines.release.ledger import Ledger, Recorded
from pipelines.release.made import ENGINES, FILES, MADE, code_files, engines
from pipelines.release.notices import AREA as NOTICE
from pipelines.release.refused_ends import AREA as REFUSED_ENDS
from pipelines.release.refused_ends import still_shown
from pipelines.release.signing import signer_of
from pipelines.release.since import CODE, Publications
from pipelines.retention import ended, terms
from pipelines.retention.apply import Retention, unfound
from pipelines.settings import Settings
from pipelines.synthetic import is_test, require_mark

EDITION, MARTS, HEADS, AUDIT_HEADS = "edition", "marts", "heads", "audit_heads"
SCORES, REPORTS = "scores", "reports"
"""The subjects of problems that concern an edition as a whole, the analysts' database, heads of ledger and audit,
scores of the day, or reports of the month."""

PROOFS = 1000
"""How many admissions of a source are looked at for the one that solved an issue."""

PATIENCE = 3600
"""Seconds after which a file without its marker is told: an upload may take a while."""
IngestStatus = Literal["waiting", "admitted", "unchanged", "held", "rejected", "failed"]


@dataclass(frozen=True)
class Ingested:
    """What became of one source in this run. `admitted` is its last admitted batch, None if there is none yet."""

    status: IngestStatus
    message: str
    admitted: Admitted | None

    def replayed(self, source: str) -> Admitted:
        """What a replay of the source came to. Raises CitylakeError where a held or rejected batch stopped it: what was
        admitted last is another batch then."""
        if self.status not in ("admitted", "unchanged") or self.admitted is None:
            raise CitylakeError("replay.not_done", subject=source)
        return self.admitted


@dataclass(frozen=True)
class Built:
    """An edition and what was built for it. `chosen` is in build order; empty when nothing changed."""

    edition: Edition
    number: int
    inputs: Mapping[str, str]
    chosen: tuple[str, ...]
    result: BuildResult | None


@dataclass
class Run:
    """The steps of one run, on one home, under the run lock. Open it with `opened`."""

    settings: Settings
    register: Register
    contracts: Contracts
    id: str

    def __post_init__(self) -> None:
        self.lake = self.settings.lake
        self.contracts = granted.with_asked(self.contracts, self.lake)
        self.receipts = Receipts(self.register, self.id)
        self.ledger = Ledger(self.register)
        self.issues = Issues(self.register)
        self.reviews = Reviews(self.register)
        self.failures = Failures(self.receipts, self.issues, self.settings.home / "logs" / f"{self.id}.log")
        key = erasing_key(self.settings, self.ledger)
        self.erased = Erased.read((one.body for one in self.ledger.standing_erasures()), key)
        self.started = now()

    @property
    def today(self) -> date:
        """The city's date when the run started."""
        return self.started.astimezone(ZoneInfo(self.contracts.city.timezone)).date()

    @property
    def problems(self) -> Sequence[str]:
        """What failed, is held or was not published so far: sources, subjects, and steps of the run."""
        return self.failures.subjects

    def ingest(self, source: str) -> Ingested:
        """Admit what the steward confirmed, then pull and admit one source. Whatever goes wrong harms this source
        alone: it is an issue of its owner, and its traceback lies in logs/."""
        contract = self.contracts.sources[source]
        try:
            with disk_full_named(self.settings.home):
                unmarked: set[str] = set()
                delivery, admitted = self._settle(contract) or self._receive(contract, unmarked)
                earlier: list[Finding] = []
                while delivery is not None and delivery.more and not _blocks(contract, admitted):
                    earlier += _observed(contract, delivery, admitted)
                    delivery, admitted = self._receive(contract, unmarked)
                return self._ingested(contract, delivery, admitted, [*earlier, *_unmarked(unmarked)])
        except Exception as error:
            if isinstance(error, ColumnsRenamed):
                self._offer(contract, error)
            finding = self.failures.add(source, contract.org, error)
            return Ingested("failed", finding.both(), self._last_admitted(source))

    def _offer(self, contract: SourceContract, error: ColumnsRenamed) -> None:
        """Report which new columns may be those that are missing. No value was looked at: what else is open of the
        source's drift stays."""
        unasked = {row["code"] for row in self.issues.open(contract.id) if not row["code"].startswith(f"{RENAMED}:")}
        self.issues.report(contract.id, contract.org, "drift", error.findings, unasked=unasked)

    def replay(self, source: str, first: date, last: date, asked: Mapping[str, str] | None = None) -> Ingested:
        """Judge the batches received from `first` to `last` (days of the city) again, by the present contract. `asked`:
        who wants it and why, for the receipt, if it is a person.

        What is read of them now replaces what was read of them before, unless another batch said something that counts
        instead; of a key of which nothing is accepted now the last accepted row stays. Of a source that delivers whole
        tables the delivery in force is judged again, if it came on these days: those before it say nothing that still
        holds. Raises CitylakeError for a source without batches, with one whose raw rows were ended,
        or with none in force.
        """
        contract = self.contracts.sources[source]
        if held := self._settle(contract):
            return self._ingested(contract, *held)
        pulls = [pull for pull in self.receipts.pulls(source) if first <= self._day(pull.at) <= last]
        batches = [pull for pull in pulls if not pull.body["origin"].startswith((REPLAY, RETURNED))]
        if not batches:
            raise CitylakeError("replay.nothing", subject=source, first=first, last=last)
        corrected: Sequence[tuple[int, int]] = ()
        if isinstance(contract.form.load, WholeTable):
            batches = self._in_force(contract, batches)  # admission itself knows which corrections of a table stand
        else:
            with self._quarantine(contract) as quarantine:
                corrected = quarantine.corrected()
        ended.require_raw(self.ledger, contract, [pull.batch or 0 for pull in batches])
        delivery = replayed(contract, self.lake, batches, self.receipts, corrected, asked)
        return self._ingested(contract, delivery, self._admit(contract, delivery))

    def _in_force(self, contract: SourceContract, batches: Sequence[Receipt]) -> list[Receipt]:
        """Of the batches of a whole table the one in force. Raises CitylakeError if it is not among them."""
        admitted = self.receipts.deliveries_admitted(contract.id, 1)
        if not admitted:
            raise CitylakeError("replay.not_admitted", subject=contract.id)
        found = [pull for pull in batches if pull.batch == admitted[0].batch]
        if not found:
            newest = self.receipts.last(Stage.PULL, contract.id, admitted[0].batch)
            day = self._day(newest.at) if newest else "—"
            raise CitylakeError("replay.overtaken", subject=contract.id, batch=admitted[0].batch, day=day)
        return found

    def retain(self, who: str, why: str, unattended: bool = False) -> dict[str, Any] | None:
        """End what is due today by the contracts' periods; what the ledger says of it, None if nothing was due.

        `unattended`: nobody looked. Then nothing of a dataset ends whose terms are new; if they are others than before,
        that is an issue of the operator until a steward ends what is due. So is a history of which a row that is due is
        not found in a product.
        """
        now, before = terms.of(self.contracts, self.today), terms.stood(self.receipts)
        changed = terms.changed(now, before) if unattended else set[str]()
        left = changed | (now.keys() - before.keys()) if unattended else changed
        retention = Retention(self.settings, self.contracts, self.register)
        body = retention.apply(self.today, who, why, left)
        terms.stand(self.receipts, now | {name: before[name] for name in changed})
        for name in now:
            periods = {"before": before[name][0], "retention": now[name][0]} if name in changed else {}
            findings = [Finding("retention.changed", {"subject": name, **periods}, "warning")] if periods else []
            findings += unfound(name, retention.unfound)
            self.issues.report(name, self.contracts.city.operator, "retention", findings)
        if body is not None:
            self.marts()
        return body

    def take_back(self, source: str, file: Path, who: str, why: str) -> Admitted:
        """Admit the refused rows that a department corrected in an exported file, as a batch of their own.

        Raises CitylakeError while the newest batch is held or failed, and for a file whose rows are not all open
        refused rows of this source; then nothing is taken.
        """
        contract = self.contracts.sources[source]
        if held := self._settle(contract):
            raise CitylakeError("quarantine.held", subject=source, batch=held[0].batch)
        waiting, last = self.receipts.unsettled(source), self.receipts.last(Stage.PULL, source)
        if last is not None and last.batch in {pull.batch for pull in waiting}:
            raise CitylakeError("quarantine.not_admitted", subject=source, batch=last.batch)
        with self._quarantine(contract) as quarantine:
            rows = correction_book.read(file, contract, self.contracts, quarantine)
        delivery = returned(contract, self.lake, file, rows, {"who": who, "why": why}, self.receipts)
        admitted = self._admit(contract, delivery)
        assert admitted is not None  # nobody could reject a batch that is just made
        self._report_admission(contract, admitted)
        return admitted

    def _quarantine(self, contract: SourceContract) -> Quarantine:
        return Quarantine(contract, self.contracts, self.lake, self.receipts)

    def _day(self, moment: datetime) -> date:
        """The day of a moment by the city's clocks."""
        return as_utc(moment).astimezone(ZoneInfo(self.contracts.city.timezone)).date()

    def _settle(self, contract: SourceContract) -> tuple[Delivery, Admitted] | None:
        """Admit what waits, and say so at once, for the pull behind it may fail. The batch at which an incremental
        source is held, if any: none may overtake it."""
        for waiting in self._waiting(contract):
            admitted = self._admit(contract, waiting)
            if admitted is not None and _blocks(contract, admitted):
                return waiting, admitted
            self._report(contract, waiting, admitted)
        return None

    def _receive(self, contract: SourceContract, unmarked: set[str]) -> tuple[Delivery | None, Admitted | None]:
        """Pull one delivery and admit it. To `unmarked` files are added that have waited long for their markers."""

        def tell(name: str, seconds: float) -> None:
            if seconds >= PATIENCE:
                unmarked.add(name)

        about = (contract, self.contracts, self.lake, self._secret, self.receipts, self.erased)
        delivery = receive(*about, made_up=is_test(self.settings), unmarked=tell)
        return delivery, self._admit(contract, delivery) if delivery else None

    def publish(self) -> list[Outcome]:
        """Edition, build, proof, release, marts. A failure is an issue of the operator; then nothing is published."""
        try:
            with disk_full_named(self.settings.home):
                outcomes = self._release(self._build())
                self._report_refused_ends()
                self.marts()
        except Exception as error:
            self.failures.add(EDITION, self.contracts.city.operator, error)
            return []
        finally:
            self._measure()
        self.failures.gone(EDITION, self.contracts.city.operator, "run", "lake", "release")
        steps = {EDITION, MARTS, HEADS, AUDIT_HEADS, LINKAGE, ADDRESSES, SCORES, REPORTS}
        steps.update(map(compared, self.contracts.sources))
        self.issues.close_others({*steps, *self.contracts.sources, *self.contracts.models, *self.contracts.products})
        return outcomes

    def _measure(self) -> None:
        """Write down how sources stand by now; what was published stays published if that fails."""
        try:
            with disk_full_named(self.settings.home):
                days.keep(self.contracts, self.register, self.lake, now())
        except Exception as error:
            self.failures.add(SCORES, self.contracts.city.operator, error)
        else:
            self.failures.gone(SCORES, self.contracts.city.operator, "run", "lake")

    def _build(self) -> Built:
        """Take an edition of everything admitted and build the models whose inputs changed."""
        sources = core_versions(self.contracts, self.lake, self.receipts)
        number = int(self.started.timestamp() * 1000)  # runs of one home never start in the same millisecond
        prepared = self.preparation.prepare(sources, number)
        edition = Edition(f"e{self.started:%Y%m%dT%H%M%S}{number % 1000:03}", self.today, sources, prepared)
        graph = self._models()
        now = {f"core.{name.replace('/', '__')}": source for name, source in sources.items()} | prepared
        versions = {relation: table.version for relation, table in now.items()}
        marked = plan.rewritten(versions, self.ledger.rewritings())
        inputs = plan.model_inputs(graph, self.settings.dbt_project, self.contracts, marked, self.today)
        published = self.ledger.published()
        waiting = approval.waiting(self.contracts, approval.heard(self.ledger), self.started)
        closed = self.ledger.withdrawn().keys() | waiting.keys()
        outdated = plan.outdated(inputs, published, closed, self.contracts)
        chosen = tuple(plan.in_order(graph, outdated))
        if not chosen:
            return Built(edition, number, inputs, (), None)
        code = plan.model_code(graph, self.settings.dbt_project, self.contracts, versions, self.today)
        by_key = {name: code[name] for name in chosen if graph[name].key is not None}
        files = code_files(graph, self.settings.dbt_project, self.contracts, chosen, self.today)
        body = {
            **{"as_of": edition.as_of.isoformat(), "sources": versions, "models": list(chosen), CODE: by_key},
            MADE: {ENGINES: engines(), FILES: files},
        }
        self.receipts.add(Stage.EDITION, edition.id, body)
        snapshot = self.lake.scratch() / f"{edition.id}.json"
        released = [
            Released(library_of(name), name, self.lake.released(library_of(name), name), entry.version)
            for name, entry in published.items()
            if name in graph and entry.version is not None
        ]
        write_snapshot(snapshot, edition, released, set(chosen), self._told(graph, chosen, published))
        result = build(
            self.settings.dbt_project,
            self.lake,
            edition.id,
            snapshot,
            list(chosen),
            work=self._dbt,
            generated=generated(self.contracts, self.today),
            since=Publications(self.ledger, self.receipts, graph, self.today).since(chosen, code, now),
        )
        told = {name: asdict(one) for name, one in result.by_key.items()}
        self.receipts.add(Stage.BUILD, edition.id, {"seconds": round(result.seconds, 3), "by_key": told})
        return Built(edition, number, inputs, chosen, result)

    def _told(
        self, graph: Mapping[str, Model], chosen: Sequence[str], published: Mapping[str, Recorded]
    ) -> dict[str, Released]:
        """By history that is built again: the version of its subject published when the history last was. A subject
        whose history was refused is then still told of later."""
        found = {}
        for name in chosen:
            if f"{BEFORE}.{name}" in graph[name].sources and name in published:
                (subject,) = graph[name].depends_on
                beside = self.ledger.release_beside(subject, published[name])
                if beside is not None and beside.version is not None:
                    location = self.lake.released(library_of(subject), subject)
                    found[name] = Released(library_of(subject), subject, location, beside.version)
        return found

    def _release(self, built: Built) -> list[Outcome]:
        """Prove and decide about everything that was built, publish what is approved. One ledger transaction."""
        self._close_settled(built)
        if built.result is None:
            return []
        proved = sensitivity(self.contracts, self.settings.dbt_project, self._dbt, self.today)
        about = (self.settings, self.contracts, self.ledger, self.receipts, self._models(), proved)
        editor = Editor(*about, today=self.today, now=self.started)
        judged = editor.judge(built.edition, built.number, built.inputs, built.chosen, built.result)
        for outcome in judged.outcomes.values():  # before it is published: after that no run would look at it again
            self.issues.report(outcome.subject, outcome.owner, "advice", outcome.advice)
            if (told := outcome.notices) is not None:
                self.issues.report(outcome.subject, outcome.owner, NOTICE, told.findings, told.proof)
        outcomes = editor.release(judged)
        for outcome in outcomes:
            for area in ("build", "release"):
                findings = [finding for finding in outcome.findings if finding.code.startswith(f"{area}.")]
                self.issues.report(outcome.subject, outcome.owner, area, findings)
            if any(finding.severity == "error" for finding in outcome.findings):
                self.failures.subjects.append(outcome.subject)
        forget_candidates(self.lake, failing.kept_candidates(self.contracts, self.receipts, self.lake))
        return outcomes

    def _report_refused_ends(self) -> None:
        """Tell owners of what is still shown although a row that may end it came, and was refused."""
        published = self.ledger.published()
        for model, contract in self.contracts.models.items():
            entry = published.get(model)
            if not contract.form.endedBy or entry is None or entry.version is None:
                continue
            named = {}
            for source, column in contract.form.endedBy.items():
                with self._quarantine(self.contracts.sources[source]) as quarantine:
                    named[source] = quarantine.named(column)
            found = list(still_shown(contract, self.lake.subject(model), entry.version, named))
            self.issues.report(model, contract.form.owner, REFUSED_ENDS, found)

    def _close_settled(self, built: Built) -> None:
        """Close the issues of what is published from its present inputs: whatever closed its gate is gone."""
        published = self.ledger.published()
        for model, contract in self.contracts.models.items():
            for subject in (model, *(product.id for product in contract.products)):
                if subject in published and published[subject].body["inputs"] == built.inputs.get(model):
                    self.failures.gone(subject, contract.form.owner, "build", "release")

    def marts(self) -> Path | None:
        """Bring the analysts' database up to the ledger; returns its file if it changed."""
        file = marts.refresh(self.settings, self.contracts, self.register)
        self.failures.gone(MARTS, self.contracts.city.operator, "run", "lake")
        if file is not None:
            self.receipts.add(Stage.MARTS, MARTS, {"file": file.name})
        return file

    def seal(self) -> None:
        """Sign what ledger and audit say since their last heads. Called at the end of a run; a chain that was tampered
        with is not signed, and is an issue of the operator."""
        city = self.contracts.city
        for subject, chain in ((HEADS, ledger), (AUDIT_HEADS, audit)):
            try:
                sealed = heads.seal(self.register, signer_of(self.settings, city), ZoneInfo(city.timezone), chain)
            except Exception as error:  # what was published stays published
                self.failures.add(subject, city.operator, error)
                continue
            if sealed is not None:
                self.failures.gone(subject, city.operator, "heads", "run", "lake")
            self._stamp(subject, chain)
            self._leave(subject, chain)

    def _stamp(self, subject: str, chain: Table) -> None:
        """Have the newest head of a chain stamped, if the city names an authority; what fails is an issue."""
        named = self.contracts.city.timeStamps
        try:
            if named is not None:
                stamps.stamp(self.register, stamps.authority(named.address, named.certificate), chain)
        except Exception as error:  # the other chain is signed all the same
            self.failures.add(subject, self.contracts.city.operator, error)
        else:
            self.failures.gone(subject, self.contracts.city.operator, "stamps")

    def _leave(self, subject: str, chain: Table) -> None:
        """Send the heads of a chain out of the house, if the city says where to; what fails is an issue."""
        named = self.contracts.city.headsAway
        try:
            if named is not None:
                away.leave(self.register, Path(named.folder), self.settings.home, chain)
        except Exception as error:  # what was published stays published
            self.failures.add(subject, self.contracts.city.operator, error)
        else:
            self.failures.gone(subject, self.contracts.city.operator, "away")

    def repair(self) -> None:
        """Clear away what killed runs left; make the marts say what the ledger says. Called at the start of a run."""
        keep = {self.lake.subject(subject): versions for subject, versions in self.ledger.released_versions().items()}
        # of what was found out about core only the newest is read again
        matched = dict.fromkeys(map(self.lake.matched, MATCHED), ())
        clean(self.lake, {**keep, **matched}, failing.kept_candidates(self.contracts, self.receipts, self.lake))
        try:
            self.marts()
        except Exception as error:  # a run that mends what is lost must be able to start
            self.failures.add(MARTS, self.contracts.city.operator, error)

    def _admit(self, contract: SourceContract, delivery: Delivery) -> Admitted | None:
        if self.receipts.last(Stage.REJECT, contract.id, delivery.batch):
            return None
        known_at = self.started.isoformat(sep=" ", timespec="seconds")
        key = self.settings.first_key("pseudonym", lambda: self.receipts.any_of(Stage.ADMIT))
        return admit(contract, self.contracts, self.lake, key, delivery, self.today, known_at, self.receipts)

    def _waiting(self, contract: SourceContract) -> list[Delivery]:
        """Batches in raw that are to be admitted before anything new is pulled.

        Of a whole table the one that the steward confirmed, what was taken back, and what core took in of a run that
        was killed before it could say so: any other is overtaken by the next delivery. Of an incremental load every
        one, in order, for the source will not send its rows again.
        """
        pulls = self.receipts.unsettled(contract.id)
        if pulls and isinstance(contract.form.load, WholeTable):
            word = self.receipts.last(Stage.CONFIRM, contract.id)
            wanted = {word.batch if word else None, applied(self.lake.core(contract.org, contract.dataset))}
            pulls = [one for one in pulls if one.batch in wanted or one.body["origin"].startswith(RETURNED)]
        return [kept(contract, self.lake, pull) for pull in pulls]

    def _ingested(
        self,
        contract: SourceContract,
        delivery: Delivery | None,
        admitted: Admitted | None,
        earlier: Sequence[Finding] = (),
    ) -> Ingested:
        """Report what the last delivery of a run showed; `earlier`: what those before it in the same run did."""
        self.failures.gone(contract.id, contract.org, "pull", "run", "lake")
        if delivery is None:
            finding = Finding("pull.nothing_yet", {"subject": contract.id}, "warning")
            self.issues.report(contract.id, contract.org, "pull", [finding])
            self.issues.report(contract.id, contract.org, "order", earlier)
            return Ingested("waiting", "", None)
        held = self._report(contract, delivery, admitted, earlier)
        in_force = self._last_admitted(contract.id)
        if admitted is None:
            return Ingested("rejected", "", in_force)
        if held:
            self.failures.subjects.append(contract.id)
            return Ingested("held", "\n".join(finding.both() for finding in held), in_force)
        return Ingested("admitted" if delivery.new else "unchanged", "", admitted)

    def _report(
        self,
        contract: SourceContract,
        delivery: Delivery,
        admitted: Admitted | None,
        earlier: Sequence[Finding] = (),
    ) -> list[Finding]:
        """Make the issues of a source say what a delivery showed; returns why it is held. Of a rejected one nothing
        counts, and what the last admitted one showed is open still."""
        asked = self._asked(contract, admitted)
        shown = _observed(contract, delivery, admitted or self._last_admitted(contract.id))
        found = [one for one in [*earlier, *shown] if one.key not in asked]
        for area in ("drift", "correction", "order"):
            mine = [one for one in found if one.code.startswith(f"{area}.")]
            self.issues.report(contract.id, contract.org, area, mine)
        return self._report_admission(contract, admitted)

    def ask(self, source: str, asked: granted.Asked, row: str) -> None:
        """Put a correction that a person asks for into the book of its source, and open the issue of its owner. `row`:
        the place of the row, `batch:number`, by which those who received it are found.

        A source that delivers changes does not deliver the row again: the batch with it is judged once more.
        """
        contract = self.contracts.sources[source]
        body = {"id": asked.id, "column": asked.column, "applied": asked.applied, "who": asked.who, "why": asked.why}
        self.receipts.add(Stage.CORRECTION, source, {**body, "row": row})  # first: what is in the book is corrected
        granted.write(self.lake, contract, [*granted.read(self.lake, contract), asked])
        self._asked(contract, None)

    def _asked(self, contract: SourceContract, admitted: Admitted | None) -> set[str]:
        """Make the issues of a source say what persons ask it to correct; returns their ids.

        What the source delivers otherwise now is over, whatever it delivers: the issue closes with the batch.
        """
        asked = granted.read(self.lake, contract)
        counts = admitted.corrections if admitted is not None and not admitted.held else {}
        whole = isinstance(contract.form.load, WholeTable)
        over = {name for name, one in counts.items() if not one["corrected"] and (one["rows"] or whole)}
        kept = [one for one in asked if one.id not in over]
        if len(kept) < len(asked):
            granted.write(self.lake, contract, kept)
        titles = {column.name: column.definition.businessName for column in contract.columns}
        findings = [
            Finding("rights.correction", {"id": one.id, "column": titles[one.column]}, "warning", one.id)
            for one in kept
        ]

        def proof(identity: str, since: datetime) -> dict[str, Any] | None:
            mended = admitted is not None and identity.partition(":")[2] in over
            return {"batches": [admitted.batch]} if mended and admitted is not None else None

        self.issues.report(contract.id, contract.org, "rights", findings, proof)
        return {one.id for one in asked}

    def _report_admission(self, contract: SourceContract, admitted: Admitted | None) -> list[Finding]:
        """Make the issues of a source say what is held, which is returned, and which refused rows are open. An issue
        whose rows are all settled closes with the batches that brought them."""
        which = {"subject": contract.id, "batch": admitted.batch if admitted else None}
        held = [Finding(code, given | which, "error") for code, given in (admitted.held if admitted else {}).items()]
        refused, settled = self._refused(contract)
        known = {language: reasons(contract, language) for language in ("zh", "en")}
        findings = [
            Finding(REFUSED, {"subject": contract.id, "rule": rule, "rows": rows} | why, "warning", rule, rows)
            for rule, rows, why in ((rule, rows, _why(known, rule)) for rule, rows in refused.items())
        ]
        admissions = self.receipts.of_stage(Stage.ADMIT, contract.id, PROOFS)
        at = {receipt.batch: as_utc(receipt.at) for receipt in admissions}

        def proof(identity: str, since: datetime) -> dict[str, Any] | None:
            code, _, rule = identity.partition(":")
            batches = settled(rule) if code == REFUSED else set[int]()
            while_open = sorted(batch for batch in batches if batch in at and at[batch] >= since)
            return {"batches": while_open} if while_open else None

        self.issues.report(contract.id, contract.org, "admit", held + findings, proof)
        return held

    def _refused(self, contract: SourceContract) -> tuple[Mapping[str, int], Callable[[str], set[int]]]:
        """Open refused rows by rule, and by rule the batches that settled others.

        Of a whole table of which nothing was taken back the last batch says both. An owner who delivers changes does
        not deliver a refused row again by itself: it is open until it is corrected or overtaken.
        """
        if not isinstance(contract.form.load, WholeTable) or self.receipts.pulls(contract.id, RETURNED):
            with self._quarantine(contract) as quarantine:
                by_rule, settled = quarantine.by_rule(), quarantine.settled()
            return by_rule, lambda rule: settled.get(rule, set())
        last = self._last_admitted(contract.id)
        if last is None:
            return {}, lambda _: set()
        wrong = {rule: rows for rule, rows in last.by_rule.items() if rule != ERASED_ROW}  # nobody can mend these
        return wrong, lambda _: {last.batch}

    def _last_admitted(self, source: str) -> Admitted | None:
        last = self.receipts.last(Stage.ADMIT, source)
        return Admitted(**last.body) if last else None

    @property
    def preparation(self) -> Preparation:
        return Preparation(
            self.settings, self.contracts, self.receipts, self.issues, self.reviews, self.failures, self.today
        )

    def _models(self) -> dict[str, Model]:
        return models(self.settings.dbt_project, self._dbt, generated(self.contracts, self.today))

    @property
    def _dbt(self) -> Path:
        """dbt's working copy and parse cache; it may be deleted at any time."""
        folder = self.settings.home / "dbt"
        folder.mkdir(exist_ok=True)
        return folder

    def _secret(self, connection: str) -> str:
        return self.settings.connection_string(connection, self.contracts.city.connections[connection].secret)


@contextmanager
def opened(settings: Settings, run_id: str, patience: float = 0, erasing: bool = False) -> Iterator[Run]:
    """A run under the lock, its home prepared and repaired. `patience`: seconds to wait for another run to end.
    `erasing`: it is to carry out an order, which may have been begun.

    Raises RunLocked, CitylakeError for bad contracts, while an order to erase a person is half done, and for a home
    that a simulator feeds without the mark.
    """
    contracts = load(settings.contracts)
    settings.prepare()
    with run_lock(settings.home, f"run {run_id}", patience), disk_full_named(settings.home):
        if not erasing:
            require_finished(settings.home)
        register = Register(settings.register_url)
        try:
            register.upgrade()
            require_mark(settings, Ledger(register))
            run = Run(settings, register, contracts, run_id)
            Retention(settings, contracts, register).finish()  # what a killed run began
            if not (settings.home / JOURNAL).exists():
                run.repair()
            yield run
            run.seal()
        finally:
            register.close()


def _unmarked(names: set[str]) -> list[Finding]:
    """The finding about files that wait for their markers."""
    about = {"files": listed(sorted(names)[:5]) + ("…" if len(names) > 5 else ""), "rows": len(names)}
    return [Finding("order.no_marker", about, "warning", rows=len(names))] if names else []


def _observed(contract: SourceContract, delivery: Delivery, admitted: Admitted | None) -> list[Finding]:
    """What a delivery showed about its source: drift, and corrections that no longer fit."""
    severity: Severity = "warning" if contract.form.drift.new_column == "evolve" else "error"
    new = [Finding("drift.new_column", {"column": name}, severity, name) for name in delivery.unknown_columns]
    names = "、".join(delivery.again[:5]) + ("…" if len(delivery.again) > 5 else "")
    about = {"files": names, "rows": len(delivery.again)}
    again = [Finding("order.file_again", about, "warning", rows=len(delivery.again))] if delivery.again else []
    return [*new, *again, *(admitted.findings if admitted else ())]


def _why(known: Mapping[str, Mapping[str, str]], rule: str) -> dict[str, str]:
    return {f"reason_{language}": told(rule, texts, language) for language, texts in known.items()}


def _blocks(contract: SourceContract, admitted: Admitted | None) -> bool:
    """Whether a batch must be decided before the next: a held one of changes, which the source will not send again."""
    return admitted is not None and bool(admitted.held) and not isinstance(contract.form.load, WholeTable)
