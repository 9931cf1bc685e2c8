"""A small released lake made by hand through the pipelines' own interfaces: real contracts, synthetic rows.

Belongs here: what the catalogue's tests stand on. Does not belong here: tests.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi.testclient import TestClient

from catalog.app import create_app
from catalog.policy import administration, keys, users
from catalog.policy.callers import Callers
from catalog.policy.decision import Grant
from pipelines import engine
from pipelines.admission.admit import Admitted
from pipelines.contracts.forms.products import Approval
from pipelines.contracts.load import load, rule_context
from pipelines.contracts.resolved import Contracts, Product
from pipelines.evidence.gate import prove_model
from pipelines.evidence.record import Evidence
from pipelines.issues import REFUSED, Finding, Issues
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows
from pipelines.register import Register, chain
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.signer import Ed25519Signer
from pipelines.release import marts
from pipelines.release.ledger import REFUSAL, RELEASE, WITHDRAWAL, Entry, Ledger
from pipelines.release.products import write_files
from pipelines.release.shown import said_of
from pipelines.settings import REPOSITORY, Settings

PERSONS = "sharing/person_of_division"
AGES = "open/age_structure_by_county"
DIVISIONS = "analyst/division"
PERMITS = "analyst/permit"
COMPONENTS = "sharing/component"
MODEL = "lib_population__person"
GEOGRAPHY = "lib_geography__division"
REGISTERED = "lib_population__registered"
AGE_MODEL = "mart_population__age_structure"
REGISTER, MARRIAGES, SERIES = "psb/household_person", "cab/marriage", "sb/macro_series"
PLAN = "open/plan_indicator"
COUNTIES = "open/county_indicator"
URL = "http://catalogue.test"
ADMINISTRATOR, STEWARD, APPROVER, GUARD, AUDITOR, OFFICE = "管理员", "专员", "审批员", "安全员", "审计员", "sto"
SECOND = "另一审批员"
VILLAGES = ("341502001001", "341502001002", "341503001001", "341504100001")

SYNTHETIC = f"""
select md5('person ' || i) as person_ref, '341502********' || lpad(cast(i as varchar), 4, '0') as id_number,
    ['张', '王', '李', '赵'][1 + i % 4] || '**' as name, cast(1 + i % 2 as varchar) as sex,
    cast(1950 + i % 70 as integer) as birth_year,
    {list(VILLAGES)}[1 + i % {len(VILLAGES)}] as division_code,
    ['金安区', '金安区', '裕安区', '叶集区'][1 + i % 4] as county_name,
    ['中市街道', '中市街道', '鼓楼街道', '叶集镇'][1 + i % 4] as town_name,
    case when i % 7 = 0 then null else '20' end as education, '1' as residence_status
from range(0, {{rows}}) as t(i)
"""
COUNTS = """
select cast(341502 + c as varchar) as county_code, ['金安区', '裕安区', '叶集区'][1 + c] as county_name,
    cast(1 + s as varchar) as sex,
    lpad(cast(b * 5 as varchar), 2, '0') || '-' || lpad(cast(b * 5 + 4 as varchar), 2, '0') as age_band,
    cast(1000 + c * 100 + s * 10 + b as integer) as persons, date '2026-11-01' as as_of
