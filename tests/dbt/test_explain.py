"""Every cell of every library leads back to raw rows that hold its value, or what it is computed from.

On a small city after some days, so that rows of several batches are current. Sampled rows differ from run to run; the
seed is printed.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from citylake.compared import accepted
from citylake.compared.libraries.report import Published
from citylake.compared.rows import REPORTED_LATE
from citylake.explain import row_of
from citylake.main import app
from pipelines.admission.compile import compile_contract, raw_rows
from pipelines.codecs.derive import derivations
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.calendar import WorkCalendar
from pipelines.contracts.load import Contracts, Product
from pipelines.geo import judging, shapes
from pipelines.issues import Issues
from pipelines.lake import delta
from pipelines.lake.zones import library_of
from pipelines.linkage import tables
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.explain import ATTRIBUTES, LISTED, ROWS, Cell, Counted, Explainer, Explanation, SourceRow
from pipelines.release.ingredients import built_by
from pipelines.release.ledger import RELEASE, Ledger
from tests.catalog.small_city import STEWARD
from tests.city import Town, published_town, seed_from_clock
from tests.dbt.planted import plant_disputed_penalty
from tests.memory import connection

pytestmark = [pytest.mark.server, pytest.mark.long]

SAMPLE = 12
Texts = Mapping[str, str | None]


@dataclass
class Cleaned:
    """Raw rows as admission reads them, computed here from the raw file and the contract alone."""

    town: Town
    contracts: Contracts
    con: duckdb.DuckDBPyConnection = field(default_factory=connection)
    known: dict[tuple[str, int], dict[int, Texts]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        judging.register(self.con, self.contracts)

    def row(self, row: SourceRow) -> Texts:
        batch = (row.dataset, row.batch)
        if batch not in self.known:
            self.known[batch] = dict(self._rows(*batch))
        return self.known[batch][row.number]

    @cached_property
    def persons(self) -> dict[str, str]:
        """Whose a number is that is not of the person named after it: one of several, or on two people."""
        return dict(self.con.execute(f"SELECT * FROM {tables.read(self.town.settings.lake, tables.ALIAS)}").fetchall())

    def _rows(self, dataset: str, batch: int) -> Iterator[tuple[int, Texts]]:
        contract = self.contracts.sources[dataset]
        path = self.town.settings.lake.raw(contract.org, contract.dataset) / str(batch) / "rows.parquet"
        admission = compile_contract(contract, self.contracts, date(2027, 1, 1))
        names = [column.name for column in contract.columns]
        listed = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in names)
        self.con.execute("SET TimeZone = 'UTC'")
        judged = admission.judged(raw_rows(str(path)), ", ".join(map(identifier, names)))
        query = f"SELECT _row, {listed} FROM ({judged}) WHERE {admission.accepted}"
        for number, *values in self.con.execute(query).fetchall():
            found = dict(zip(names, values, strict=True))
            yield number, found | {item.column.name: self._derived(item.step, found) for item in contract.derived}

    def _derived(self, step: Any, found: Texts) -> str | None:
        import pyarrow as pa

        values = pa.array([found[step.arguments["of"]]], pa.string())
        ((value,),) = [derivations[step.verb].function(values, self.town.settings.key("pseudonym"), of="").to_pylist()]
        return None if value is None else str(value)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    town.city.tick(15)
    plant_disputed_penalty(town.city)
    town.run("second")
    yield town
    town.close()


@pytest.fixture(scope="module")
def cleaned(town: Town, contracts: Contracts) -> Cleaned:
    return Cleaned(town, contracts)


def sampled(town: Town, contracts: Contracts, model: str, seed: int) -> list[Texts]:
    """Some rows of a library, every value as text."""
    read = delta.scan(
        delta.open_table(
            town.settings.lake.released(library_of(model), model), town.published()[model].version
        )
    )  # fmt: skip
    names = [column.name for column in contracts.models[model].columns]
    listed = ", ".join(f"CAST({identifier(name)} AS VARCHAR) AS {identifier(name)}" for name in names)
    key = ", ".join(identifier(name) for name in contracts.models[model].form.key)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        query = f"SELECT * FROM (SELECT {listed} FROM {read.source}) ORDER BY hash(({key}, {seed})) LIMIT {SAMPLE}"
        return [dict(zip(names, row, strict=True)) for row in con.execute(query).fetchall()]


def libraries(contracts: Contracts) -> list[str]:
    """The models of the libraries."""
    return sorted(name for name in contracts.models if name.startswith("lib_"))


def test_every_cell_leads_back_to_the_raw_rows_it_was_made_from(
    town: Town, contracts: Contracts, cleaned: Cleaned
) -> None:
    seed = seed_from_clock()
    print(f"CITYLAKE_TEST_SEED={seed}")
    explained: dict[str, int] = {}
    with town.register() as register, Explainer(contracts, town.settings, register, values=True) as explainer:
        for model in libraries(contracts):
            for row in sampled(town, contracts, model, seed):
                found = explainer.explain(model, {name: row[name] or "" for name in contracts.models[model].form.key})
                for cell in found.cells:
                    assert cell.value == row[cell.column]
                    if found.counted is None or model == f"{PEOPLE}__household":  # its other cells are the head's
                        check(town, contracts, cleaned, model, row, cell)
                if found.counted is not None:
                    check_counted(town, explainer, found, found.counted)
                explained[model] = explained.get(model, 0) + len(found.cells)
    # the growth of fifteen days closed the gate of entities, so nothing is told of them yet
    assert set(libraries(contracts)) - set(explained) <= {"lib_legal_entity__entity_history"}
    assert {row.batch for rows in cleaned.known for row in [SourceRow(rows[0], "", "", rows[1], 0, None, None)]} > {1}


def check(town: Town, contracts: Contracts, cleaned: Cleaned, model: str, row: Texts, cell: Cell) -> None:
    """A cell is empty, or what a raw cell says, or what COMPUTED says of raw cells."""
    raws = [(source, cleaned.row(source.row)) for source in cell.sources]
    assert all(source.row.delivered and source.row.origin for source in cell.sources)
    if cell.empty:
        return
    if any(raw[source.column] == cell.value for source, raw in raws):
        return
    if cell.column.endswith("person_id") and any(
        cleaned.persons.get(raw[source.column] or "") == cell.value for source, raw in raws
    ):
        return
    if cell.column.endswith("person_id") and any(source.row.linked for source, _ in raws):
        return  # the number in the row is none, or somebody else's (tests/linkage)
    about = f"{model}.{cell.column} from {[(source.row.dataset, source.column) for source, _ in raws]}"
    rule = COMPUTED.get(f"{model}.{cell.column}") or COMPUTED.get(cell.column)
    assert rule is not None, f"{about}: no raw cell has this value, and nothing says how it is computed"
    assert rule(Case(town, contracts, cell, row, {source.row.dataset: raw for source, raw in raws})), about


def check_counted(town: Town, explainer: Explainer, found: Explanation, counted: Counted) -> None:
    """A count is the number of rows with its values; those listed are explained by the raw rows named."""
    values = {cell.column: cell.value for cell in found.cells}
    where = " and ".join(f"{name} = {literal(values[name])}" for name in counted.by)
    rows = town.rows(counted.model, "count(*)", where, counted.version)
    assert rows == [(counted.total,)] == [(int(values[counted.column] or -1),)]
    assert {*counted.by, counted.column} <= values.keys()
    assert len(counted.rows) == min(counted.total, LISTED)
    for row in counted.rows:
        assert row.key is not None
        one = explainer.explain(counted.model, {name: value or "" for name, value in row.key.items()})
        assert {cell.column: cell.value for cell in one.cells if cell.column in counted.by} == {
            name: values[name] for name in counted.by
        }
        assert {source.row for cell in one.cells for source in cell.sources} <= set(row.sources)
        named = {values.get(name) for name in ("source_kept", "source_other", "register_source")} - {None}
        assert row.sources and {source.dataset for source in row.sources} >= named


@dataclass(frozen=True)
class Case:
    """A computed cell, its row, and the raw rows it was explained by."""

    town: Town
    contracts: Contracts
    cell: Cell
    row: Texts
    raws: Mapping[str, Texts]

    def look_up(self, model: str, columns: str, where: str) -> list[tuple[Any, ...]]:
        return self.town.rows(model, columns, where)

    def same(self, column: str, model: str, key: str) -> bool:
        """The value is what another library says of the same key."""
        found = self.look_up(model, column, f"{key} = {literal(self.row[key])}")
        return found == [(self.cell.value,)]


def is_name_of(column: str, digits: int, case: Case) -> bool:
    code = (case.row.get(column) or "")[:digits]
    return case.look_up("lib_geography__division", "division_name", f"code = {literal(code)}") == [(case.cell.value,)]


def is_start_of(column: str, digits: int, case: Case) -> bool:
    return (case.row[column] or "")[:digits] == case.cell.value


def is_inner_point(shape: str, axis: int, case: Case) -> bool:
    point = shapes.inner_point(shapes.read(case.row[shape] or ""))
    return abs(point[axis] - float(case.cell.value or 0)) <= 1e-6


def is_unit_count(case: Case) -> bool:
    """Not more units than were ever registered on the parcel: rows that were refused are not counted."""
    units = {one["BDCDYH"] for one in case.town.city.records("bdc.T_BDCDJ")}
    return int(case.cell.value or -1) <= sum(str(unit).startswith(case.row["parcel_no"] or "?") for unit in units)


def is_deepest_part(case: Case) -> bool:
    """The level of the last part of an address that is there."""
    parts = {
        "room_no": "room",
        "building_unit": "unit",
        "building_no": "building",
        "gate_no": "gate",
        "street": "street",
    }
    return case.cell.value == next((level for part, level in parts.items() if case.row[part]), "division")


def is_address_count(case: Case) -> bool:
    """As many as the address library has with the same place."""
    place = {"street": "road_name"} if "road_name" in case.row else {name: name for name in (
        "street", "gate_no", "building_no")}  # fmt: skip
    where = " and ".join(
        f"coalesce({theirs}, '') = {literal(case.row[mine] or '')}"
        for theirs, mine in {"division_code": "division_code", **place}.items()
    )
    return case.look_up("lib_geography__address", "count(*)", where) == [(int(case.cell.value or -1),)]


def is_full_name(case: Case) -> bool:
    return (case.cell.value or "").endswith(case.row["division_name"] or "?") and bool(case.raws)


def is_told(which: str, case: Case) -> bool:
    """A change of a cell: what the row's library says now, and said in the release before."""
    subject, key = (
        ("lib_population__person", "person_id")
        if "person_id" in case.row
        else ("lib_legal_entity__entity", "uscc")
    )  # fmt: skip
    with case.town.register() as register:
        now, before = [one.version for one in Ledger(register).history(subject) if one.kind == RELEASE][:2]
    version, field_ = now if which == "after" else before, case.row["history_field"] or ""
    column = "count(*)" if field_ == "record" else f"{field_}::varchar"
    found = case.town.rows(subject, column, f"{key} = {literal(case.row[key])}", version)
    return [str(value) for (value,) in found] == [case.cell.value]


