"""Hundreds of small files of one drop, all the way into core: one batch and commit; each refused row knows its file."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from pipelines.lake import delta
from pipelines.register import Register
from pipelines.register.receipts import Receipts
from pipelines.run import Ingested, opened
from pipelines.settings import REPOSITORY, Settings

SOURCE = "hc/birth_certificate"
NAMES = (
    "出生证编号 新生儿姓名 性别 出生时间 出生体重（克） 接生机构 母亲姓名 母亲身份证号 父亲姓名 父亲身份证号 居住地区划"
)
HEADER = f"{','.join(NAMES.split())}\n"
FILES, ROWS = 250, 3
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def mother(number: int) -> str:
    """An identity number that nobody has: a woman born in 1990."""
    body = f"34150219900101{number * 2 % 1000:03}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


class Department:
    """A home, and the folder that files are dropped into."""

    def __init__(self, root: Path) -> None:
        project, home = root / "project", root / "home"
        shutil.copytree(REPOSITORY / "data_contracts", project / "data_contracts")
        contract = project / "data_contracts" / "sources" / f"{SOURCE}.yaml"
        text = contract.read_text("utf-8").replace("complete: marker}", "complete: marker, together: true}")
        contract.write_text(text, "utf-8")
        self.folder = root / "drop"
        self.folder.mkdir()
        self.settings = Settings(home, project, 0, 0, f"sqlite:///{home / 'register.db'}")
        self.settings.prepare()
        self.settings.store_secret("hc_drop", self.folder.as_uri())

    def put(self, number: int, sex: str = "1") -> None:
        rows = "".join(
            f"A{number * ROWS + row:09},甲{'乙丙丁'[row]},{sex},2026-01-0{row + 1} 08:00:00,3200,市人民医院,"
            f"李{'甲乙丙'[row]},{mother(number)},,,341502\n"
            for row in range(ROWS)
        )
        file = self.folder / f"birth_{number:04}.csv"
        file.write_bytes((HEADER + rows).encode("gbk"))
        file.with_name(f"{file.name}.ok").touch()

    def run(self) -> Ingested:
        with opened(self.settings, "test") as run:
            return run.ingest(SOURCE)

    def stages(self) -> list[str]:
        register = Register(self.settings.register_url)
        found = [receipt.stage for receipt in reversed(Receipts(register, "test").history(SOURCE))]
        register.close()
        return found


@pytest.fixture
def department(tmp_path: Path) -> Department:
    return Department(tmp_path)


@pytest.mark.long
def test_many_files_are_one_commit(department: Department) -> None:
    for number in range(FILES):
        department.put(number, sex="9" if number == 7 else "x" if number == 8 else "1")
    done = department.run().admitted
    assert done and (done.received, done.refused) == (FILES * ROWS, ROWS)
    core, quarantine = (
        zone("hc", "birth_certificate") for zone in (department.settings.lake.core, department.settings.lake.quarantine)
    )
    assert (delta.latest(core), delta.latest(quarantine)) == (0, 0)
    assert department.stages() == ["pull", "admit"]
    read = delta.scan(delta.open_table(quarantine))
    refused = duckdb.sql(f"SELECT delivered FROM {read.source}").fetchall()
    assert {json.loads(row[0])["_file"] for row in refused} == {"birth_0008.csv"}
    assert department.run().status == "unchanged"
    department.put(FILES)
    (department.folder / "birth_0000.csv.ok").touch()
    again = department.run().admitted
    assert again and (again.received, again.inserted) == (ROWS, ROWS)
    assert delta.latest(core) == 1
