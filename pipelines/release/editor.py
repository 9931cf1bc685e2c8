"""The editor of an edition: evidence for every candidate, the decision, and publication of what is approved.

Order is that of the build: what stands on a refused model is refused with it. All decisions of an edition are
recorded in one ledger transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import duckdb

from pipelines.contracts.load import Contracts, Product, ProductContract, rule_context
from pipelines.engine import connect
from pipelines.evidence.gate import prove_model, prove_product
from pipelines.evidence.record import Evidence, Statement
from pipelines.evidence.rules import measure
from pipelines.issues import Finding, Severity
from pipelines.lake import delta
from pipelines.lake.build import BuildResult, ModelResult
from pipelines.lake.candidate import fingerprint
from pipelines.lake.edition import Edition
from pipelines.lake.errors import NO_SPACE, DiskFull, LakeError
from pipelines.lake.models import Model
from pipelines.lake.zones import library_of
from pipelines.privacy import channel_keys
from pipelines.privacy.sensitivity import Sensitivity
from pipelines.register import chain
from pipelines.register.receipts import Receipts, Stage
from pipelines.release import compared, failing, plan
from pipelines.release.approval import OVERTAKEN, UNAPPROVED, Asked, Words, asked, heard, overtaken
from pipelines.release.decision import Decision, decide
from pipelines.release.ledger import APPROVAL_END, REFUSAL, RELEASE, WITHDRAWAL, Entry, Ledger, Recorded
from pipelines.release.notices import Notices, notices
from pipelines.release.products import Counted, write_candidate
from pipelines.release.publish import Approved, publish
from pipelines.release.shown import said_of
from pipelines.release.volume import confirmed_volumes
from pipelines.settings import Settings
from pipelines.synthetic import said

GATE = "citylake gate"


@dataclass(frozen=True)
class Outcome:
    """What became of one subject: its released version, or the findings that closed the gate."""

    subject: str
    owner: str
    version: int | None
    rows: int | None
    findings: tuple[Finding, ...]
    evidence: Evidence | None
    advice: tuple[Finding, ...] = ()
    """What the contract's advice found in a version that may be released all the same."""
    notices: Notices | None = None
    """What departments are told of an approved version; None if nothing was judged."""


@dataclass(frozen=True)
class Judged:
    """What was decided of an edition, by subject, and the ledger rows that are to say so."""

    outcomes: Mapping[str, Outcome]
    entries: Sequence[Entry]
    refusals: Sequence[Entry]


@dataclass(frozen=True)
class _Candidate:
    subject: str
    contract: ProductContract
    product: Product | None
    location: Path
    version: int
    rows: int
    target: Path
    compared: int | None = None
    """With how many earlier releases a table of counts was compared; None: it counts nobody."""