def is_day_of_change(case: Case) -> bool:
    return (case.row["holds_from"] or "") <= (case.row["known_on"] or "") and bool(case.raws)


def is_of_the_number(position: slice, case: Case) -> bool:
    """Sex and date of birth stand in the identity number of who is known from the floating register only."""
    digits = (case.raws["psb/floating_person"]["id_number"] or "")[position]
    expected = str(2 - int(digits) % 2) if len(digits) == 1 else f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    return expected == case.cell.value


def is_age_band(case: Case) -> bool:
    """The age on the day of the edition, told once more."""
    born, day = (date.fromisoformat(text) for text in (case.row["birth_date"] or "", day_of(case)))
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return case.cell.value == ("85+" if years >= 85 else f"{years // 5 * 5:02}-{years // 5 * 5 + 4:02}")


def is_status(case: Case) -> bool:
    statuses = {
        "cremated": "5", "register_death": "5", "registered_away": "2", "registered": "1", "floating": "3",
    }  # fmt: skip
    return statuses.get(case.row["residence_evidence"] or "", "4") == case.cell.value


def is_evidence(case: Case) -> bool:
    expected = {
        "cremated": "cab/cremation", "floating": "psb/floating_person", "floating_ended": "psb/floating_person",
    }.get(case.cell.value or "", "psb/household_person")  # fmt: skip
    return expected in case.raws


