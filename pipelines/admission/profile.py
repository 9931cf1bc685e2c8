"""What the values of a batch look like: a small profile to compare the next batch with, from a sample of its rows.

Names nobody: shares, lengths, a rounded typical amount, and of code columns those unknown values that look like codes
of the list and come often. What a difference means is decided in `drift`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import log10, sqrt
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.admission.compile import cleaned
from pipelines.admission.mixes import BINS, MOST, OFTEN, folded
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.connectors.base import EMPTIED, ERASED, UNREAD
from pipelines.contracts.load import CodeList, Column, Contracts, SourceContract

SAMPLE, GROUPS = 20_000, 8
"""Rows that are looked at, and the row groups of the file that they are taken from, evenly spread."""
ENOUGH = 30
"""Amounts a typical one is made of: that of a few would be somebody's."""
_MIDDLE = (0.25, 0.375, 0.5, 0.625, 0.75)
"""Quantiles whose mean, of logarithms, a typical amount is: where amounts lie in two heaps, a median alone jumps from
one to the other when a few rows more are of the other; a mean of all is moved by a few that are wrong."""
_QUARTILES, _EFFICIENCY = 1.349, 1.15
"""Of a normal distribution: from quartile to quartile in standard deviations, and how much wider than that of a mean
the error of the mean of its middle is."""
LONGEST_CODE = 12
DISTINCT = 300
"""Texts of a column that are tried as UTF-8 read in another encoding."""

_CHINESE = r"[\x{3400}-\x{9FFF}]"
# Replacement characters, what they become when they are read once more as GBK, and UTF-8 read as Latin-1.
_GARBLED = r"[\x{FFFD}]|锟斤拷|烫烫|[\x{C3}\x{C2}][\x{80}-\x{BF}]|[\x{E4}-\x{E9}][\x{80}-\x{BF}\x{2010}-\x{2122}]"

DIGITS = 15
"""Those that Excel keeps of a number; a CSV file that it saved has zeros for the others."""
_LONG, _CUT = rf"[1-9]\d{{{DIGITS},}}", rf"[1-9]\d{{{DIGITS - 1}}}0+"


@dataclass(frozen=True)
class Look:
    """How one column looked. `kind`: class of the source's own type; `values`: rows of the sample with a value;
    `filled`, `chinese`, `garbled`: shares; `distinct`: share of different values; lengths in characters; `typical`: of
    the amounts that are not 0 the middle (the mean of the logarithms of middle quantiles), to four digits, `error`: its
    standard error in powers of ten; `levels`: what was typical of the deliveries up to this one, newest first, as far
    as they are in the same unit; `codes`: unknown codes with their rows, `strange`: rows whose value is no code at all;
    `long`: different texts of more digits than a workbook keeps of a number, `cut`: those of them in which all further
    digits are 0, `chance`: the share of them in which they are so by chance;
    `mix`: rows by known code or size of amount, `mixes`: those of the deliveries up to this one, newest first.
    `left`: the policy by which a drift of this column was left open, under `terms` (hash); `retyped`: that drift is of
    its type alone.
    """

    kind: str
    values: int
    filled: float
    distinct: float
    shortest: int
    longest: int
    chinese: float
    garbled: float
    typical: float | None = None
    error: float = 0.0
    levels: list[float] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    strange: int = 0
    long: int = 0
    cut: int = 0
    chance: float = 0.0
    mix: dict[str, int] = field(default_factory=dict)
    mixes: list[dict[str, int]] = field(default_factory=list)
    left: str = ""
    terms: str = ""
    retyped: bool = False


@dataclass(frozen=True)
class Profile:
    """The looks of a batch by column of the contract. `rows`: of the sample; `others`: columns no contract names."""

    rows: int
    looks: Mapping[str, Look]
    others: tuple[str, ...]

    def stored(self) -> dict[str, Any]:
        """As JSON for a receipt."""
        looks = {name: vars(look) for name, look in self.looks.items()}
        return {"rows": self.rows, "columns": looks, "others": list(self.others)}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Profile":
        """From a receipt; of one that has none, empty."""
        looks = {name: Look(**look) for name, look in stored.get("columns", {}).items()}
        return cls(stored.get("rows", 0), looks, tuple(stored.get("others", ())))


