"""What is kept of erased persons so that they do not come back: keyed hashes of their numbers, telephones and of the
keys of their rows, never these themselves; and withholding what is delivered of them again.

A delivery is looked through with a short keyed digest first, which DuckDB computes; whatever that lets through is
compared by its whole HMAC-SM3.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.admission.compile import DIRTY, ROW, compile_contract
from pipelines.codecs import sm3
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.engine import connect
from pipelines.erasure.find import in_raw
from pipelines.erasure.rows import MOBILE, Wanted, of_kind, persons, referring
from pipelines.lake.edition import row_key
from pipelines.lake.rewrite import rewrite
from pipelines.register.store import now

NUMBER, TELEPHONE, LINKED = "number", "telephone", "/linked"
"""What is hashed beside keys of rows, whose kind is the name of their source; with LINKED behind it that of rows which
are about the person whatever number stands in them."""
SIEVE = 4
"""Hexadecimal digits of the short digest."""

Marks = dict[str, list[list[str]]]
"""By kind, short digest and mark of each value. As plain JSON in a receipt."""


def mark(key: bytes, kind: str, values: Collection[str]) -> dict[str, str]:
    """The mark of each value of a kind."""
    listed = sorted(values)
    hashed = sm3.keyed_hash(key, pa.array([f"{kind}\n{value}" for value in listed], pa.string())).to_pylist()
    return dict(zip(listed, hashed, strict=True))


def of(wanted: Wanted, key: bytes) -> Marks:
    """The marks of what was erased."""
    linked = {f"{source}{LINKED}": keys for source, keys in wanted.linked.items()}
    kinds: dict[str, Collection[str]] = {NUMBER: wanted.numbers, TELEPHONE: wanted.mobiles, **wanted.keys, **linked}
    with duckdb.connect() as con:
        _set_key(con, key)
        return {
            kind: sorted(
                [str((con.execute(f"SELECT {_short(kind, literal(value))}").fetchone() or ("",))[0]), hashed]
                for value, hashed in mark(key, kind, values).items()
            )
            for kind, values in kinds.items()
            if values
        }


@dataclass(frozen=True)
class Erased:
    """Everybody who was erased in a home: by kind and short digest the marks, each with its order."""

    key: bytes
    marks: Mapping[str, Mapping[str, Mapping[str, str]]]

    @classmethod
    def read(cls, receipts: Iterable[Mapping[str, Any]], key: bytes) -> "Erased":
        """From the bodies of the ledger's receipts of erasures."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for body in receipts:
            for kind, pairs in body["marks"].items():
                for short, hashed in pairs:
                    found.setdefault(kind, {}).setdefault(short, {})[hashed] = body["order"]
        return cls(key, found)

    def withhold(self, contract: SourceContract, contracts: Contracts, file: Path, scratch: Path) -> int:
        """Empty what a file of raw rows says of erased persons; how many rows that concerned.

        A source that the contract keeps by law is left as it is.
        """
        if not self.marks or contract.form.erasure.refused is not None:
            return 0
        with connect(scratch) as con:
            _set_key(con, self.key)
            found = self._wanted(con, contract, contracts, file)
            change = in_raw(con, contract, contracts, file, found) if found is not None else None
            if change is None:
                return 0
            rewrite(con, file, change)
        return len({place for places in change.marks.values() for place in places})

    def _wanted(
        self, con: duckdb.DuckDBPyConnection, contract: SourceContract, contracts: Contracts, file: Path
    ) -> Wanted | None:
        """What of erased persons stands in a file; None if nothing does."""
        refers = referring(contracts, contract)
        numbers = {identifier(number) for number in persons(contract).values()}
        mobiles = {identifier(name) for name in of_kind(contract.columns, MOBILE)}
        asked = [(NUMBER, number) for number in sorted(numbers)] + [(TELEPHONE, mobile) for mobile in sorted(mobiles)]
        asked += [(kind, row_key(contract.form.load.key)) for kind in (contract.id, f"{contract.id}{LINKED}")]
        asked += [(source, identifier(name)) for name, source in refers.items()]
        asked = [(kind, value) for kind, value in asked if kind in self.marks]
        if not asked:
            return None
        read = f"read_parquet({literal(str(file))}, file_row_number = true)"
        raw = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}
        admission = compile_contract(contract, contracts, now().date(), raw)
        decoded = admission.decoded(f"SELECT *, 'I' AS _op, true AS {DIRTY} FROM {read}")
        con.execute(f"CREATE TEMP TABLE value AS SELECT {ROW}, {_listed(asked)} FROM ({decoded})")
        found: dict[str, dict[str, str]] = {}
        for place, (kind, _) in enumerate(asked):
            shorts = literals(sorted(self.marks[kind]))
            query = f"SELECT DISTINCT v{place} FROM value WHERE {_short(kind, f'v{place}')} IN ({shorts})"
            known = {hashed: order for marks in self.marks[kind].values() for hashed, order in marks.items()}
            seen = mark(self.key, kind, [one for (one,) in con.execute(query).fetchall()])
            ours = {value: known[hashed] for value, hashed in seen.items() if hashed in known}
            found.setdefault(kind, {}).update(ours)
        con.execute("DROP TABLE value")
        if not any(found.values()):
            return None
        linked = {contract.id: list(found.get(f"{contract.id}{LINKED}", ()))}
        return Wanted(found.get(NUMBER, {}), found, linked, mobiles=found.get(TELEPHONE, {}))


NOBODY = Erased(b"", {})
"""Where nobody was erased yet."""


def _listed(asked: list[tuple[str, str]]) -> str:
    return ", ".join(f"CAST({value} AS VARCHAR) AS v{place}" for place, (_, value) in enumerate(asked))


def _set_key(con: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """As a variable, so that the key stands in no statement that an error could quote."""
    con.execute("SET VARIABLE erasure = ?", [key.hex()])


def _short(kind: str, value: str) -> str:
    return f"substr(sha256(getvariable('erasure') || {literal(kind)} || {value}), 1, {SIEVE})"