def is_marital_status(case: Case) -> bool:
    kind = case.raws["cab/marriage"]["marriage_registration_type"]
    return case.cell.value in {"1": ("20", "30"), "2": ("40",)}[kind or ""]


def is_conflicting(which: str, case: Case) -> bool:
    """Both values of a conflict stand where the authority matrix says: in the claimed column of the named source."""
    library = "population/person" if "person_id" in case.row else "legal_entity/entity"
    source, field_ = case.row[f"source_{which}"], case.row["conflict_field"] or ""
    (claim,) = [claim for claim in case.contracts.authority[library][field_] if claim.source == source]
    if claim.column == "id_number":
        return is_of_the_number({"sex": slice(16, 17), "birth_date": slice(6, 14)}[field_], case)
    raw = case.raws[claim.source]
    return raw[claim.column] == case.cell.value or (field_ == "marital_status" and claim.column != field_)


def is_counted(model: str, condition: str, case: Case) -> bool:
    where = f"uscc = {literal(case.row['uscc'])} and document_status = '1' and {condition}"
    return case.look_up(model, "count(*)", where) == [(int(case.cell.value or -1),)]


def day_of(case: Case) -> str:
    """The day of the edition in which what is explained was published."""
    return str(case.town.published()["lib_credit__listing"].body["as_of"])


def still_public(case: Case) -> str:
    return f"coalesce(public_until, date '9999-12-31') >= date {literal(day_of(case))}"


def is_last_day_shown(case: Case) -> bool:
    """The last day of publicity, told or the longest time, or the day before removal or repair ended publicity."""
    day = date.fromisoformat(case.cell.value or "")
    found = {value for raw in case.raws.values() for name, value in raw.items() if name == "publicity_end"}
    ends = {
        value for raw in case.raws.values() for name, value in raw.items() if name in ("withdrawn_on", "delisted_on")
    }
    return str(day) in found or str(day + timedelta(days=1)) in ends or _is_longest(day, case)


def _is_longest(day: date, case: Case) -> bool:
    """Whether it is the day of a decision as many years later as a penalty without an end may be shown."""
    years = {raw["publicity_years"] for raw in case.raws.values() if "publicity_years" in raw}
    decided = {date.fromisoformat(raw["decided_on"] or "") for raw in case.raws.values() if "decided_on" in raw}
    return any(
        str(day) == f"{one.year + int(count or 0)}-{one:%m-%d}".replace("-02-29", "-02-28")
        for one in decided for count in years
    )  # fmt: skip


def reported(case: Case) -> date:
    """The day on which the source first had a decision, whose first version is the last of the raw rows named."""
    source = {"1": "drc/permit", "2": "drc/penalty"}[case.row["decision_kind"] or ""]
    return date.fromisoformat(day_in_the_city(case.raws[source]["source_updated_at"]))


def is_working_days(case: Case) -> bool:
    """Counted day by day; a report on a day of rest counts as of the next working day."""
    assert case.contracts.city.workCalendar is not None
    works, day = WorkCalendar(case.contracts.city.workCalendar).works, reported(case)
    decided = date.fromisoformat(case.row["decided_on"] or "")
    passed = sum(works(decided + timedelta(days=number)) for number in range(1, (day - decided).days + 1))
    return int(case.cell.value or -1) == passed + (not works(day))


def is_reporting_state(case: Case) -> bool:
    """All days of the town are of years that are announced; of what was late on its first day nothing is told."""
    late = int(case.row["working_days"] or -1) > int(case.row["limit_days"] or -1)
    return case.cell.value in (("2", "3") if late else ("1",))


def is_repaired_record_known(case: Case) -> bool:
    model, key = {"1": ("penalty", "credit_record_no"), "2": ("listing", "list_record_no")}[
        case.row["repair_target"] or ""
    ]
    subject = "uscc" if case.row["uscc"] else "subject_person_id"
    record = f"{key} = {literal(case.row['repaired_record_no'])} and {subject} = {literal(case.row[subject])}"
    found = case.look_up(f"lib_credit__{model}", key, record)
    return str(bool(found)).lower() == case.cell.value


def is_factor(case: Case) -> bool:
    """A factor of the score is told by the register in which its event stands."""
    datasets = {
        "permit": "drc/permit", "kept": "drc/credit_commitment", "broken": "drc/credit_commitment",
        "fine_minor": "drc/penalty", "fine_major": "drc/penalty",
    }  # fmt: skip
    return datasets.get(case.cell.value or "", "drc/credit_list") in case.raws


def is_points(factor: str, case: Case) -> bool:
    where = f"uscc = {literal(case.row['uscc'])} and factor_code = {literal(factor)}"
    found = case.look_up("lib_credit__score_part", "points", where)
    return float(case.cell.value or -1) == (found[0][0] if found else 0)


def is_score(case: Case) -> bool:
    parts = [case.row["base_points"], *(case.row[f"points_{factor}"] for factor in FACTORS)]
    return float(case.cell.value or -1) == sum(float(part or 0) for part in parts)


def is_member_count(condition: str, case: Case) -> bool:
    where = f"household_no = {literal(case.row['household_no'])} and {condition}"
    return case.look_up("lib_population__person", "count(*)", where) == [(int(case.cell.value or -1),)]


def is_known(case: Case) -> bool:
    where = f"uscc = {literal(case.row['uscc'])}"
    known = bool(case.look_up("lib_legal_entity__entity", "uscc", where))
    return str(known).lower() == case.cell.value


def is_valid_today(case: Case) -> bool:
    day = case.row["as_of"] or ""
    return case.row["licence_status"] == "1" and (case.row["valid_from"] or day) <= day <= (case.row["valid_to"] or day)