class Editor:
    """Proves and publishes one edition on one in-memory connection."""

    def __init__(
        self,
        settings: Settings,
        contracts: Contracts,
        ledger: Ledger,
        receipts: Receipts,
        graph: Mapping[str, Model],
        sensitivity: Sensitivity,
        today: date,
        now: datetime,
    ) -> None:
        self.settings = settings
        self.contracts = contracts
        self.ledger = ledger
        self.receipts = receipts
        self.graph = graph
        self.sensitivity = sensitivity
        self.today = today
        self.now = now
        self.lake = settings.lake
        self.published = ledger.published()
        self.withdrawn = ledger.withdrawn()
        self.words = heard(ledger)
        self.confirmed = confirmed_volumes(ledger)
        self.con = connect(self.lake.scratch())

    def judge(
        self,
        edition: Edition,
        number: int,
        inputs: Mapping[str, str],
        chosen: Sequence[str],
        result: BuildResult,
    ) -> Judged:
        """Decide about every chosen model and its products, and make all ready that is approved. Nobody reads it yet:
        what is not recorded by `release` is built and judged again."""
        self.edition, self.inputs = edition, inputs
        self.newest = self.ledger.newest(RELEASE)  # withdrawn ones too: who has them can compare
        receipt = self.receipts.last(Stage.EDITION, edition.id)
        self.built_from = chain.digest(receipt.body) if receipt else None
        self.relations = {name: self._relation_of_published(name) for name in self.published if "/" not in name}
        self.judged = set[str]()
        approved: list[Approved] = []
        outcomes: dict[str, Outcome] = {}
        refusals: list[Entry] = []
        with self.con:
            for name in chosen:
                with self._alone(name, self.contracts.models[name], outcomes):
                    self._decide_model(name, result.models[name], approved, outcomes, refusals)
            rewritings = self.ledger.rewritings()
            entries = publish(approved, edition.id, number, self.lake, self.con, self.newest, rewritings)
        return Judged(outcomes, entries, refusals)

    def release(self, judged: Judged) -> list[Outcome]:
        """Record what was decided, which publishes it, and say what happened."""
        outcomes = dict(judged.outcomes)
        stopped = self.ledger.publish([*judged.entries, *self._new(judged.refusals)], overtaken)
        for entry in judged.entries:
            outcome = outcomes[entry.subject]
            if entry.subject in stopped:  # while this edition was made
                outcomes[entry.subject] = replace(outcome, findings=(_stopped(stopped[entry.subject]),))
            else:
                outcomes[entry.subject] = _released(outcome, entry.version)
        return list(outcomes.values())

    def _decide_model(
        self,
        name: str,
        built: ModelResult,
        approved: list[Approved],
        outcomes: dict[str, Outcome],
        refusals: list[Entry],
    ) -> None:
        contract = self.contracts.models[name]
        if built.status != "success" or built.location is None or built.version is None:
            finding = Finding("build.failed", {"subject": name, "problem": built.message}, "error")
            outcomes[name] = Outcome(name, contract.form.owner, None, None, (finding,), None)
            return
        target = self.lake.released(library_of(name), name)
        candidate = _Candidate(name, contract, None, built.location, built.version, built.rows or 0, target)
        relation = self._relation(built.location, built.version)
        self.relations[name] = relation
        self.judged.add(name)
        mark = fingerprint(built.location, built.version)
        evidence = prove_model(self.con, contract, self._context(name, relation), mark)
        refused = sorted(parent for parent in plan.upstream(self.graph, name) if _closed(outcomes.get(parent)))
        # before the decision: what fails here closes the model, and none that is approved may be closed any more
        advice, told = self._advice(contract, relation), self._notices(contract, relation)
        approve = self._decide(candidate, evidence, refused, approved, outcomes, refusals)
        outcomes[name] = replace(outcomes[name], advice=advice, notices=told if approve else None)
        if approve:
            for product in contract.products:
                self._decide_product(product, relation, candidate.rows, approved, outcomes, refusals)

    def _advice(self, contract: ProductContract, relation: str) -> tuple[Finding, ...]:
        """What the advice of a contract finds in a candidate, a finding for each rule that some rows fail."""
        results = measure(self.con, contract.advice, self._context(contract.form.model, relation))
        return tuple(
            Finding(
                "advice.rule_failed",
                {"subject": contract.form.model, "rule": one.rule_id, "failed": one.failed, "rows": one.evaluated},
                "warning",
                one.rule_id,
                one.failed,
            )
            for one in results
            if one.failed
        )

    def _notices(self, contract: ProductContract, relation: str) -> Notices:
        notice = contract.form.notice
        if notice is None:
            return Notices()
        outcome = self.relations[notice.outcome.model] if notice.outcome is not None else None
        return notices(self.con, contract, notice, relation, outcome, self.contracts, self.today)

    def _decide_product(
        self,
        product: Product,
        relation: str,
        model_rows: int,
        approved: list[Approved],
        outcomes: dict[str, Outcome],
        refusals: list[Entry],
    ) -> None:
        with self._alone(product.id, product.contract, outcomes):
            location = self.lake.product_candidate(self.edition.id, product.channel, product.name)
            masked_by = (column.mask for column in product.columns)
            channel_keys.register(self.con, self._channel_key, product.channel, masked_by)
            counts = self._counted(product, relation)
            version = write_candidate(self.con, product, relation, location, counts)
            rows = delta.row_count(delta.open_table(location, version))
            target = self.lake.product(product.channel, product.name)
            number = len(counts.earlier) if counts else None
            candidate = _Candidate(product.id, product.contract, product, location, version, rows, target, number)
            mark = fingerprint(location, version)
            shown = self._relation(location, version)
            evidence = prove_product(
                self.con, product, self.contracts, shown, model_rows, mark, counts, self.sensitivity, self.today
            )
            self._decide(candidate, evidence, [], approved, outcomes, refusals)

    def _channel_key(self, name: str) -> bytes:
        """The key of a channel, made unless something was released under it. Raises LostKey: under another one every
        pseudonym would be another."""
        return self.settings.first_key(name, lambda: name in self._keys_used())

    def _keys_used(self) -> set[str]:
        """The keys under which products were released, also withdrawn ones and columns that newer releases dropped."""
        names = set[str]()
        for entry in self.ledger.of_kind(RELEASE):
            masked_by = [mask for _, mask in (entry.body.get("columns") or {}).values()]
            names |= channel_keys.needed(entry.subject.partition("/")[0], masked_by)
        return names

    def _counted(self, product: Product, relation: str) -> Counted | None:
        """What a table of counts is cut from, with all releases from which what is withheld must not follow."""
        releases = compared.earlier(self.ledger, product.id)
        return compared.counted(self.con, product, relation, self.edition.as_of, self.lake, self.ledger, releases)

    @contextmanager
    def _alone(self, subject: str, contract: ProductContract, outcomes: dict[str, Outcome]) -> Iterator[None]:
        """What the engine cannot do for one subject closes that subject; a full disk concerns all of them."""
        try:
            yield
        except (duckdb.Error, LakeError) as error:
            if isinstance(error, DiskFull) or NO_SPACE.search(str(error)):
                raise
            problem = str(error) if isinstance(error, LakeError) else type(error).__name__
            finding = Finding("build.failed", {"subject": subject, "problem": problem}, "error")
            outcomes[subject] = Outcome(subject, contract.form.owner, None, None, (finding,), None)

    def _decide(
        self,
        candidate: _Candidate,
        evidence: Evidence,
        refused_upstream: Sequence[str],
        approved: list[Approved],
        outcomes: dict[str, Outcome],
        refusals: list[Entry],
    ) -> bool:
        """Record the evidence, take the decision, and put the candidate on one of the two lists."""
        subject, owner = candidate.subject, candidate.contract.form.owner
        self.receipts.add(Stage.EVIDENCE, subject, self._proof(candidate, evidence))
        mark = fingerprint(candidate.location, candidate.version)
        previous, withdrawal = self.published.get(subject), self.withdrawn.get(subject)
        release = self._asked(candidate)
        decision = decide(subject, mark, evidence, previous, refused_upstream, withdrawal, release)
        body = self._body(candidate, evidence, mark)
        findings: tuple[Finding, ...] = ()
        if decision.approved:
            if release is not None and release.approval is not None and release.words.permit is not None:
                body["approval"] = release.words.permit.said(release.approval)
            args = (candidate.location, candidate.version, mark, candidate.target, candidate.product, body)
            approved.append(Approved(subject, *args))
        else:
            findings = (_withheld(withdrawal) if withdrawal and decision.waits else _refusal(subject, decision),)
            reasons = [reason.text("zh") for reason in decision.reasons]
            refusals.append(Entry(REFUSAL, subject, self.edition.id, None, {**body, "reasons": reasons}))
        outcomes[subject] = Outcome(subject, owner, None, candidate.rows, findings, evidence)
        return decision.approved

    def _asked(self, candidate: _Candidate) -> Asked | None:
        """What the release of a product asks for besides the gate; nothing of a model, which is given to nobody."""
        if candidate.product is None:
            return None
        said = self.words.get(candidate.subject, Words())
        return asked(candidate.product, self.contracts.city, said, self.now)

    def _proof(self, candidate: _Candidate, evidence: Evidence) -> dict[str, Any]:
        """The evidence as its receipt keeps it; the ledger names it by its hash. Of a model it says what its rules were
        asked of."""
        asked = {} if candidate.product else {failing.ASKED: self._rules_asked(candidate).stored()}
        return {"edition": self.edition.id, **asked, **evidence.to_json()}

    def _rules_asked(self, candidate: _Candidate) -> failing.RulesAsked:
        """Of what the rules of a model were asked, by versions: so they can be asked again."""
        name, contract = candidate.subject, candidate.contract
        versions = {one: entry.version for one, entry in self.published.items()}
        beside = {one: None if one in self.judged else versions.get(one) for one in failing.models_of(contract)}
        confirmed = self.confirmed[name].body["rows"] if name in self.confirmed else None
        about = (contract.hash, self.today, candidate.version, versions.get(name), confirmed)
        return failing.RulesAsked(*about, beside)

    def _body(self, candidate: _Candidate, evidence: Evidence, mark: str) -> dict[str, Any]:
        proof = evidence.to_json()
        body = {
            "rows": candidate.rows,
            "contract": candidate.contract.hash,
            "inputs": self.inputs[candidate.contract.form.model],
            "fingerprint": mark,
            "as_of": self.edition.as_of.isoformat(),
            "evidence": proof["checks"],
            "rules": proof["rules"],
            "proof": chain.digest(self._proof(candidate, evidence)),
            "built_from": self.built_from,
            "code": package_version("citylake"),
            "approver": GATE,
            **said(self.settings),
        }
        if candidate.subject in self.confirmed:
            body["confirmation"] = self.confirmed[candidate.subject].sequence
        if candidate.compared is not None:
            body[compared.COMPARED] = candidate.compared
        if candidate.product is None:
            return body
        return {**body, "model": candidate.contract.form.model, **said_of(candidate.product, self.contracts.city)}

    def _context(self, name: str, relation: str) -> Any:
        previous = self._relation_of_published(name) if name in self.published else None
        confirmed = self.confirmed[name].body["rows"] if name in self.confirmed else None
        return rule_context(
            self.contracts,
            today=self.today,
            relation=relation,
            previous=previous,
            confirmed=confirmed,
            models=self.relations,
        )

    def _relation_of_published(self, name: str) -> str:
        entry = self.published[name]
        return self._relation(self.lake.released(library_of(name), name), entry.version or 0)

    def _relation(self, location: Path, version: int) -> str:
        read = delta.scan(delta.open_table(location, version))
        return f"(SELECT {read.columns} FROM {read.source})"

    def _new(self, refusals: Sequence[Entry]) -> list[Entry]:
        """Refusals that are not just the last one again: a candidate refused daily for the same reason is one entry."""
        return [entry for entry in refusals if not self._said(entry)]

    def _said(self, entry: Entry) -> bool:
        last: Recorded | None = next(iter(self.ledger.history(entry.subject, limit=1)), None)
        return (
            last is not None
            and last.kind == REFUSAL
            and (last.body["inputs"], last.body["reasons"]) == (entry.body["inputs"], entry.body["reasons"])
        )


