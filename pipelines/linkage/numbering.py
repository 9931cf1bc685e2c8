"""Golden ids in the lake: the crosswalk of all claims, brought up to date. Which id stays is decided by `golden`."""

from collections.abc import Collection, Iterator, Mapping

import duckdb

from pipelines.lake.zones import Lake
from pipelines.linkage import golden
from pipelines.linkage.tables import ALIAS, CROSSWALK, EVENT, append, committed, read, replace, values


def update(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    claims: str,
    same: list[tuple[str, str]],
    number: int,
    new: Mapping[str, str],
    moved: Collection[str],
) -> dict[str, int]:
    """Bring crosswalk and events up to date; returns how many events of each kind there were.

    `claims`: a query for the claims that are told now. `same`: pairs of claims that are one person. `number`: of the
    run; greater than any before. `new`: claims that somebody has from now on whom another claim stood for until now.
    `moved`: claims that are somebody else's now, and take no id along, nor do new ones for them. Claims that stand
    alone keep what they have: only those that are new, gone, or joined with others now or before are looked at. A run
    that is killed between the two commits is repeated by the next: events count once the crosswalk has their number.
    """
    last = committed(lake, CROSSWALK)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE present AS SELECT DISTINCT claim FROM ({claims}) WHERE claim IS NOT NULL"
    )
    con.execute(f"CREATE OR REPLACE TEMP VIEW before AS FROM {read(lake, CROSSWALK)}")
    con.execute(f"CREATE OR REPLACE TEMP VIEW happened AS SELECT * FROM {read(lake, EVENT)} WHERE number <= {last}")
    clusters = golden.joined(same)
    inside = {claim: place for place, cluster in enumerate(clusters) for claim in cluster}
    joined = values([(claim,) for cluster in clusters for claim in sorted(cluster)], "claim")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE concerned AS SELECT claim FROM "
        f"(SELECT claim FROM {joined} UNION SELECT claim FROM before WHERE claim <> person_id "
        "UNION SELECT person_id FROM before WHERE claim <> person_id)"
    )
    stored, merged = _rows(con, "FROM before SEMI JOIN concerned USING (claim)"), _merged(con)
    ended = _rows(con, _ended("happened"))
    follow = {own: claim for own, claim in new.items() if own not in stored and _together(inside, own, claim)}
    stand = {claim: person for claim, person in stored.items() if claim not in moved}
    known = {own: stand[claim] for own, claim in (new.items() - follow.items()) if claim in stand} | stand
    told = {claim for (claim,) in con.execute("FROM present SEMI JOIN concerned USING (claim)").fetchall()}
    together = [cluster & told - follow.keys() for cluster in clusters]  # an id is not named after who only follows
    alone = told - {claim for cluster in together for claim in cluster} - follow.keys()
    retired = _retired(con)
    taken = merged.keys() | ended.keys()
    found = golden.renumber(known, [*together, *({claim} for claim in alone)], taken, retired)
    kept = [*found.events, *_found_with(ended, merged, stored, moved)]
    events = values([(one.kind, one.person_id, one.other) for one in kept], "kind", "person_id", "other")
    fresh = "SELECT claim FROM present ANTI JOIN before USING (claim) ANTI JOIN concerned USING (claim)"
    gone = "SELECT claim FROM before ANTI JOIN present USING (claim) ANTI JOIN concerned USING (claim)"
    out = values([(one,) for one in sorted(retired)], "claim")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE events AS SELECT {number}::BIGINT AS number, * FROM ("
        f"FROM {events} UNION ALL "
        f"SELECT '{golden.CREATED}', claim, NULL FROM ({fresh}) UNION ALL "
        f"SELECT '{golden.RETIRED}', claim, NULL FROM ({gone} EXCEPT FROM {out}) UNION ALL "
        f"SELECT '{golden.RESTORED}', claim, NULL FROM {out} SEMI JOIN present USING (claim) "
        "ANTI JOIN concerned USING (claim)"
        ")"
    )
    counts = dict(con.execute("SELECT kind, count(*) FROM events GROUP BY kind").fetchall())
    crosswalk = {**found.crosswalk, **{own: found.crosswalk[claim] for own, claim in follow.items()}}
    given = {claim: person for claim, person in crosswalk.items() if stored.get(claim) != person}
    if counts or given:
        _write(con, lake, given, bool(given.keys() & stored), fresh, number, committed(lake, EVENT) > last)
    return counts