def is_in_force(case: Case) -> bool:
    return (case.cell.value == "true") == (is_valid_today(case) and case.row["superseded"] == "false")


def is_of_its_licence(case: Case) -> bool:
    about = f"licence_identifier = '{case.row['licence_identifier']}'"
    return case.town.rows("lib_e_licence__licence", f"CAST({case.cell.column} AS VARCHAR)", about) == [
        (case.cell.value,)
    ]


EVENTS = {"2": "expired", "3": "cancelled", "4": "revoked", "5": "withdrawn", "6": "replaced", "7": "suspended"}


def is_event(case: Case) -> bool:
    raw = case.raws["dsrb/e_licence_change"]
    if raw["operation"] == "D":
        return case.cell.value == "deleted"
    if raw["operation"] == "I":
        return case.cell.value == ("renewed" if raw["associated_licence"] else "issued")
    again = "resumed" if case.row["status_before"] == "7" else "changed"
    return case.cell.value == EVENTS.get(raw["licence_status"] or "", again)


def day_in_the_city(moment: str | None) -> str:
    return str((datetime.fromisoformat((moment or "")[:19]) + timedelta(hours=8)).date())


def is_day_of_the_change(case: Case) -> bool:
    return case.cell.value == day_in_the_city(case.raws["dsrb/e_licence_change"]["handled_at"])


def beside(case: Case, columns: str, later: bool) -> tuple[Any, ...]:
    """The change of the same licence before or after this one."""
    sign, order = (">", "min") if later else ("<", "max")
    same = f"licence_identifier = {literal(case.row['licence_identifier'])}"
    number = f"{order}(change_no)"
    ((found,),) = case.look_up("lib_e_licence__event", number, f"{same} and change_no {sign} {case.row['change_no']}")
    return case.look_up("lib_e_licence__event", columns, f"change_no = {found}")[0]


def is_day_of_the_next_change(case: Case) -> bool:
    return beside(case, "since_day::varchar", later=True) == (case.cell.value,)


def is_status_before(case: Case) -> bool:
    return beside(case, "licence_status", later=False) == (case.cell.value,)


def is_latest(case: Case) -> bool:
    return (case.cell.value == "true") == (case.row["replaced_at"] is None)


def is_next_vintage(case: Case) -> bool:
    names = ("series_code", "area_code", "period")
    where = " and ".join(f"{name} = {literal(case.row[name])}" for name in names)
    later = f"revision_no > {case.row['revision_no']} and {where}"
    (first,) = case.look_up("lib_macro__observation", "min(published_at)::varchar", later)
    return str(first[0]) == case.cell.value


def is_day_of_birth(case: Case) -> bool:
    born = duckdb.sql(f"SELECT (TIMESTAMP {literal((case.raws['hc/birth_certificate']['born_at'] or '')[:19])} "
                      "+ INTERVAL 8 HOUR)::DATE::VARCHAR").fetchone()  # fmt: skip
    return born == (case.cell.value,)


def names_a_source(case: Case) -> bool:
    return case.cell.value in {name.partition("#")[0] for name in json.loads(case.row[ROWS] or "{}")}


def is_county_of_the_entity(case: Case) -> bool:
    """Collectives are registered in a village; of who is known to the tax bureau alone the code tells the county."""
    starts = [(raw.get("division_code") or "")[:6] for raw in case.raws.values()]
    return case.cell.value in (*starts, (case.row["uscc"] or "")[2:8])


def is_name_number(case: Case) -> bool:
    where = f"uscc = {literal(case.row['uscc'])} and name_no <= {case.cell.value}"
    return case.look_up(FORMER, "count(*)", where) == [(int(case.cell.value or -1),)]


def is_day_of_the_name_before(case: Case) -> bool:
    where = f"uscc = {literal(case.row['uscc'])} and name_no = {case.row['name_no']} - 1"
    return case.look_up(FORMER, "name_to::varchar", where) == [(case.cell.value,)]


def is_link(case: Case) -> bool:
    """Told once more from what the population library says of that number."""
    number = case.row["legal_representative_person_id"]
    found = case.look_up(f"{PEOPLE}__person", "name, residence_status", f"person_id = {literal(number)}")
    if number is None or not found:
        return case.cell.value == ("no_number" if number is None else "not_in_library")
    ((name, status),) = found
    if name != case.row["legal_representative"]:
        return case.cell.value == "name_differs"
    return case.cell.value == ("deceased" if status == "5" else "linked")


def is_part_of_all_shares(case: Case) -> bool:
    """Shares that add up to more than everything count for their part of the sum."""
    ((total,),) = case.look_up(HOLDINGS, "greatest(sum(share_ratio), 100)", f"uscc = {literal(case.row['uscc'])}")
    return abs(float(case.cell.value or -1) - float(case.row["share_ratio"] or -1) / total) < 1e-9


def is_key_of_the_holder(case: Case) -> bool:
    kind, key = (case.cell.value or "?")[0], (case.cell.value or "?")[1:]
    own = {"P": case.row["shareholder_person_id"], "E": case.row["shareholder_uscc"], "C": ""}
    return key == own[kind] if kind in own else bool(key) and case.row["holder_kind"] == "unidentified"


def is_kind_of_holder(case: Case) -> bool:
    """Told once more from the holder's code and from whether its own shareholders are registered."""
    code = case.row.get("shareholder_uscc") or case.row.get("controller_uscc")
    if case.cell.value in ("person", "unidentified", "circular") or code is None:
        person = case.row.get("shareholder_person_id") or case.row.get("controller_person_id")
        return code is None and (case.cell.value == "person") == (person is not None)
    if kind := {"1": "state", "N": "collective"}.get(code[0]):
        return case.cell.value == kind
    if case.look_up(HOLDINGS, "count(*) > 0", f"uscc = {literal(code)}") == [(True,)]:
        return case.cell.value == "company"
    known = case.look_up("lib_legal_entity__entity", "entity_type", f"uscc = {literal(code)}")
    if not known:
        return case.cell.value == ("undisclosed" if code.startswith("913415") else "outside")
    return case.cell.value == ("undisclosed" if known[0][0] in ("1100", "1130", "1200") else "entity")


