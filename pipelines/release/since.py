"""What published versions were built from, for building the next ones by key.

A published version was built in the edition that its ledger row names; that edition's receipt says from which versions
of sources and by which code. Belongs here: telling this. Does not belong here: which keys changed since (lake.keys).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

from pipelines.contracts.dbt import LOG
from pipelines.lake.edition import Prepared, core_columns
from pipelines.lake.errors import MissingTable
from pipelines.lake.keys import Built, Since, Source
from pipelines.lake.models import Model
from pipelines.register.receipts import Receipts, Stage
from pipelines.release import plan
from pipelines.release.ledger import Ledger, Recorded

CODE = "code"
"""Where the receipt of an edition has the code of each model that it built and that has a key."""


@dataclass(frozen=True)
class Publications:
    """What the ledger and the receipts know of published versions."""

    ledger: Ledger
    receipts: Receipts
    graph: Mapping[str, Model]
    today: date

    def since(self, chosen: Collection[str], code: Mapping[str, str], now: Mapping[str, Source]) -> Since:
        """What the published versions of the chosen models with a key were built from, as far as it was by `code`.

        None of a version from before an erasure or an ended period which rewrote it, what it was made from, or both,
        and none of an earlier week: whatever is wrong with rows that do not change is made again at least that often.
        """
        published, rewritings = self.ledger.published(), self.ledger.rewritings()
        built = {}
        for name in chosen:
            entry = published.get(name)
            if entry is None or self.graph[name].key is None:
                continue
            later = [one for one in rewritings if one.sequence > entry.sequence]
            if any(concerns(one, self.graph, name) for one in later):
                continue
            found = self._built(name, entry, code.get(name), now)
            if found is not None:
                built[name] = found
        return Since(now, built)

    def _built(self, name: str, entry: Recorded, code: str | None, now: Mapping[str, Source]) -> Built | None:
        receipt = self.receipts.last(Stage.EDITION, entry.edition)
        if receipt is None or code is None or receipt.body.get(CODE, {}).get(name) != code:
            return None
        made = date.fromisoformat(receipt.body["as_of"])
        if made.isocalendar()[:2] != self.today.isocalendar()[:2]:
            return None
        upstream = plan.upstream(self.graph, name)
        read = {source.removesuffix(LOG) for one in (name, *upstream) for source in self.graph[one].sources}
        then = {relation: receipt.body["sources"][relation] for relation in read & receipt.body["sources"].keys()}
        earlier = {relation: _earlier(now[relation], then[relation]) for relation in then.keys() & now.keys()}
        sources = {relation: source for relation, source in earlier.items() if source is not None}
        beside = {one: self.ledger.release_beside(one, entry) for one in upstream}
        versions = {one: found.version for one, found in beside.items() if found is not None}
        return Built(sources, {one: version for one, version in versions.items() if version is not None})


def concerns(rewriting: Recorded, graph: Mapping[str, Model], name: str) -> bool:
    """Whether an erasure or an ended period changed a version of a model, or of anything it is made from.

    Most days a period ends raw rows, refused rows or old products, which no model is made from.
    """
    made_from = {name, *plan.upstream(graph, name)}
    read = {source.removesuffix(LOG) for one in made_from for source in graph[one].sources}

    def touches(place: str) -> bool:
        # linkage and what was matched change rarely: better once too often than to know who reads them how
        return place in made_from or plan.relation(place) in read or place.startswith(("linkage/", "matched/"))

    return any(map(touches, {*rewriting.body["places"], *rewriting.body["releases"]}))


def _earlier(source: Source, version: int) -> Source | None:
    """An earlier version of a source, with the columns that it then had; None if it is gone."""
    if isinstance(source, Prepared):
        return Prepared(source.location, version)
    try:
        return replace(source, version=version, columns=core_columns(source.location, version))
    except MissingTable:
        return None