def _closed(outcome: Outcome | None) -> bool:
    return outcome is not None and bool(outcome.findings)


def _released(outcome: Outcome, version: int | None) -> Outcome:
    return replace(outcome, version=version, findings=())


def _withheld(withdrawal: Recorded) -> Finding:
    """Nothing is wrong with the version, so the run is well; somebody withdrew the subject."""
    about = {"subject": withdrawal.subject, "row": withdrawal.sequence}
    return Finding("release.withheld", about, "warning")


def _stopped(word: Recorded) -> Finding:
    """Somebody withdrew the subject, ended its approval, or approved it anew, while the edition was made."""
    if word.kind == WITHDRAWAL:
        return _withheld(word)
    if word.kind == APPROVAL_END:
        reason = Statement(UNAPPROVED, {"subject": word.subject})
    else:
        reason = Statement(OVERTAKEN, {"subject": word.subject, "row": word.sequence})
    return _told(word.subject, [reason], waits=True)


def _refusal(subject: str, decision: Decision) -> Finding:
    return _told(subject, decision.reasons, decision.waits)


def _told(subject: str, reasons: Sequence[Statement], waits: bool) -> Finding:
    """A version that is refused; or one that only waits for a word or a moment, with which the run is well."""
    texts = {f"reasons_{language}": _joined(reasons, language) for language in ("zh", "en")}
    code: tuple[str, Severity] = ("release.waits", "warning") if waits else ("release.refused", "error")
    return Finding(code[0], {"subject": subject, **texts}, code[1])


def _joined(reasons: Sequence[Statement], language: str) -> str:
    """Several reasons as one sentence, that goes on behind them."""
    between, stop = ("；", "。") if language == "zh" else ("; ", ".")
    return between.join(reason.text(language).removesuffix(stop) for reason in reasons)