def is_length_of_the_chain(case: Case) -> bool:
    return sum(name.startswith("amr/shareholder") for name in json.loads(case.row[ROWS] or "{}")) == int(
        case.cell.value or -1
    )


def is_of_the_edition(case: Case) -> bool:
    return case.cell.value == case.town.published()["lib_e_licence__licence"].body["as_of"]


def changes(case: Case) -> list[dict[str, str]]:
    """The changes of divisions as the reference file lists them."""
    with (case.contracts.root / "reference/division_changes.csv").open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def is_of_history(column: str, case: Case) -> bool:
    """What a code stands for in its n-th period: its successor's successor, followed one change at a time."""
    stands: str | None = case.row["code"]
    county = (stands or "")[:6]  # a town or village begins with its county
    begun = [one["effective_on"] for one in changes(case) if one["successor_code"] == county]
    since = min(begun) if begun and case.row["code"] != "342401" else None  # it took 六安县 in and was there before
    for number in range(1, int(case.row["period_no"] or 0) + 1):
        ends = [one for one in changes(case) if one["predecessor_code"] == stands and one["change_kind"] != "separated"]
        until = ends[0]["effective_on"] if ends else None
        standing = "split" if stands is None else "in_force" if number == 1 else "succeeded"
        said = {"period_no": str(number), "stands_for": stands, "division_standing": standing,
                "in_force_from": since, "in_force_until": until}  # fmt: skip
        stands, since = (ends[0]["successor_code"] if len(ends) == 1 else None), until
    return said[column] == case.cell.value


def is_kind_of_division(case: Case) -> bool:
    """The name tells the kind of all but villages and what is for statistics only."""
    endings = {"city": "市", "district": "区", "county": "县", "street": "街道", "town": "镇", "township": "乡"}
    ending = endings.get(case.cell.value or "")
    return ending is None or (case.row["division_name"] or "").endswith(ending)


def is_told_apart(case: Case) -> bool:
    """The number in the row is on two people, or somebody else's: the linkage says whom the row is about."""
    links = f"{tables.read(case.town.settings.lake, tables.LINK)} WHERE person_id = {literal(case.cell.value)}"
    return duckdb.sql(f"SELECT 1 FROM {links} LIMIT 1").fetchone() is not None


def rests_on_the_register_it_names(case: Case) -> bool:
    """A relation names the certificate that it is evidence of, and the household register for all else."""
    names = json.loads(case.row[ROWS] or "{}")
    needed = {"marriage": {"cab/marriage"}, "birth": {"hc/birth_certificate"}}
    needed |= {"presumed": {"cab/marriage", HOUSEHOLDS}, "register": {HOUSEHOLDS}, "derived": {HOUSEHOLDS}}
    return needed[str(case.row["relation_evidence"])] <= names.keys()


HOUSEHOLDS = "psb/household_person"
PEOPLE, CONFLICT = "lib_population", "lib_legal_entity__conflict"
WORD = ("--who", STEWARD, "--why", "核查")
ENDS = ("withdrawn_on", "delisted_on")
FACTORS = ("permit", "kept", "honour", "fine_minor", "fine_major", "list_minor", "list_serious", "broken")
HOLDINGS = "lib_legal_entity__shareholder"
FORMER = "lib_legal_entity__former_name"
LAYERS = {"parcel": "parcel_boundary", "building": "building_outline", "road": "road_line",
          "component": "component_position"}  # fmt: skip
