"""The step of a run that links: from the core versions of an edition to the linkage zone and a steward's questions.

Belongs here: what is read and written, and in which order. Does not belong here: who is alike (`matching`), which rows
are left (`residue`), ids (`golden`, `numbering`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.load import Contracts
from pipelines.engine import connect
from pipelines.lake.edition import CoreVersion
from pipelines.lake.zones import Lake
from pipelines.linkage import bearers, matching, numbering, residue, tables
from pipelines.linkage.bearers import Bearers
from pipelines.linkage.marks import Participant, form_of, log_of, participants, view
from pipelines.linkage.matching import CONTRADICTED, STRANGER, Model
from pipelines.linkage.reviews import Answer, Question, Reviews
from pipelines.linkage.tables import LINK, values

MODEL = Path("linkage") / "person.json"
"""The frozen model, below the folder of contracts."""

NUMBERS = "numbers"
"""Why a steward is asked about two registered numbers: everything else of the two persons is the same."""


@dataclass(frozen=True)
class Linked:
    """What the step did. Rows by what became of them, open questions, events of golden ids by kind. `shared`: by
    register how many numbers it has for several people, and how many records are therefore told apart. `contradicted`:
    by source how many of its rows have a right number that the rest of the row contradicts."""

    rows: Mapping[str, int]
    questions: int
    events: Mapping[str, int]
    shared: Mapping[str, Mapping[str, int]]
    contradicted: Mapping[str, int]


def inputs(contracts: Contracts, sources: Mapping[str, CoreVersion], model: Path, reviews: Reviews, today: date) -> str:
    """SHA-256 of everything the step's result depends on, this code too: equal inputs, equal tables."""
    read = {
        name: [version.version, contract.hash] for name, (contract, version) in participants(contracts, sources).items()
    }
    said = [[one.question.dataset, one.question.row_key, one.question.person, one.word] for one in reviews.answers()]
    by = [_digest([model]), _digest(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(json.dumps([read, said, today.year, by], sort_keys=True).encode()).hexdigest()


def _digest(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in sorted(files))).hexdigest()


def link(
    contracts: Contracts,
    sources: Mapping[str, CoreVersion],
    lake: Lake,
    model: Model,
    reviews: Reviews,
    today: date,
    number: int,
) -> Linked:
    """Link what is left over, number persons, ask about what is uncertain. `number`: of the run, growing."""
    found = participants(contracts, sources)
    answers = reviews.answers()
    with connect(lake.scratch()) as con:
        registers = [one for one in found.values() if form_of(one[0]).registers]
        view(con, "registration", registers)
        view(con, "said", (one for one in found.values() if not form_of(one[0]).registers))
        crosswalk, links = (tables.read(lake, name) for name in (tables.CROSSWALK, LINK))
        bearing = bearers.find(con, registers, crosswalk, links, answers, model.version)
        _told_apart(con, bearing)
        residue.find(con)
        if con.execute("SELECT 1 FROM residue LIMIT 1").fetchone():
            matching.prepare(con)
            matching.score(con, model.splink)
        else:
            con.execute(f"CREATE TEMP TABLE pair ({matching.PAIR}, gamma_id INT, gamma_name INT, gamma_birth INT)")
        _answered(con, answers)
        con.execute(
            "DELETE FROM pair USING residue r, answered a WHERE pair.number = r.number AND pair.claim = a.person "
            "AND r.dataset = a.dataset AND r.row_key = a.row_key AND a.word <> 'accept'"
        )
        matching.decide(con, model, today)
        claims, same = _claims(found.values(), bearing), [*_same(answers), *bearing.same]
        events = numbering.update(con, lake, claims, same, number, bearing.new, bearing.moved)
        numbering.write_aliases(con, lake, bearing.closed, number)
        _outcome(con, model)
        con.execute(f"CREATE TEMP VIEW alias AS FROM {tables.read(lake, tables.CROSSWALK)} WHERE claim <> person_id")
        tables.replace(con, lake, LINK, _LINKS, number)
        asked = [*_uncertain(con), *_two_numbers(con, model), *bearing.questions]
        rows = dict(con.execute("SELECT coalesce(basis, word), count(*) FROM outcome GROUP BY ALL").fetchall())
        wrong = f"why = '{CONTRADICTED}' AND NOT by_name AND basis IS DISTINCT FROM 'steward'"
        counted = f"SELECT dataset, count(*) FROM outcome WHERE {wrong} GROUP BY ALL ORDER BY ALL"
        contradicted = dict(con.execute(counted).fetchall())
    shared = {name: {"numbers": len({*on}), "records": len(on)} for name, on in sorted(bearing.shared.items())}
    return Linked(rows, reviews.ask(asked), events, shared, contradicted)


def _told_apart(con: duckdb.DuckDBPyConnection, bearing: Bearers) -> None:
    """Views `registered` and `told`: records that share a number go by their own claims, and a number that proves
    nothing stands in no row and no record. Table `listed`: the records that bear or bore such a number."""
    apart = [(*key, own) for key, own in sorted(bearing.apart.items())]
    con.execute(f"CREATE TEMP TABLE apart AS FROM {values(apart, 'dataset', 'row_key', 'own')}")
    con.execute(f"CREATE TEMP TABLE closed AS FROM {values([(one,) for one in sorted(bearing.closed)], 'claim')}")
    listed = [(*key, *known) for key, known in sorted(bearing.known.items())]
    said = values(listed, "dataset", "row_key", "known", "why")
    con.execute(
        f"CREATE TEMP TABLE listed AS SELECT l.*, r.place FROM {said} l JOIN concerned r USING (dataset, row_key)"
    )
    con.execute(
        "CREATE TEMP VIEW registered AS SELECT r.* REPLACE (coalesce(a.own, r.claim) AS claim, "
        "CASE WHEN a.own IS NULL AND c.claim IS NULL THEN r.id_number END AS id_number) FROM registration r "
        "LEFT JOIN apart a USING (dataset, row_key) LEFT JOIN closed c ON c.claim = r.claim"
    )
    con.execute(
        "CREATE TEMP VIEW told AS SELECT s.* REPLACE (CASE WHEN c.claim IS NULL THEN s.claim END AS claim, "
        "CASE WHEN c.claim IS NULL THEN s.id_number END AS id_number) FROM said s LEFT JOIN closed c USING (claim)"
    )


def _claims(sources: Iterable[Participant], bearing: Bearers) -> str:
    """Every person that was ever registered: who has left a register is still somebody."""
    found = [
        f"SELECT {identifier(form_of(contract).person)} AS claim FROM {log_of(version)}"
        for contract, version in sources
        if form_of(contract).registers
    ]
    own = f"FROM {values([(one,) for one in sorted(bearing.owns)], 'claim')}"
    return " UNION ALL ".join(["SELECT NULL::VARCHAR AS claim WHERE false", *found, own])


def _answered(con: duckdb.DuckDBPyConnection, answers: Sequence[Answer]) -> None:
    """Table `answered`: what stewards said and still holds; a `reject` holds while the row says the same."""
    names = ("dataset", "row_key", "place", "own", "person", "word")
    rows: list[tuple[str | None, ...]] = [
        (q.dataset, q.row_key, q.place, q.own, q.person, one.word) for one in answers for q in [one.question]
    ]
    con.execute(
        f"CREATE TEMP TABLE answered AS SELECT a.* FROM {values(rows, *names)} a "
        f"LEFT JOIN told t USING (dataset, row_key) "
        f"WHERE a.word <> 'reject' OR a.dataset = '' OR a.place = t.place"
    )


def _same(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    """Claims of one person, as stewards said: of two registered numbers, or of a row whose right number is another.

    What they said of a number with several bearers is in `Bearers.same`.
    """
    return [
        (one.question.own, one.question.person)
        for one in answers
        if one.word == "accept" and one.question.own is not None and one.question.why in (NUMBERS, STRANGER)
    ]


def _outcome(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Table `outcome`: each row of the residue, the claim it is about if anybody's, and on what basis.

    A stranger keeps its own number until it is accepted for somebody else, so it is no row of `link`.
    """
    con.execute(
        "CREATE TEMP TABLE outcome AS SELECT r.dataset, r.row_key, t.place, r.why, r.by_name, r.claim AS own, "
        "d.claim AS likely, d.weight, d.ahead, d.word, "
        "coalesce(a.person, CASE WHEN d.word = 'accept' THEN d.claim END) AS claim, "
        "CASE WHEN a.person IS NOT NULL THEN 'steward' WHEN d.word = 'accept' THEN 'model' END AS basis, "
        f"{literal(model.version)} AS model "
        "FROM residue r JOIN told t USING (dataset, row_key) LEFT JOIN decision d USING (number) "
        "LEFT JOIN (SELECT dataset, row_key, max(person) AS person FROM answered WHERE word = 'accept' GROUP BY ALL) a "
        "USING (dataset, row_key)"
    )


_LINKS = f"""
    SELECT dataset, row_key, CAST(split_part(place, ':', 1) AS BIGINT) AS link_batch,
        CAST(split_part(place, ':', 2) AS BIGINT) AS link_row, coalesce(a.person_id, o.claim) AS person_id, why, basis,
        CASE WHEN basis = 'model' THEN weight END AS weight, CASE WHEN basis = 'model' THEN ahead END AS ahead,
        CASE WHEN basis = 'model' THEN model END AS model
    FROM outcome o LEFT JOIN alias a ON a.claim = o.claim WHERE why <> '{STRANGER}' OR basis IS NOT NULL
    UNION ALL
    SELECT dataset, row_key, CAST(split_part(place, ':', 1) AS BIGINT), CAST(split_part(place, ':', 2) AS BIGINT),
        coalesce(a.person_id, l.known), l.why, NULL, NULL, NULL, NULL
    FROM listed l LEFT JOIN alias a ON a.claim = l.known"""


def _uncertain(con: duckdb.DuckDBPyConnection) -> list[Question]:
    """What the model leaves to a steward, and nobody has answered."""
    rows = con.execute(
        "SELECT o.dataset, o.row_key, o.place, o.own, o.likely, o.why, o.weight, o.model FROM outcome o "
        "ANTI JOIN answered a ON a.dataset = o.dataset AND a.row_key = o.row_key AND a.person = o.likely "
        "WHERE o.word = 'review' AND o.basis IS NULL AND o.likely IS NOT NULL ORDER BY ALL"
    ).fetchall()
    return [Question(*row) for row in rows]


def _alike(mark: str) -> str:
    """SQL of two claims of people with the same marks: of few groups only is it asked who has several claims."""
    same = f"name, sex, birth_date, {mark}"
    several = (
        f"SELECT {same} FROM registered WHERE birth_date IS NOT NULL AND {mark} IS NOT NULL "
        "GROUP BY ALL HAVING min(claim) <> max(claim)"
    )
    people = (
        f"SELECT {same}, min(r.claim) AS claim FROM registered r SEMI JOIN ({several}) s USING ({same}) "
        f"LEFT JOIN alias a ON a.claim = r.claim GROUP BY {same}, coalesce(a.person_id, r.claim)"
    )
    return (
        f"SELECT min(claim) AS one, max(claim) AS other FROM ({people}) GROUP BY {same} HAVING min(claim) <> max(claim)"
    )


def _two_numbers(con: duckdb.DuckDBPyConnection, model: Model) -> list[Question]:
    """Registered numbers of two people who have the same name, sex, birth date, and address or telephone."""
    alike = " UNION ".join(map(_alike, ("address", "mobile")))
    rows = con.execute(
        f"SELECT one, other FROM ({alike}) p ANTI JOIN answered a ON a.dataset = '' AND a.row_key = p.one "
        "AND a.person = p.other ORDER BY ALL"
    ).fetchall()
    return [Question("", one, "", one, other, NUMBERS, None, model.version) for one, other in rows]