def profile(
    con: duckdb.DuckDBPyConnection, contract: SourceContract, contracts: Contracts, path: Path, scratch: Path
) -> Profile:
    """The profile of a raw file whose columns include those of the contract."""
    schema = pq.read_schema(path)
    known = {UNREAD, ERASED, EMPTIED, *contract.form.ignored, *(column.physical_name for column in contract.columns)}
    readable = f" WHERE {identifier(UNREAD)} IS NULL" if UNREAD in schema.names else ""
    with TemporaryDirectory(dir=scratch, prefix="sample-") as folder:
        sample = _sample(path, [name for name in schema.names if name not in contract.form.ignored], Path(folder))
        rows = f"SELECT *, 0::BIGINT AS file_row_number FROM read_parquet({literal(str(sample))}){readable}"
        con.execute(f"CREATE OR REPLACE TEMP TABLE looked AS {cleaned(contract.columns, contracts, rows)}")
    count = int((con.execute("SELECT count(*) FROM looked").fetchone() or (0,))[0])
    looks = dict(_looks(con, contract.columns, schema, count, contracts.codes))
    con.execute("DROP TABLE looked")
    return Profile(count, looks, tuple(name for name in schema.names if name not in known))


def _sample(path: Path, names: list[str], folder: Path) -> Path:
    """A file of the first rows of some row groups, so that a large file is not read through; a small file itself.

    Not a table in memory: shown one, DuckDB imports pandas, which costs more than the profile.
    """
    with pq.ParquetFile(path) as file:
        groups = file.num_row_groups
        chosen = sorted({number * groups // GROUPS for number in range(GROUPS)}) if groups > GROUPS else range(groups)
        if file.metadata.num_rows <= SAMPLE:
            return path
        share = SAMPLE // len(chosen)
        first = (islice(file.iter_batches(share, [group], names), 1) for group in chosen)
        sample = folder / "rows.parquet"
        pq.write_table(pa.Table.from_batches([batch for batches in first for batch in batches]), sample)
        return sample


def _looks(
    con: duckdb.DuckDBPyConnection,
    columns: Collection[Column],
    schema: pa.Schema,
    rows: int,
    lists: Mapping[str, CodeList],
) -> Iterator[tuple[str, Look]]:
    measures = ", ".join(part for column in columns for part in _measures(column))
    found = con.execute(f"SELECT {measures} FROM looked").fetchone() or ()
    for index, column in enumerate(columns):
        values, distinct, shortest, longest, chinese, garbled, *told = found[_COUNT * index :][:_COUNT]
        long, cut, chance, amounts, middle = told
        codes, strange = _unknown(con, column, lists)
        share = garbled / values if values else 0.0
        if chinese:
            share = max(share, _misread(con, column.name))
        typical, error = _typical(amounts, middle) if amounts >= ENOUGH else (None, 0.0)
        yield (
            column.name,
            Look(
                kind=kind(schema.field(column.physical_name).type),
                values=values,
                filled=round(values / rows, 4) if rows else 0.0,
                distinct=round(min(1.0, distinct / values), 2) if values else 0.0,
                shortest=shortest or 0,
                longest=longest or 0,
                chinese=round(chinese / values, 4) if values else 0.0,
                garbled=round(share, 4),
                typical=typical,
                error=error,
                codes=codes,
                strange=strange,
                long=long,
                cut=cut,
                chance=round(chance or 0.0, 4),
                mix=_mix(con, column, lists),
            ),
        )


_COUNT = 11
"""Measures of a column."""


def _measures(column: Column) -> Iterator[str]:
    name = identifier(column.name)
    yield f"count({name})"
    yield f"approx_count_distinct({name})"
    yield f"min(length({name}))"
    yield f"max(length({name}))"
    yield f"count(*) FILTER (regexp_matches({name}, '{_CHINESE}'))"
    yield f"count(*) FILTER (regexp_matches({name}, '{_GARBLED}'))"
    text = column.definition.logicalType == "string"
    long, cut = (f"FILTER (regexp_full_match({name}, '{pattern}'))" for pattern in (_LONG, _CUT))
    yield f"count(DISTINCT {name}) {long}" if text else "0"
    yield f"count(DISTINCT {name}) {cut}" if text else "0"
    yield f"avg(power(10, {DIGITS} - length({name}))) {long}" if text else "NULL"
    amount = f"abs(try_cast({name} AS DOUBLE))"
    numeric = column.definition.logicalType in ("integer", "number")
    usable = f"FILTER ({amount} > 0 AND isfinite({amount}))"
    yield f"count(*) {usable}" if numeric else "0"
    yield f"quantile_cont({amount}, {list(_MIDDLE)}) {usable}" if numeric else "NULL"


def _typical(amounts: int, middle: list[float]) -> tuple[float, float]:
    """A typical amount and its standard error in powers of ten, from the middle quantiles of so many amounts."""
    powers = [log10(value) for value in middle]
    deviation = (powers[-1] - powers[0]) / _QUARTILES
    return float(f"{10 ** fmean(powers):.4g}"), round(_EFFICIENCY * deviation / sqrt(amounts), 3)


def _unknown(
    con: duckdb.DuckDBPyConnection, column: Column, lists: Mapping[str, CodeList]
) -> tuple[dict[str, int], int]:
    """Values outside the column's code list: those that look like its codes, and how many rows have anything else."""
    if column.definition.codes is None or column.definition.personal is not None:
        return {}, 0
    known, name = lists[column.definition.codes].rows, identifier(column.name)
    present = f"SELECT {name}, count(*) FROM looked WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
    # Compared here: DuckDB takes 50 microseconds to plan each code of a list, and a list of divisions has thousands.
    found = [(value, rows) for value, rows in con.execute(present).fetchall() if value not in known]
    lengths = {len(code) for code in known}
    codes = {value: rows for value, rows in found if rows > OFTEN and _like_code(value, lengths)}
    return dict(islice(codes.items(), 20)), sum(rows for value, rows in found if not _like_code(value, lengths))


def _mix(con: duckdb.DuckDBPyConnection, column: Column, lists: Mapping[str, CodeList]) -> dict[str, int]:
    """How many rows have each known code of a short list, or an amount of each size; of what is about persons none."""
    definition, name = column.definition, identifier(column.name)
    if definition.personal is not None:
        return {}
    if definition.codes is not None and len(known := lists[definition.codes].rows) <= MOST:
        value, asked = name, f"{name} IN ({literals(known)})"
    elif definition.codes is None and definition.logicalType in ("integer", "number"):
        number = f"try_cast({name} AS DOUBLE)"
        size = f"cast(floor(log10(abs({number})) * {BINS}) AS INTEGER)"
        value = f"CASE WHEN {number} = 0 THEN '0' ELSE concat(CASE WHEN {number} < 0 THEN '-' ELSE '+' END, {size}) END"
        asked = f"isfinite({number})"
    else:
        return {}
    found = con.execute(f"SELECT {value}, count(*) FROM looked WHERE {asked} GROUP BY 1 ORDER BY 1").fetchall()
    return folded(dict(found))


def _like_code(value: str, lengths: Collection[int]) -> bool:
    """Whether a value may be shown: as long as a code of the list, and too short for a number of a person."""
    return len(value) in lengths and len(value) <= LONGEST_CODE and re.fullmatch("[0-9A-Za-z]+", value) is not None


def _misread(con: duckdb.DuckDBPyConnection, name: str) -> float:
    """The share of Chinese texts that are UTF-8 which somebody read as GBK: read back so they are Chinese again."""
    column = identifier(name)
    texts = con.execute(
        f"SELECT DISTINCT {column} FROM looked WHERE regexp_matches({column}, '{_CHINESE}') LIMIT {DISTINCT}"
    ).fetchall()
    return sum(_is_misread(text) for (text,) in texts) / len(texts)


def _is_misread(text: str) -> bool:
    try:
        return re.search("[\u3400-\u9fff]", text.encode("gb18030").decode()) is not None
    except UnicodeError:
        return False


def kind(type_: pa.DataType) -> str:
    """The class of a type of the source: text, number, date, time, boolean or other; empty if it has no values."""
    if pa.types.is_null(type_):
        return ""
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return "text"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_date(type_):
        return "date"
    if pa.types.is_timestamp(type_):
        return "time"
    return "boolean" if pa.types.is_boolean(type_) else "other"