from range(0, 3) as a(c), range(0, 2) as x(s), range(0, {rows} // 6) as y(b)
"""
PLACES = """
select cast(341502 + i as varchar) as code, '区划' || i as division_name, 'county' as division_level,
    'division' as division_kind, '0' as statistical_unit, date '2000-01-01' as in_force_from,
    '341500' as parent_code, cast(341502 + i as varchar) as county_code, '区' || i as county_name,
    '六安市区划' || i as full_name, cast(100.5 + i as double) as area_km2
from range(0, {rows}) as t(i)
"""
AUTHORITIES = ("11341500MBX800024J", "11341500MBX8000670", "11341500MBX8000408", "11341500MBX800099Z")
"""Of psb, hc and amr; the last is in no list."""
PERMITTED = f"""
select 'P' || i as credit_record_no, '法人' as subject_category, 'U' || i as uscc, '1' as entity_known,
    '普通' as permit_category, date '2026-01-01' + cast(i as integer) as decided_on, date '2026-01-01' as valid_from,
    null::date as valid_to, '机关' || i % 5 as authority_name,
    case when i % 5 < 4 then {list(AUTHORITIES)}[1 + i % 5] end as authority_uscc, '1' as document_status
from range(0, {{rows}}) as t(i)
"""
ON_THE_MAP = """
select '341502' || lpad(cast(i as varchar), 10, '0') as component_no, '0101' as component_class,
    '1' as component_status, '市政设施管理处' as component_owner, date '2025-01-01' as surveyed_on,
    '341502' as county_code, '金安区' as county_name, 116.5 as longitude, 31.7 as latitude, 'none' as position_doubt,
    'POINT (116.5 31.7)' as component_position
from range(0, {rows}) as t(i)
"""
TARGETS = """
select i.*, t.* exclude (indicator_code), '145' as plan_id, 'dsrb' as owner, date '2026-11-01' as as_of
from (values
    ('K01', '数字基础', '累计建成5G基站数', '个', '已开通的5G基站数', null, null::double, null::double, null::double,
        null::varchar, 'no_source', '市经信局：5G基站台账'),
    ('K06', '数字基础', '政务系统上云率', '%', '已上云系统数', '非涉密系统数', 45, 50, 90, '2026-10', 'value', null),
    ('K15', '民生服务', '全市居民电子健康档案覆盖率', '%', '有档案的常住居民数', '常住人口', 4150000, 4393000, 94.4684,
        '2026-10', 'value', null),
    ('K16', '民生服务', '全市居民电子健康卡覆盖率', '%', '持卡人', '常住人口', null, null, null, null, 'pending', null),
    ('K19', '产业发展', '数字经济核心产业增加值占比', '%', '增加值', '生产总值', 8, 100, 8, '2025', 'value', null)
) as i(indicator_code, direction, indicator_name, unit, numerator_definition, denominator_definition, numerator,
    denominator, value, period, status, missing_source)
join (values
    ('K01', 2023, '≥6000个', 'numeric', 6000.0, '>=', null::double, 'not_applicable'),
    ('K01', 2025, '≥10000个', 'numeric', 10000, '>=', null, 'not_applicable'),
    ('K06', 2023, '90%', 'numeric', 90, '>=', null, 'yes'),
    ('K06', 2025, '应上尽上', 'saturating', null, null, null, 'not_applicable'),
    ('K15', 2023, '100%', 'numeric', 100, '>=', null, 'no'),
    ('K15', 2025, '电子健康档案数据质量持续提升', 'qualitative', null, null, null, 'not_applicable'),
    ('K16', 2023, '100%', 'numeric', 100, '>=', null, 'not_applicable'),
    ('K16', 2025, '-', 'none', null, null, null, 'not_applicable'),
    ('K19', 2023, '-', 'none', null, null, 9.5, 'not_applicable'),
    ('K19', 2025, '达到全省平均水平', 'benchmark', null, '>=', 9.5, 'no')
) as t(indicator_code, target_year, target_text, target_kind, target_value, comparison, benchmark_value, attained)
    on t.indicator_code = i.indicator_code
"""
BY_COUNTY = """
select indicator_code, indicator_name, unit, numerator_definition, denominator_definition,
    code as county_code, county as county_name,
    case when code = '341504' then null else period end as period,
    case when code = '341504' then null else 800.0 + n end as numerator, 1000.0 as denominator,
    case when code = '341504' then null else cast(80.25 + n as double) end as value, date '2026-11-01' as as_of
from (values ('341502', '金安区', 1), ('341503', '裕安区', 4), ('341504', '叶集区', 7), ('341522', '霍邱县', 9),
    ('341523', '舒城县', 13), ('341524', '金寨县', 16), ('341525', '霍山县', 19.5)) as c(code, county, n),
    (values
        ('health_record_coverage', '电子健康档案覆盖率', '%', '2026-10', '有档案的常住居民数（人）', '常住人口（人）'),
        ('aqi_mean', '平均空气质量指数', '—', null, '各日空气质量指数之和', null)
    ) as i(indicator_code, indicator_name, unit, period, numerator_definition, denominator_definition)
"""
ROWS = {
    PERSONS: SYNTHETIC,
    AGES: COUNTS,
    DIVISIONS: PLACES,
    PERMITS: PERMITTED,
    COMPONENTS: ON_THE_MAP,
    PLAN: TARGETS,
    COUNTIES: BY_COUNTY,
}
AGE_CELLS = """(SELECT * FROM (VALUES
    ('341502', '金安区', '1', '00-04', 12::BIGINT, DATE '2026-11-01'),
    ('341503', '裕安区', '2', '85+', 30::BIGINT, DATE '2026-11-01')
) AS t(county_code, county_name, sex, age_band, persons, as_of))"""
COUNTED = {REGISTERED: f"(SELECT county_code, sex, age_band, unnest(range(persons)) AS person FROM {AGE_CELLS})"}
"""The persons that these cells count."""
RULES = [
    {
        "rule": "county_code.required",
        "verb": "required",
        "kind": "completeness",
        "dimension": "完整性",
        "columns": ["county_code"],
        "evaluated": 12345,
        "failed": 0,
        "second_opinion": 0,
    },
    {
        "rule": "persons.between",
        "verb": "between",
        "kind": "range",
        "dimension": "准确性",
        "columns": ["persons"],
        "evaluated": 12345,
        "failed": 3,
        "second_opinion": 4,
    },
]
CHECKS = [
    {"check": "schema", "status": "pass", "measured": 0, "threshold": 0, "details": []},
    {"check": "anonymity", "status": "pass", "measured": 1000, "threshold": 10, "details": []},
]


class City:
    """One installation with its contracts, register (in SQLite, or at an address) and released lake."""

    def __init__(self, home: Path, register: str | None = None) -> None:
        state = home / "state"
        self.settings = Settings(state, REPOSITORY, 0, 0, register or f"sqlite:///{state / 'register.db'}", url=URL)
        self.settings.prepare()
        self.register = Register(self.settings.register_url)
        self.register.upgrade()
        self.ledger = Ledger(self.register)
        self.contracts: Contracts = load(self.settings.contracts)
        appoint(self.register, self.contracts)

    def own_contracts(self) -> Path:
        """A copy of the contracts that a test may change, for services that are started from now on.

        Without one the city lives by those of the repository, which are read once a process.
        """
        project = self.settings.home.parent / "project"
        if not project.exists():
            shutil.copytree(REPOSITORY / "data_contracts", project / "data_contracts")
            shutil.copytree(REPOSITORY / "dbt_project", project / "dbt_project")
            self.settings = replace(self.settings, project=project)
        return self.settings.contracts

    def limit(self, limits: str) -> None:
        """Put other limits of the catalogue (YAML) in place of the city's; a service that is started next has them."""
        path = self.own_contracts() / "city.yaml"
        path.write_text(f"{path.read_text('utf-8').partition(chr(10) + 'limits:')[0]}\nlimits: {limits}\n", "utf-8")

    def release(self, product_id: str, rows: int = 40, query: str | None = None, **body: Any) -> int:
        """Commit rows as the product's next version and record it as published; returns the version."""
        product = self.contracts.products[product_id]
        location = self.settings.lake.product(*product_id.split("/"))
        written = (query or ROWS[product_id]).format(rows=rows)
        with engine.connect(self.settings.lake.scratch()) as con:
            schema = query_schema(con, written, product_id)
            base = delta.latest(location)
            version = delta.commit(location, schema, "table", base, copy_rows(con, written, location))
            files = self._files(con, product, version) if product.channel == "open" else []
        table = delta.open_table(location, version)
        said = {
            "rows": delta.row_count(table),
            "contract": product.contract.hash,
            **said_of(product, self.contracts.city),
            "as_of": "2026-11-01",
            "evidence": CHECKS,
            "rules": [],
            "approver": "citylake gate",
            "model": product.contract.form.model,
            "model_version": 0,
            "files": files,
            **body,
        }
        self.ledger.record([Entry(RELEASE, product_id, "2026-11-01.1", version, said)])
        return version

    def _files(self, con: Any, product: Product, version: int) -> list[dict[str, Any]]:
        read = delta.scan(delta.open_table(self.settings.lake.product(product.channel, product.name), version))
        folder = self.settings.lake.root / "released" / "files" / product.channel / product.name / f"v{version}"
        return write_files(con, product, f"(SELECT {read.columns} FROM {read.source})", folder)

    def release_model(self, model: str = MODEL, rows: int = 1234567, version: int = 0, **body: Any) -> None:
        """Record a release of a model; its table is not written."""
        said = {"rows": rows, "rules": RULES, "evidence": CHECKS, "approver": "citylake gate", **body}
        self.ledger.record([Entry(RELEASE, model, "2026-11-01.1", version, said)])

    def prove(self, model: str, relation: str, models: Mapping[str, str], version: int = 0) -> Evidence:
        """Check rows as the gate does, with Great Expectations; record the evidence, and a release whatever it says."""
        contract = self.contracts.models[model]
        context = rule_context(self.contracts, today=date(2026, 11, 1), relation=relation, models=models)
        with engine.connect(self.settings.lake.scratch()) as con:
            evidence = prove_model(con, contract, context, "f1")
            ((rows,),) = con.execute(f"SELECT count(*) FROM {relation}").fetchall()
        proof = {"edition": "2026-11-01.1", **evidence.to_json()}
        Receipts(self.register, "test").add(Stage.EVIDENCE, model, proof)
        named = chain.digest(proof)
        self.release_model(model, rows, version, rules=proof["rules"], evidence=proof["checks"], proof=named)
        return evidence

    def admit(
        self, source: str, batch: int, received: int, refused: int, by_rule: Mapping[str, int], **more: Any
    ) -> None:
        """Record that a source delivered a batch and what became of its rows; nothing is written to core."""
        receipts = Receipts(self.register, "test")
        receipts.add(Stage.PULL, source, {"rows": received}, batch)
        admitted = Admitted(batch, received, received - refused, refused, by_rule=dict(by_rule), **more)
        receipts.add(Stage.ADMIT, source, vars(admitted), batch)

    def waiting(self, source: str, rows: Mapping[str, int]) -> None:
        """Record by rule how many refused rows of a source wait for a correction, as a run does."""
        why = {"subject": source, "reason_zh": "原因", "reason_en": "reason"}
        found = [Finding(REFUSED, why | {"rule": one, "rows": n}, "warning", one, n) for one, n in rows.items()]
        Issues(self.register).report(source, source.partition("/")[0], "admit", found)

    def refresh_marts(self) -> None:
        """Make the analysts' database of what is published now."""
        marts.refresh(self.settings, load(self.settings.contracts), self.register)

    def withdraw(self, product_id: str) -> None:
        """Take a product back."""
        self.ledger.record([Entry(WITHDRAWAL, product_id, "2026-11-02.1", None, {"reasons": ["撤回测试"]})])

    def refuse(self, subject: str, reason: str) -> None:
        """Record a refusal."""
        self.ledger.record([Entry(REFUSAL, subject, "2026-11-02.1", None, {"reasons": [reason], "rows": 7})])

    def recipient(self, name: str, organisation: str = "psb") -> str:
        """A new recipient with a token; returns the token."""
        administration.create_recipient(self.register, self.contracts, name, organisation, actor=ADMINISTRATOR)
        return administration.issue_token(self.register, name, actor=ADMINISTRATOR).token

    def oauth_client(self, name: str, organisation: str = "psb") -> administration.IssuedClient:
        """A new recipient with an OAuth client."""
        administration.create_recipient(self.register, self.contracts, name, organisation, actor=ADMINISTRATOR)
        return administration.issue_client(self.register, name, actor=ADMINISTRATOR)

    def callers(self) -> Callers:
        """Who asks, as a service that is started now knows it."""
        return Callers(self.register, lambda: self.settings.key("access_tokens"))

    def grant(self, name: str, product: str = PERSONS, **limits: Any) -> Grant:
        """A grant for a test's purpose, approved where it must be."""
        return granted(self.register, self.contracts, name, product, purpose="核验测试", **limits)

    def values(self, product_id: str, column: str) -> list[Any]:
        """All values of a column in the published version."""
        read = delta.scan(delta.open_table(self.settings.lake.product(*product_id.split("/"))))
        with engine.connect(self.settings.lake.scratch()) as con:
            return [row[0] for row in con.execute(f"SELECT {column} FROM {read.source}").fetchall()]

    def client(self) -> TestClient:
        """A client of a new application over this city, as a browser that keeps cookies."""
        return TestClient(create_app(self.settings), base_url=URL, follow_redirects=False)


def appoint(register: Register, contracts: Contracts) -> None:
    """One user for every role that administers, of an organisation that receives nothing; once."""
    if users.listed(register):
        return
    users.begin(register, contracts, ADMINISTRATOR, OFFICE)
    for name, role in ((STEWARD, "steward"), (APPROVER, "approver"), (GUARD, "security_officer"), (AUDITOR, "auditor")):
        users.create(register, contracts, name, OFFICE, [role], actor=ADMINISTRATOR)


@contextmanager
def two_approvers(folder: Path, contracts: Contracts) -> Iterator[Register]:
    """A new register with users, a second approver among them, until the end of the block."""
    register = Register(f"sqlite:///{folder / 'register.db'}")
    register.upgrade()
    appoint(register, contracts)
    users.create(register, contracts, SECOND, OFFICE, ["approver"], actor=ADMINISTRATOR)
    yield register
    register.close()


def key_of(name: str) -> Ed25519Signer:
    """The private key of somebody."""
    return Ed25519Signer(hashlib.sha256(name.encode()).digest())


def enrolled(register: Register, name: str) -> Ed25519Signer:
    """The private key of an approver, whose public key is enrolled."""
    keys.enrol(register, name, key_of(name).public_key(Encoding.PEM), actor=ADMINISTRATOR)
    return key_of(name)


def asking_for(contracts: Contracts, approval: Approval) -> Contracts:
    """The same contracts in a city where every release waits for two persons."""
    asks = {"approval": dict.fromkeys(contracts.city.levels, approval)}
    channels = {name: policy.model_copy(update=asks) for name, policy in contracts.city.channels.items()}
    return replace(contracts, city=contracts.city.model_copy(update={"channels": channels}))


def granted(register: Register, contracts: Contracts, name: str, product: str, **limits: Any) -> Grant:
    """A grant of the steward, approved where it must be."""
    given = administration.grant(register, contracts, name, product, actor=STEWARD, **limits)
    return administration.approve_grant(register, given.id, actor=APPROVER) if given.pending else given


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def outcomes(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Action and outcome of audit rows that tell of reads, the oldest first."""
    acts = ("recipient.", "token.", "grant.", "user.")
    return [(row["action"], row["outcome"]) for row in reversed(rows) if not row["action"].startswith(acts)]