COMPUTED: dict[str, Callable[[Case], bool]] = {
    **{
        f"lib_geography__{layer}.{column}": partial(is_inner_point, shape, axis)
        for layer, shape in LAYERS.items()
        for axis, column in enumerate(("longitude", "latitude"))
    },
    **{
        f"lib_geography__{layer}.position_county": lambda case: (
            case.cell.value == case.row["county_code"] or case.row["position_doubt"] != "none"
        )
        for layer in LAYERS
    },
    "lib_geography__component.county_code": lambda case: (
        is_start_of("component_no", 6, case) or case.row["position_doubt"] != "none"
    ),
    "lib_geography__component.position_doubt": lambda case: (
        (case.cell.value == "none") == ((case.row["component_no"] or "")[:6] == case.row["county_code"])
    ),
    "parcel_link": lambda case: (
        (case.cell.value == "unknown")
        == (case.look_up("lib_geography__parcel", "1", f"parcel_no = {literal(case.row['parcel_no'])}") == [])
    ),
    "address_level": is_deepest_part,
    "unit_count": is_unit_count,
    "address_count": is_address_count,
    "county_code": lambda case: (
        any(is_start_of(name, 6, case) for name in ("code", "division_code") if name in case.row)
        or case.same("county_code", f"{PEOPLE}__person", "person_id")
    ),
    "county_name": lambda case: is_name_of("county_code", 6, case),
    "town_code": partial(is_start_of, "division_code", 9),
    "town_name": partial(is_name_of, "town_code", 9),
    "full_name": is_full_name,
    "position_county": lambda case: (
        (case.row["position_doubt"] == "none")
        == (
            (case.cell.value,)
            in case.look_up("lib_geography__address", "county_code", f"address_id = {literal(case.row['address_id'])}")
        )
    ),
    "position_doubt": lambda case: case.cell.value != "none" or case.row["position_county"] is not None,
    "source_dataset": names_a_source,
    "source_key": lambda case: bool(case.cell.value),
    "address_field": lambda case: (case.cell.value or "").endswith(("address", "domicile")),
    "address_match_status": lambda case: (case.cell.value == "matched") == (case.row["address_id"] is not None),
    "address_match_basis": lambda case: case.row["address_match_status"] == "matched",
    "matched_division": lambda case: (
        case.row["address_id"] is None
        or case.look_up("lib_geography__address", "division_code", f"address_id = {literal(case.row['address_id'])}")
        == [(case.cell.value,)]
    ),
    "division_kind": is_kind_of_division,
    "statistical_unit": lambda case: (
        (case.cell.value == "true") == any(digit in "45" for digit in (case.row["code"] or "")[6:10:3])
    ),
    **{
        name: partial(is_of_history, name)
        for name in ("period_no", "stands_for", "division_standing", "in_force_from", "in_force_until")
    },
    "sex": partial(is_of_the_number, slice(16, 17)),
    "birth_date": partial(is_of_the_number, slice(6, 14)),
    "age_band": is_age_band,
    "residence_status": is_status,
    f"{PEOPLE}__registered.residence_status": lambda case: (
        case.cell.value in ("1", "2") and case.same("residence_status", f"{PEOPLE}__person", "person_id")
    ),
    "residence_evidence": is_evidence,
    "marital_status": is_marital_status,
    "members": partial(is_member_count, "true"),
    "living_members": partial(is_member_count, "residence_status <> '5'"),
    "person_relation": rests_on_the_register_it_names,
    "related_person_id": is_told_apart,
    "kept_person_id": is_told_apart,
    "relation_evidence": rests_on_the_register_it_names,
    "relation_other": rests_on_the_register_it_names,
    "relation_conflict": lambda case: bool(case.raws),
    "relation_kept": lambda case: (case.cell.value is None) == (case.row["kept_person_id"] is None),
    "since": is_day_of_birth,
    "person_tag": lambda case: bool(case.raws),
    "tag_source": names_a_source,
    "conflict_field": lambda case: bool(case.raws),
    "history_field": lambda case: bool(case.raws),
    "history_before": partial(is_told, "before"),
    "history_after": partial(is_told, "after"),
    **dict.fromkeys(("holds_from", "holds_basis", "known_on", "known_in"), is_day_of_change),
    "source_kept": names_a_source,
    "source_other": names_a_source,
    "value_kept": partial(is_conflicting, "kept"),
    "value_other": partial(is_conflicting, "other"),
    "public_name": lambda case: case.same("public_name", "lib_legal_entity__entity", "uscc"),
    "entity_name": lambda case: case.same("entity_name", "lib_legal_entity__entity", "uscc"),
    "held_share": is_part_of_all_shares,
    "holder_key": is_key_of_the_holder,
    "holder_kind": is_kind_of_holder,
    "controller_kind": is_kind_of_holder,
    "total_share": lambda case: 0 <= float(case.cell.value or -1) <= 1.000001 and bool(case.raws),
    "ownership_depth": is_length_of_the_chain,
    "control_depth": is_length_of_the_chain,
    "controller_investment_no": lambda case: any(case.cell.value in raw.values() for raw in case.raws.values()),
    "control_state": lambda case: (case.cell.value == "controlled") == (case.row["controller_kind"] is not None),
    "entity_tag": lambda case: bool(case.raws),
    "entity_class": partial(is_start_of, "uscc", 2),
    "lib_legal_entity__entity.county_code": is_county_of_the_entity,
    "register_source": names_a_source,
    "representative_link": is_link,
    "name_no": is_name_number,
    "name_from": is_day_of_the_name_before,
    "entity_known": is_known,
    "permits": partial(is_counted, "lib_credit__permit", "true"),
    "penalties": lambda case: is_counted("lib_credit__penalty", still_public(case), case),
    "public_until": is_last_day_shown,
    "in_list": lambda case: (case.cell.value == "true") == ((case.row["public_until"] or "9") >= day_of(case)),
    "record_known": is_repaired_record_known,
    "first_reported_on": lambda case: str(reported(case)) == case.cell.value,
    "working_days": is_working_days,
    "reporting_state": is_reporting_state,
    "late_reported_on": lambda case: (
        case.row["reporting_state"] == "2" and case.cell.value == case.row["first_reported_on"]
    ),
    "factor_code": is_factor,
    "event_no": lambda case: any(case.cell.value in raw.values() for raw in case.raws.values()),
    "event_on": lambda case: any(case.cell.value in raw.values() for raw in case.raws.values()),
    "score": is_score,
    **{f"points_{factor}": partial(is_points, factor) for factor in FACTORS},
    "licence_event": is_event,
    "since_day": is_day_of_the_change,
    "until_day": is_day_of_the_next_change,
    "status_before": is_status_before,
    "after_end": lambda case: (case.cell.value == "true") == (case.row["status_before"] in ("3", "4", "5", "6")),
    "long_term": lambda case: (case.cell.value == "true") == (case.row["valid_to"] is None),
    "days_left": lambda case: (
        (date.fromisoformat(case.row["valid_to"] or "") - date.fromisoformat(case.row["as_of"] or "")).days
        == int(case.cell.value or -1)
    ),
    "superseded": lambda case: case.cell.value == "false" or case.row["in_force"] == "false",
    "lib_e_licence__period.superseded_since": is_of_its_licence,
    "superseded_since": lambda case: case.row["superseded"] == "true" or not is_valid_today(case),
    "in_force": is_in_force,
    "as_of": is_of_the_edition,
    "replaced_at": is_next_vintage,
    "is_latest": is_latest,
    "lib_macro__benchmark.is_latest": lambda case: case.cell.value == "true",  # no benchmark is ever revised
    "base_value": lambda case: float(case.cell.value or 0) > 0,
    "yoy_computed": lambda case: (
        abs(
            (float(case.row["series_value"] or 0) / float(case.row["base_value"] or 1) - 1) * 100
            - float(case.cell.value or 0)
        )
        < 1e-6
    ),
    "yoy_gap": lambda case: (
        abs(float(case.row["yoy"] or 0) - float(case.row["yoy_computed"] or 0) - float(case.cell.value or 0)) < 1e-6
    ),
    "yoy_agrees": lambda case: (case.cell.value == "true") == (abs(float(case.row["yoy_gap"] or 9)) <= 0.06),
}
"""How cells are computed that no raw cell holds, said apart from the models."""


def test_decisions_that_were_reported_late_are_told_and_no_others(town: Town) -> None:
    found = {score.kind: score for score in accepted.compare(Published(town.settings, town.city))}
    score = found[REPORTED_LATE]
    assert score.planted >= 1 and score.recall == 1 and score.precision == 1, score
    late = town.rows("lib_credit__reporting", "1", "reporting_state = '2'")
    with town.register() as register:
        told = [row for row in Issues(register).open("lib_credit__reporting") if row["code"].startswith("notice.")]
    assert late and sum(row["count"] for row in told) == len(late)
    assert {row["owner"] for row in told} <= {"amr", "hc", "hurd", "hrssb", "psb", "drc"}