def write_aliases(con: duckdb.DuckDBPyConnection, lake: Lake, closed: Collection[str], number: int) -> None:
    """The claims that models find under another id than their own name. `closed`: those that are about nobody, as long
    as that is said, whoever has the id of their name."""
    said = values([(claim, None) for claim in sorted(closed)], "claim", "person_id")
    others = f"SELECT claim, person_id FROM {read(lake, CROSSWALK)} WHERE claim <> person_id"
    replace(con, lake, ALIAS, f"FROM ({others}) ANTI JOIN {said} USING (claim) UNION ALL FROM {said}", number)


def ended_ids(lake: Lake) -> str:
    """SQL of the ids that no claim has any more: `person_id`, and the `claim` with whose person each is found."""
    return f"({_ended(f'{read(lake, EVENT)} WHERE number <= {committed(lake, CROSSWALK)}')})"


def _ended(events: str) -> str:
    last = f"SELECT person_id, arg_max(other, number) AS claim, kind FROM {events} GROUP BY person_id, kind"
    return f"SELECT person_id, claim FROM ({last}) WHERE kind = '{golden.ENDED}'"


def _found_with(
    ended: Mapping[str, str], merged: Mapping[str, str], stored: Mapping[str, str], moved: Collection[str]
) -> Iterator[golden.Event]:
    """Where ids that ended before are found from now on: not with a claim that is somebody else's now. Of those that
    were merged when nobody wrote down a claim yet, the one they are named after, else one of what they became."""
    claims: dict[str, str] = {}
    for claim, person in sorted(stored.items(), reverse=True):
        if claim not in moved:
            claims[person] = claim
    for person, claim in ended.items():
        if claim in moved and stored.get(claim) in claims:
            yield golden.Event(golden.ENDED, person, claims[stored[claim]])
    for person in merged.keys() - ended.keys():
        stays = person if person in stored else claims.get(golden.resolve(person, merged))
        if stays is not None:
            yield golden.Event(golden.ENDED, person, stays)


def _write(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    given: dict[str, str],
    changed: bool,
    fresh: str,
    number: int,
    orphans: bool,
) -> None:
    """`given`: claims with a new or another id; `changed`: some have another one. `orphans`: there are events of a run
    that was killed before its crosswalk was written."""
    if orphans:
        replace(con, lake, EVENT, "FROM happened UNION ALL FROM events", number)
    else:
        append(con, lake, EVENT, "FROM events", number)
    listed = values(sorted(given.items()), "claim", "person_id")
    new = f"SELECT claim, claim AS person_id FROM ({fresh}) UNION ALL FROM {listed}"
    con.execute(f"CREATE OR REPLACE TEMP TABLE new AS {new}")
    everything = "SELECT claim, person_id FROM before ANTI JOIN new USING (claim) UNION ALL FROM new"
    if changed:
        replace(con, lake, CROSSWALK, everything, number)
    else:
        append(con, lake, CROSSWALK, "FROM new", number)


def _together(inside: Mapping[str, int], one: str, other: str) -> bool:
    """Whether two claims are in one cluster. `inside`: the cluster of each."""
    return one in inside and inside[one] == inside.get(other)


def _merged(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = con.execute(f"SELECT person_id, other FROM happened WHERE kind = '{golden.MERGED}' ORDER BY number")
    return dict(rows.fetchall())


def _retired(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Ids whose last word is that nobody tells of them."""
    last = (
        f"SELECT person_id, arg_max(kind, number) AS kind FROM happened "
        f"WHERE kind IN ('{golden.RETIRED}', '{golden.RESTORED}') GROUP BY person_id"
    )
    return {one for (one,) in con.execute(f"SELECT person_id FROM ({last}) WHERE kind = '{golden.RETIRED}'").fetchall()}


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    return dict(con.execute(query).fetchall())
