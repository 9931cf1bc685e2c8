"""k-anonymity of tables of counts: which rows are too few people to be shown, and the proof that none is left.

Judges one table. Totals of parts that the contract does not name in `within`, or an earlier release, may still bound
a withheld row.
"""

from dataclasses import dataclass

import duckdb

from pipelines.codecs.sql import identifier
from pipelines.contracts.models import Anonymity


@dataclass(frozen=True)
class CellCounts:
    """What a table of counts shows.

    `rows`: all rows. `repeated`: rows whose quasi identifiers another row before them has too. `k_min`: the smallest
    group that shares quasi identifiers, in counted units, counts summed where rows repeat; None without a group.
    `violations`: rows whose own count is between 0 and k, negative or missing; a sum never excuses a row.
    """

    rows: int
    repeated: int
    k_min: int | None
    violations: int


def withhold(relation: str, anonymity: Anonymity) -> str:
    """SQL, to stand after FROM, of the rows that may be shown: those that count at least k. Empty groups go too.

    The total of the table may be known (row counts of what it was counted from are public), and so may the totals of
    each part in `within`. What is withheld must not follow from them: in a part at least two rows go, and together they
    count at least k. The smallest of the others go first. Only a part that as a whole is smaller
    than k still follows from its total: then it is the total that must not be published.
    """
    count = identifier(anonymity.count)
    part = ", ".join(map(identifier, anonymity.within))
    whole = f"PARTITION BY {part}" if part else ""
    order = ", ".join([f"{count} NULLS FIRST", *(f"{identifier(name)} NULLS FIRST" for name in anonymity.quasi)])
    few = f"{count} IS NULL OR {count} < {anonymity.k}"
    ranked = (
        f"SELECT *, count(*) FILTER (WHERE ({few}) AND {count} IS DISTINCT FROM 0) OVER ({whole}) AS _few, "
        f"row_number() OVER ({whole} ORDER BY {order}) - count(*) FILTER (WHERE {count} = 0) OVER ({whole}) AS _place, "
        f"coalesce(sum({count}) OVER ({whole} ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) "
        f"AS _before FROM {relation}"
    )
    hidden = f"{few} OR (_few > 0 AND (_place <= 2 OR _before < {anonymity.k}))"
    return f"(SELECT * EXCLUDE (_few, _place, _before) FROM ({ranked}) WHERE NOT ({hidden}))"


def small_cells(con: duckdb.DuckDBPyConnection, relation: str, anonymity: Anonymity) -> int:
    """Rows that count more than nothing and less than k."""
    count = identifier(anonymity.count)
    return _number(con, f"SELECT count(*) FROM {relation} WHERE {count} > 0 AND {count} < {anonymity.k}")


def k_anonymous(con: duckdb.DuckDBPyConnection, relation: str, anonymity: Anonymity) -> CellCounts:
    """Measure a table. NULL is a quasi identifier like any other value."""
    count = identifier(anonymity.count)
    groups = ", ".join(identifier(name) for name in anonymity.quasi)
    query = f"""
        WITH cells AS (
            SELECT count(*) AS n, sum({count}) AS people,
                count(*) FILTER (WHERE {count} IS NULL OR {count} <> 0 AND {count} < {anonymity.k}) AS few
            FROM {relation} GROUP BY {groups}
        )
        SELECT coalesce(sum(n), 0), coalesce(sum(n - 1), 0), min(people) FILTER (WHERE people <> 0),
            coalesce(sum(few), 0)
        FROM cells
    """
    ((rows, repeated, k_min, violations),) = con.execute(query).fetchall()
    return CellCounts(int(rows), int(repeated), None if k_min is None else int(k_min), int(violations))


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    ((number,),) = con.execute(query).fetchall()
    return int(number)