def test_values_are_shown_only_when_asked_for(town: Town, contracts: Contracts) -> None:
    ((person, name),) = town.rows(f"{PEOPLE}__person", "person_id, name", "residence_status = '1'")[:1]
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        (cell,) = explainer.explain(f"{PEOPLE}__person", {"person_id": person}, "name").cells
    assert (cell.value, cell.sources[0].raw, cell.empty) == (None, None, False)
    assert (cell.sources[0].row.organisation, cell.sources[0].physical) == ("市公安局", "XM")
    assert cell.basis is not None and "户口登记条例" in cell.basis
    assert name not in str(cell)


def test_the_command_tells_department_batch_row_and_rule(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    ((person, name),) = town.rows(f"{PEOPLE}__person", "person_id, name", "residence_status = '1'")[:1]
    call = ["explain", f"{PEOPLE}__person", f"person_id={person}", "--column", "name"]
    told = CliRunner().invoke(app, call)
    assert told.exit_code == 0, told.output
    assert re.search(r"市公安局 psb/household_person：第 \d+ 批第 \d+ 行", told.output), told.output
    assert "psb:hzgl.T_CZRK_JBXX" in told.output
    assert "delivered" in told.output and name not in told.output
    refused = CliRunner().invoke(app, [*call, "--values", "--who", STEWARD])
    assert refused.exit_code == 1 and "--why" in refused.output and name not in refused.output
    assert name in CliRunner().invoke(app, [*call, "--values", *WORD]).output
    with town.register() as register:
        (receipt,) = Receipts(register, "test").of_stage(Stage.EXPORT, f"{PEOPLE}__person", 10)
    said = {"who": STEWARD, "why": "核查", "column": "name", "values": True}
    assert receipt.body == {"key": {"person_id": person}, **said}


def test_the_command_lists_what_a_count_counts(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    disputed = "conflict_field = 'legal_representative' and source_other = 'drc/penalty'"
    counted = town.rows(CONFLICT, "uscc, value_kept", disputed)
    assert 0 < len(counted) <= LISTED
    key = {"conflict_field": "legal_representative", "source_kept": "amr/enterprise", "source_other": "drc/penalty"}
    call = ["explain", f"{CONFLICT}_count", *(f"{name}={value}" for name, value in key.items())]
    told = CliRunner().invoke(app, call)
    assert told.exit_code == 0, told.output
    assert "conflicts 计的是 lib_legal_entity__conflict 版本" in told.output
    assert f"共 {len(counted)} 行，列出 {len(counted)} 行" in told.output
    for source in ("市市场监督管理局 amr/enterprise", "市发展和改革委员会 drc/penalty"):
        assert re.search(rf"\] {source}：第 \d+ 批第 \d+ 行", told.output), told.output
    assert len(re.findall(r"<- \[\d+\] \[\d+\]\n", told.output)) == len(counted)
    shown = CliRunner().invoke(app, [*call, "--values", *WORD]).output
    for code, kept in counted:
        assert code not in told.output and kept not in told.output
        row = rf"<- \[\d+\] \[\d+\] uscc={code} conflict_field=legal_representative source_other=drc/penalty\n"
        assert re.search(row, shown)


def test_a_count_is_explained_by_what_was_published_with_it(town: Town, contracts: Contracts) -> None:
    """Of rows that were released later an older count knows nothing."""
    model, columns = f"{PEOPLE}__conflict_count", "conflict_field, source_kept, source_other, conflicts"
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        newest, *_, oldest = (entry for entry in Ledger(register).history(model) if entry.kind == RELEASE)
        versions = []
        for entry in (newest, oldest):
            explainer.released.published = {**explainer.released.published, model: entry}
            for *values, conflicts in town.rows(model, columns, version=entry.version):
                key = dict(zip(contracts.models[model].form.key, values, strict=True))
                counted = explainer.explain(model, key).counted
                assert counted is not None and counted.total == conflicts
                versions.append(counted.version)
    assert len(set(versions)) == 2


def test_a_published_count_of_persons_leads_to_the_persons(town: Town, contracts: Contracts) -> None:
    model, columns = "mart_population__age_structure", "county_code, sex, age_band, persons"
    *key, persons = town.rows(model, columns, "persons > 20")[0]
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        found = explainer.explain(model, dict(zip(("county_code", "sex", "age_band"), key, strict=True)))
    assert found.counted is not None and (found.counted.total, len(found.counted.rows)) == (persons, LISTED)
    assert {row.sources[0].dataset for row in found.counted.rows} == {"psb/household_person"}


def test_a_cell_of_every_product_is_explained(town: Town, contracts: Contracts) -> None:
    """One drawn cell of each: by raw rows, by the rows it counts, or by what its model reads; or nothing is there."""
    seed = seed_from_clock()
    print(f"CITYLAKE_TEST_SEED={seed}")
    refused, explained = [], set[str]()
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        for product in contracts.products.values():
            if product.id not in explainer.released.published:
                continue
            column = sorted(one.name for one in product.columns)[seed % len(product.columns)]
            for shown in drawn(town, product, explainer.released.published[product.id].version, seed):
                try:
                    row = row_of(town.settings, explainer, product.id, shown, column)
                except CitylakeError as error:
                    assert error.code == "explain.several_rows", (product.id, str(error))
                    continue  # a product need not show the key of its model
                found = explainer.explain(*row)
                (cell,) = found.cells
                if not (cell.empty or cell.sources or cell.computed_from or found.counted or found.made_of):
                    refused.append((product.id, column))
                explained.add(product.id)
                break
    assert refused == []
    assert {"sharing/town_day", "sharing/population_reconciliation", "sharing/macro_comparison"} <= explained
    assert len(explained) > 60


def test_a_count_that_waits_is_explained_by_what_it_counted_when_it_was_released(
    town: Town, contracts: Contracts
) -> None:
    product = contracts.products["open/age_structure_by_county"]
    columns = "county_code, sex, age_band, persons"
    model = {tuple(key): persons for *key, persons in town.rows(product.contract.form.model, columns)}
    shown = town.rows(product.id, columns)
    waiting = [row for row in shown if model.get(row[:-1]) != row[-1]]
    assert waiting
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        for row in (*waiting[:3], next(one for one in shown if one not in waiting)):
            named = dict(zip(("county_code", "sex", "age_band"), row, strict=False))
            for asked in (named, {**named, "persons": str(row[-1])}):
                found = explainer.explain(*row_of(town.settings, explainer, product.id, asked, "persons"))
                assert found.counted is not None and found.counted.total == row[-1], (asked, found)
                newest = explainer.released.published[found.model].version
                assert newest is not None and (found.version < newest) == (row in waiting)


def test_a_version_from_before_a_column_came_is_explained_without_it(town: Town, contracts: Contracts) -> None:
    model = contracts.models["lib_macro__series"]
    later = replace(model.columns[-1], name="later")
    newer = replace(model, columns=(*model.columns, later))
    known = replace(contracts, models={**contracts.models, "lib_macro__series": newer})
    key = {"series_code": town.rows("lib_macro__series", "series_code")[0][0]}
    with town.register() as register, Explainer(known, town.settings, register) as explainer:
        cells = explainer.explain("lib_macro__series", key).cells
        assert {cell.column for cell in cells} == {one.name for one in model.columns} - {"source_rows", "attr_source"}
        with pytest.raises(CitylakeError, match="没有列 later"):
            explainer.explain("lib_macro__series", key, "later")


def drawn(town: Town, product: Product, version: int | None, seed: int) -> Iterator[dict[str, str]]:
    """Some rows that a product shows, without what is empty."""
    read = delta.scan(delta.open_table(town.settings.lake.product(product.channel, product.name), version))
    listed = ", ".join(f"CAST({identifier(one.name)} AS VARCHAR)" for one in product.columns)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        query = f"SELECT * FROM (SELECT {listed} FROM {read.source}) r ORDER BY hash((r::VARCHAR, {seed})) LIMIT 20"
        rows = con.execute(query).fetchall()
    for row in rows:
        yield {one.name: value for one, value in zip(product.columns, row, strict=True) if value is not None}


def test_a_row_without_books_leads_to_what_its_model_reads(town: Town, contracts: Contracts) -> None:
    """Libraries and deliveries of the edition that built it, and the rows with its key where there are some."""
    reconciliation, comparison = "mart_population__reconciliation", "mart_macro__comparison"
    day, code = town.rows(reconciliation, "as_of, town_code", "report_day IS NOT NULL")[0]
    series, period = town.rows(comparison, "series_code, period")[0]
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        found = explainer.explain(reconciliation, {"as_of": str(day), "town_code": code}, "persons_listed")
        published = explainer.released.published
        compared = explainer.explain(comparison, {"series_code": series, "period": period}, "city_value")
        pulled = explainer.receipts.last(Stage.PULL, "psb/population_report")
    read = {one.name: one for one in found.made_of}
    assert found.edition == published[reconciliation].edition
    assert read[f"{PEOPLE}__person"].version == published[f"{PEOPLE}__person"].version
    report = read["psb/population_report"]
    assert pulled is not None and (report.batch, report.organisation) == (pulled.batch, "市公安局")
    behind = {one.model: {source.dataset for row in one.rows for source in row.sources} for one in compared.alike}
    assert behind["lib_macro__observation"] >= {"sb/macro_observation"}
    assert behind["lib_macro__benchmark"] >= {"sb/macro_benchmark"}


def test_a_day_that_is_kept_was_built_by_its_last_release(town: Town, contracts: Contracts) -> None:
    model = "mart_population__town_day"
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        released = explainer.released
        last, *_ = (one for one in released.ledger.history(model) if one.kind == RELEASE)
        published = released.published[model]
        assert built_by(released, contracts.models[model], published, {"as_of": last.body["as_of"]}) == last
        with pytest.raises(CitylakeError, match="说不出这一行由哪些版本得出"):
            built_by(released, contracts.models[model], published, {"as_of": "2020-01-01"})


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (["lib_population__nobody", "a=b"], "没有模型 lib_population__nobody"),
        (["mart_population__town_day", "persons=no"], "没有这一行"),
        ([f"{PEOPLE}__person", "person_id"], "不是 列=值 的写法"),
        ([f"{PEOPLE}__person", "nothing=1"], "没有列 nothing"),
        ([f"{PEOPLE}__person", "person_id=0"], "没有这一行"),
        ([f"{PEOPLE}__person", "residence_status=1"], "请写全主键：person_id"),
    ],
)
def test_what_cannot_be_explained_is_told(
    town: Town, monkeypatch: pytest.MonkeyPatch, call: list[str], told: str
) -> None:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    result = CliRunner().invoke(app, ["explain", *call])
    assert result.exit_code == 1
    assert told in result.output


def test_raw_rows_that_are_no_longer_kept_are_told(town: Town, contracts: Contracts, tmp_path: Path) -> None:
    ((series,),) = town.rows("lib_macro__series", "series_code")[:1]
    folder = town.settings.lake.raw("sb", "macro_series")
    away = folder.rename(tmp_path / "away")
    try:
        with (
            town.register() as register,
            Explainer(contracts, town.settings, register, values=True) as explainer,
            pytest.raises(CitylakeError, match="已不保存"),
        ):
            explainer.explain("lib_macro__series", {"series_code": series})
    finally:
        away.rename(folder)


def test_the_books_are_no_cells_of_their_own(town: Town, contracts: Contracts) -> None:
    ((person,),) = town.rows(f"{PEOPLE}__person", "person_id")[:1]
    with town.register() as register, Explainer(contracts, town.settings, register) as explainer:
        cells = explainer.explain(f"{PEOPLE}__person", {"person_id": person}).cells
    assert not {cell.column for cell in cells} & {ROWS, ATTRIBUTES}
