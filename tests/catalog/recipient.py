"""A city that pulls from another: its own home and contracts, and one source with the connector `exchange`.

Also a program that pulls once, for tests that kill it: `python -m tests.catalog.recipient FOLDER`.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from pipelines.issues import Issues
from pipelines.lake import delta
from pipelines.lake.edition import current_state
from pipelines.register import Register
from pipelines.register.receipts import Receipts
from pipelines.run import Ingested, opened
from pipelines.settings import REPOSITORY, Settings

SOURCE = "dsrb/county_person"
OWNER = "市数据资源管理局"
CONTRACT = """\
name: 县区人口核验信息
nameEn: persons of a county
version: 1.0.0
status: active
description: 由县区数据平台共享的人口核验信息，一人一行。
connector: {exchange: {connection: county, table: sharing.population.person_of_division}}
load: {mode: snapshot_diff, key: [person_ref], deletionCeiling: 0.9, volumeFloor: 0.1}
slaProperties: {frequency: 每日, retention: 10y}
ignored: [id_number, name, birth_year, division_code, education, residence_status]
properties:
  - {name: person_ref, required: true}
  - {name: town_name, required: true}
  - {name: sex, required: true}
  - {name: county_name, required: true}
"""
CONNECTION = "\n  county:\n    description: 县区数据平台（共享凭证）\n    secret: county_share\n"


class Recipient:
    """One installation below a folder."""

    def __init__(self, folder: Path) -> None:
        project, home = folder / "project", folder / "home"
        if not project.exists():
            shutil.copytree(REPOSITORY / "data_contracts", project / "data_contracts")
            city = project / "data_contracts" / "city.yaml"
            city.write_text(
                city.read_text("utf-8").replace("\nconnections:\n", f"\nconnections:{CONNECTION}", 1), "utf-8"
            )
            (project / "data_contracts" / "sources" / f"{SOURCE}.yaml").write_text(CONTRACT, "utf-8")
        self.settings = Settings(home, project, 0, 0, f"sqlite:///{home / 'register.db'}")
        self.settings.prepare()

    def profile(self, profile: Mapping[str, Any] | str) -> None:
        """Put the profile file where the secret belongs."""
        self.settings.store_secret("county_share", profile if isinstance(profile, str) else json.dumps(profile))

    def run(self) -> Ingested:
        """Pull and admit as a run does."""
        with opened(self.settings, "test") as run:
            return run.ingest(SOURCE)

    def state(self) -> dict[str, dict[str, Any]]:
        """Core as it stands, by person."""
        location = self.settings.lake.core(*SOURCE.split("/"))
        table = delta.open_table(location)
        read = delta.scan(table)
        names = ["person_ref", "town_name", "sex", "county_name"]
        log = f"(SELECT {read.columns} FROM {read.source})"
        query = current_state(log, ["person_ref"], names, delta.lowest(table, "_batch"), '"')
        rows = duckdb.sql(query).to_arrow_table().to_pylist()
        return {row["person_ref"]: {name: row[name] for name in names} for row in rows}

    def stages(self) -> list[str]:
        """The receipts of the source, oldest first."""
        register = Register(self.settings.register_url)
        found = [receipt.stage for receipt in reversed(Receipts(register, "test").history(SOURCE))]
        register.close()
        return found

    def issues(self) -> list[str]:
        """The texts of open issues about pulling."""
        register = Register(self.settings.register_url)
        found = [issue["text"]["zh"] for issue in Issues(register).open(SOURCE)]
        register.close()
        return found


if __name__ == "__main__":
    print(Recipient(Path(sys.argv[1])).run().status)
