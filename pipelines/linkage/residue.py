"""Exact keys first: which rows a right identity number places with a person, and which are left to be linked.

Given is `registered` (see `matching`) and `told`, rows of other sources: `dataset`, `row_key`, `claim` and `MARKS`.
"""

import duckdb

from pipelines.linkage.matching import CONTRADICTED, MARKS, STRANGER, UNKNOWN, sounds

OTHER_BIRTH = (
    "coalesce(t.birth_date <> r.birth_date AND strftime(t.birth_date, '%Y%d%m') <> strftime(r.birth_date, '%Y%m%d'), "
    "false)"
)
"""The birth date is another one, and not day and month exchanged."""


_ANOTHERS = (
    "SELECT o.dataset, o.row_key FROM otherwise o JOIN registered r "
    "ON r.name = o.told AND r.sex = o.sex AND r.birth_date = o.birth_date AND r.division = o.division "
    "WHERE r.claim <> o.claim"
)
"""Rows that say of somebody with another number all that their own number's bearer is not called by."""


def find(con: duckdb.DuckDBPyConnection) -> None:
    """Table `residue`: `number`, `dataset`, `row_key`, `why`, `claim`, `by_name` and `MARKS`. A number that is
    contradicted is no mark of the person any more, so it is empty. `by_name`: nothing but the name contradicts it.

    It is contradicted by another name than its bearer's together with another birth date or sex, or, where the row has
    no birth date, by the name alone, or where somebody else who is registered in the same village has just this name,
    sex and birth date, as a twin has; where no register knows it, by another birth date or sex than stands in it.
    """
    marks = ", ".join(f"t.{mark}" for mark in MARKS)
    without = ", ".join(f"NULL AS {mark}" if mark == "id_number" else f"t.{mark}" for mark in MARKS)
    con.execute(
        "CREATE TEMP TABLE otherwise AS "
        "SELECT t.dataset, t.row_key, t.claim, t.name AS told, r.name AS registered, t.sex, t.birth_date, t.division, "
        f"{OTHER_BIRTH} AS born_otherwise, coalesce(t.sex <> r.sex, false) AS sexed_otherwise, "
        "coalesce(t.sex <> r.sex OR t.birth_date IS NULL AND t.sex = r.sex, false) AS doubtful "
        "FROM told t JOIN registered r USING (claim)"
        " WHERE t.claim IN (SELECT claim FROM told JOIN registered r USING (claim) WHERE told.name <> r.name)"
    )
    sounds(con, "SELECT told AS name FROM otherwise UNION SELECT registered FROM otherwise", "otherwise_sound")
    contradicts = (
        "CASE WHEN born_otherwise THEN o.told <> o.registered ELSE doubtful AND a.sorted_near <> b.sorted_near END"
    )
    contradicted = (
        "SELECT dataset, row_key FROM otherwise o "
        "JOIN otherwise_sound a ON a.name = o.told JOIN otherwise_sound b ON b.name = o.registered "
        f"GROUP BY dataset, row_key HAVING bool_and({contradicts}) "
        f"UNION SELECT dataset, row_key FROM otherwise WHERE (dataset, row_key) IN ({_ANOTHERS}) "
        "GROUP BY dataset, row_key HAVING bool_and(told <> registered)"
    )
    by_name = (
        "SELECT dataset, row_key FROM otherwise GROUP BY dataset, row_key "
        "HAVING bool_or(NOT born_otherwise AND NOT sexed_otherwise)"
    )
    strange = (
        f"SELECT t.*, CASE WHEN {_within('t')} THEN '{CONTRADICTED}' ELSE '{STRANGER}' END AS why "
        f"FROM told t ANTI JOIN registered r USING (claim) WHERE claim IS NOT NULL"
    )
    con.execute(
        f"CREATE TEMP TABLE residue AS SELECT row_number() OVER (ORDER BY dataset, row_key) AS number, * FROM ("
        f"SELECT dataset, row_key, '{UNKNOWN}' AS why, claim, false AS by_name, {marks} FROM told t "
        "WHERE claim IS NULL UNION ALL "
        f"SELECT dataset, row_key, '{CONTRADICTED}', claim, (dataset, row_key) IN ({by_name}), {without} FROM told t "
        f"WHERE claim IS NOT NULL AND (dataset, row_key) IN ({contradicted}) UNION ALL "
        f"SELECT dataset, row_key, why, claim, false, {marks} FROM ({strange}) t WHERE why = '{STRANGER}' UNION ALL "
        f"SELECT dataset, row_key, why, claim, false, {without} FROM ({strange}) t WHERE why = '{CONTRADICTED}')"
    )


def _within(alias: str) -> str:
    """The row's own birth date or sex is not that of its number."""
    number, birth = f"{alias}.id_number", f"{alias}.birth_date"
    written = f"substr({number}, 7, 8)"
    born = (
        f"damerau_levenshtein({written}, strftime({birth}, '%Y%m%d')) > 1 AND {written} <> strftime({birth}, '%Y%d%m')"
    )
    sex = f"{alias}.sex IN ('1', '2') AND {alias}.sex <> substr('21', CAST(substr({number}, 17, 1) AS INT) % 2 + 1, 1)"
    return f"coalesce({born}, false) OR coalesce({sex}, false)"
