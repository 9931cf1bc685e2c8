"""What is found out about core before models are built: which row is about whom, and where addresses and layers are.

Belongs here: the order of these steps, and what stands when one fails. How rows are linked belongs to `linkage`, how
addresses are matched and placed to `geo`. Models read what is found as sources, beside core.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.admission.admit import Admitted
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.evidence import across
from pipelines.failures import Failures
from pipelines.geo.layers import layer_doubts, place_layers
from pipelines.geo.matching import match_addresses
from pipelines.geo.positions import datum_doubt, place_addresses
from pipelines.issues import Finding, Issues
from pipelines.lake.edition import CoreVersion, Prepared, core_columns
from pipelines.lake.zones import Lake
from pipelines.linkage import step, tables
from pipelines.linkage.marks import participants
from pipelines.linkage.matching import Model
from pipelines.linkage.reviews import Reviews
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import Ledger
from pipelines.settings import Settings

LINKAGE, ADDRESSES = "linkage", "addresses"
"""The subjects of problems that concern who rows are about, or where."""

MATCHED = {"address": match_addresses, "position": place_addresses, "layer": place_layers}
"""The tables about addresses and layers, in the order in which they are made, and what makes them."""


@dataclass(frozen=True)
class Preparation:
    """The steps before a build, of one run on one home."""

    settings: Settings
    contracts: Contracts
    receipts: Receipts
    issues: Issues
    reviews: Reviews
    failures: Failures
    today: date

    def prepare(self, sources: Mapping[str, CoreVersion], number: int) -> dict[str, Prepared]:
        """The tables that say what was found of these sources, with their versions. `number`: that of the edition."""
        self.compare(sources)
        return self._link(sources, number) | self._match(sources)

    def compare(self, sources: Mapping[str, CoreVersion]) -> None:
        """Hold sources against each other as their contracts say. Nothing waits for this; what fails of one source is
        told and stops no other."""
        operator = self.contracts.city.operator
        told = {row["subject"] for row in self.issues.open() if row["code"].startswith(f"{across.AREA}.")}
        rewritings = len(Ledger(self.receipts.register).rewritings())
        for name, contract in self.contracts.sources.items():
            try:
                if contract.across:
                    self._look(contract, sources, rewritings)
                elif name in told:  # the rules are gone
                    self.issues.report(name, contract.org, across.AREA, [])
            except Exception as error:
                self.failures.add(compared(name), operator, error)
                continue
            self.failures.gone(compared(name), operator, "run", "lake")

    def _look(self, contract: SourceContract, sources: Mapping[str, CoreVersion], rewritings: int) -> None:
        """Ask the rules of one source, if anything changed that their answers depend on."""
        last = self.receipts.last(Stage.ACROSS, contract.id)
        inputs = across.inputs(contract, self.contracts, sources, self.today, rewritings)
        if last is not None and last.body["inputs"] == inputs:
            return
        seen = across.look(contract, self.contracts, sources, self.settings.lake, self.today, inputs)
        found = list(across.findings(contract, self.contracts, seen))
        unasked = across.unasked(contract, self.contracts, seen)
        # the receipt comes last: whoever is killed before it looks again, and loses no issue
        self.issues.report(contract.id, contract.org, across.AREA, found, unasked=unasked)
        self.receipts.add(Stage.ACROSS, contract.id, seen.stored())

    def _link(self, sources: Mapping[str, CoreVersion], number: int) -> dict[str, Prepared]:
        """Link rows to persons and number these, if anything changed. If it fails, what was linked before stands; if
        a source of now never was, nothing is found, so that models that read it are not built: without links they
        would say of thousands that they have no health record."""
        lake, operator = self.settings.lake, self.contracts.city.operator
        tables.ensure(lake)
        failed, taking_part = False, sorted(participants(self.contracts, sources))
        try:
            if taking_part:
                self._link_changed(sources, number, taking_part)
            self.failures.gone(LINKAGE, operator, "run", "lake")
        except Exception as error:
            self.failures.add(LINKAGE, operator, error)
            failed = True
        asked = self.reviews.open()
        waiting = len(asked)
        found = [Finding("linkage.waiting", {"questions": waiting}, "warning", rows=waiting)] if waiting else []
        last = self.receipts.last(Stage.LINK, LINKAGE)
        body = last.body if last is not None else {}
        known = self.contracts.sources
        found += [self._shared(name, told) for name, told in sorted(body.get("shared", {}).items()) if name in known]
        wrong = sorted(body.get("contradicted", {}).items())
        found += [self._contradicted(name, rows) for name, rows in wrong if name in known]
        never = last is None or not {*taking_part} <= {*body.get("participants", taking_part)}
        if failed:
            found.append(Finding("linkage.never" if never else "linkage.before", {}, "error"))
        self.issues.report(LINKAGE, operator, "linkage", found)
        return {} if failed and never else tables.shown(lake)

    def _shared(self, dataset: str, told: Mapping[str, int]) -> Finding:
        """The numbers that a register has for several people, as a finding of whoever keeps the register."""
        owner, said = self.contracts.sources[dataset].org, {"dataset": dataset, **told}
        return Finding("linkage.shared", said, "error", key=dataset, rows=told["records"], owner=owner)

    def _contradicted(self, dataset: str, rows: int) -> Finding:
        """Rows with a number that is somebody else's by all the rest of the row, as a finding of their department."""
        owner, said = self.contracts.sources[dataset].org, {"dataset": dataset, "rows": rows}
        return Finding("linkage.contradicted", said, "warning", key=dataset, rows=rows, owner=owner)

    def _link_changed(self, sources: Mapping[str, CoreVersion], number: int, taking_part: Sequence[str]) -> None:
        model = self.settings.contracts / step.MODEL
        inputs = step.inputs(self.contracts, sources, model, self.reviews, self.today)
        last = self.receipts.last(Stage.LINK, LINKAGE)
        if last is None or last.body["inputs"] != inputs or "contradicted" not in last.body:
            lake = self.settings.lake
            linked = step.link(self.contracts, sources, lake, Model.read(model), self.reviews, self.today, number)
            self.receipts.add(Stage.LINK, LINKAGE, {"inputs": inputs, "participants": taking_part, **vars(linked)})

    def _match(self, sources: Mapping[str, CoreVersion]) -> dict[str, Prepared]:
        """Match addresses, place them and what layers hold. A failure stops the models that read this, no other."""
        lake, operator = self.settings.lake, self.contracts.city.operator
        found: dict[str, Prepared] = {}
        try:
            for name, match in MATCHED.items():
                if (table := match(lake, self.contracts, sources)) is not None:
                    found[f"matched.{name}"] = table
            if "matched.position" in found and (book := self.contracts.city.addressBook):
                owner = self.contracts.sources[book.standard].org
                self.issues.report(book.standard, owner, "geo", datum_doubt(self.contracts, found["matched.position"]))
            for source, findings in layer_doubts(found["matched.layer"]) if "matched.layer" in found else ():
                self.issues.report(source, self.contracts.sources[source].org, "geo", findings)
        except Exception as error:
            self.failures.add(ADDRESSES, operator, error)
            return found
        self.failures.gone(ADDRESSES, operator, "run", "lake")
        return found


def compared(source: str) -> str:
    """The subject of problems with holding a source against others."""
    return f"across {source}"


def core_versions(contracts: Contracts, lake: Lake, receipts: Receipts) -> dict[str, CoreVersion]:
    """What was last admitted of every source that has anything in core, by `org/dataset`."""
    found = {}
    for source, contract in contracts.sources.items():
        last = receipts.last(Stage.ADMIT, source)
        admitted = Admitted(**last.body) if last else None
        if admitted is None or admitted.core_version is None:
            continue
        location = lake.core(contract.org, contract.dataset)
        columns = core_columns(location, admitted.core_version)
        key = tuple(admitted.key)
        found[source] = CoreVersion(location, admitted.core_version, admitted.batch, key, columns)
    return found
