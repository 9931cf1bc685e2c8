"""Ten days of a town: one recipient follows by change feed with the official Delta Sharing client, another has a table
of its own PostgreSQL kept up to date. Every day both hold the released product under their grants, and nothing else.

What they must hold is made of the released rows by other means: filters in plain Python, pseudonyms by OpenSSL's SM3.
"""

import faulthandler
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from catalog.delivery.deliveries import deliver
from catalog.delivery.desk import Desk
from catalog.delivery.push import Delivered
from catalog.policy import administration, audit, epochs
from pipelines.contracts.load import load
from pipelines.register import Register
from pipelines.register.chain import canonical
from pipelines.release import withdrawal
from simulator.server import Server
from tests.catalog.receiving import Receiver, postgres_receiver
from tests.catalog.serving import serving
from tests.catalog.small_city import ADMINISTRATOR, GUARD, PERSONS, appoint, granted
from tests.city import REPOSITORY, Town, published_town
from tests.environments import environment

pytestmark = [pytest.mark.slow, pytest.mark.server]

DAYS = 10
LONGEST = 900
"""Seconds of one day: as pyproject.toml has them for a test. Eleven days take ten minutes, a quarter of an hour
and more where others work."""
HEADING = "day, version | follows: how, in, out, rows | receives: how, in, changed, out, rows"
ROTATED, WITHDRAWN, RESTARTED = 4, 6, 8
"""Days on which pseudonyms are changed, the published version is taken back, the service starts anew."""
FOLLOWS, RECEIVES = "跟随方", "前置库"
SOURCES = ("psb/household_person", "psb/floating_person", "cab/marriage", "cab/cremation")
"""What changes persons from day to day; of the rest the town keeps what it published first."""
COLUMNS = ("person_ref", "name", "sex", "birth_year", "county_name", "town_name")
COUNTIES = {FOLLOWS: ("341502", "341503"), RECEIVES: ("341503", "341522", "341524")}
TABLE = "sharing.population.person_of_division"
Row = tuple[str | None, ...]

FOLLOW = """
import json, sys
from collections import Counter
from pathlib import Path
import delta_sharing
profile, table, kept = sys.argv[1:]
url, file = f"{profile}#{table}", Path(kept)
held = json.loads(file.read_text("utf-8")) if file.exists() else None
version = delta_sharing.get_table_version(url)
told = {"version": version, "inserted": 0, "deleted": 0}

def text(value):
    whole = isinstance(value, float) and value.is_integer()  # what pandas makes of whole numbers with gaps
    return None if value is None else str(int(value) if whole else value)

def plain(frame):
    known = frame.astype(object).where(frame.notna(), None)
    return [tuple(map(text, row)) for row in known.itertuples(index=False)]

if held is not None and held["version"] == version:
    told["how"], columns, rows = "unchanged", held["columns"], Counter(map(tuple, held["rows"]))
else:
    try:
        assert held is not None
        frame = delta_sharing.load_table_changes_as_pandas(url, starting_version=held["version"] + 1)
        columns, rows = held["columns"], Counter(map(tuple, held["rows"]))
        kinds = frame["_change_type"]
        gone = plain(frame[kinds.isin(["delete", "update_preimage"])][columns])
        come = plain(frame[kinds.isin(["insert", "update_postimage"])][columns])
        told |= {"how": "changes", "inserted": len(come), "deleted": len(gone)}
        assert not Counter(gone) - (rows + Counter(come)), "only rows that are held go"
        rows.update(come)
        rows.subtract(gone)
    except Exception as problem:
        frame = delta_sharing.load_as_pandas(url)
        columns, rows = list(frame.columns), Counter(plain(frame))
        told |= {"how": "snapshot", "why": "" if held is None else str(problem)[:300]}
file.write_text(json.dumps({"version": version, "columns": columns, "rows": sorted(rows.elements(), key=str)}), "utf-8")
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town whose city.yaml names one delivery into a table."""
    home = tmp_path_factory.mktemp("ten days")
    for part in ("data_contracts", "dbt_project"):
        shutil.copytree(REPOSITORY / part, home / "project" / part)
    file = home / "project" / "data_contracts" / "city.yaml"
    said = {"recipient": RECEIVES, "product": PERSONS, "connection": "bureau", "table": "t"}
    lines = "".join(f"    {key}: {value}\n" for key, value in said.items())
    connection = "connections:\n  bureau:\n    description: 接收方前置库\n    secret: bureau\n"
    added = f"\ndeliveries:\n  bureau:\n{lines}{connection}"
    file.write_text(file.read_text("utf-8").replace("\nconnections:\n", added, 1), "utf-8")
    made = published_town(tmp_path_factory, home, home / "project")
    yield made
    made.close()


class Recipients:
    """Both of them, and what they must hold."""

    def __init__(self, town: Town, receiver: Receiver, folder: Path) -> None:
        self.town, self.receiver, self.folder = town, receiver, folder
        self.register = Register(town.settings.register_url)
        self.contracts = load(town.settings.contracts)
        town.settings.store_secret("bureau", receiver.address)
        appoint(self.register, self.contracts)
        for name in (FOLLOWS, RECEIVES):
            administration.create_recipient(self.register, self.contracts, name, "cab", actor=ADMINISTRATOR)
            about = {"purpose": "低保核对", "divisions": COUNTIES[name], "columns": COLUMNS}
            granted(self.register, self.contracts, name, PERSONS, **about)
        self.issued = administration.issue_client(self.register, FOLLOWS, actor=ADMINISTRATOR)
        self.python = environment("sharing-client")
        self.epoch = 1

    def follow(self, address: str) -> dict[str, Any]:
        """What the client told of a day; an error of it if it fails."""
        profile = self.folder / "follows.share"
        said = administration.profile(self.issued, f"{address}/delta-sharing")
        profile.write_text(json.dumps(said), "utf-8")
        command = [str(self.python), "-c", FOLLOW, str(profile), TABLE, str(self.folder / "held.json")]
        environ = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environ)
        if done.returncode:
            return {"error": done.stderr[-2000:]}
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def receive(self, day: int) -> Delivered:
        """Bring the table up to date, as `citylake deliver run` does."""
        made = deliver(Desk(self.town.settings, self.register), "bureau", f"day {day}")
        assert isinstance(made, Delivered)
        return made

    def held(self) -> tuple[list[str], Counter[Row]]:
        """What the client holds: columns and rows."""
        kept = json.loads((self.folder / "held.json").read_text("utf-8"))
        return kept["columns"], Counter(map(tuple, kept["rows"]))

    def delivered(self) -> Counter[Row]:
        """What the table holds."""
        return Counter(plain(self.receiver.rows("t", COLUMNS).elements()))

    def expected(self, name: str) -> Counter[Row]:
        """The released rows in the counties of a recipient, with pseudonyms of its own in the present epoch."""
        released = self.town.rows(PERSONS, ", ".join((*COLUMNS, "division_code")))
        mine = [row[:-1] for row in released if (row[-1] or "").startswith(COUNTIES[name])]
        master = self.town.settings.key("recipients")
        key = bytes.fromhex(sm3(master, canonical(["key", name, "person_ref", self.epoch])))
        return Counter((sm3(key, row[0])[:32], *row[1:]) for row in plain(mine))

    def rotate(self) -> None:
        """New pseudonyms for both."""
        for name in (FOLLOWS, RECEIVES):
            zone = self.contracts.city.timezone
            epochs.rotate(self.register, name, "年度更换", actor=GUARD, zone=zone)
        self.epoch += 1


def plain(rows: Any) -> Iterator[Row]:
    """Rows as text, as the client's are compared."""
    return (tuple(None if value is None else str(value) for value in row) for row in rows)


def sm3(key: bytes, text: str | None) -> str:
    assert text is not None
    return hmac.new(key, text.encode(), "sm3").hexdigest()


def test_both_hold_the_product_under_their_grants_every_day(
    town: Town, postgres: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "sm3" not in hashlib.algorithms_available:
        pytest.skip("OpenSSL of this Python has no SM3")
    told: list[Sequence[object]] = []
    with ExitStack() as service:
        both = Recipients(town, postgres_receiver(postgres, "bureau"), tmp_path)
        address = ""
        for day in range(DAYS + 1):
            faulthandler.dump_traceback_later(LONGEST, exit=True, file=sys.__stderr__)  # a day is as long as a test
            if day == WITHDRAWN:
                refused_while_withdrawn(both, address)
            if day:
                town.city.tick()
                town.run(f"day {day}", sources=SOURCES)
            if day in (0, RESTARTED):
                service.close()
                address = service.enter_context(serving(town.settings))
            if day == ROTATED:
                both.rotate()
            followed, received = both.follow(address), both.receive(day)
            assert "error" not in followed, followed
            columns, held = both.held()
            assert columns == list(COLUMNS)
            wanted = [both.expected(name) for name in (FOLLOWS, RECEIVES)]
            assert held == wanted[0] and both.delivered() == wanted[1], day
            assert wanted[0] and wanted[1] and not wanted[0].keys() & wanted[1].keys()
            # the version of that day may have been read with the old pseudonyms, so none leads on from it
            anew = day in (0, ROTATED, ROTATED + 1, WITHDRAWN)
            assert (followed["how"] == "snapshot") is anew, (day, followed)
            sizes = (followed["how"], followed["inserted"], followed["deleted"], held.total())
            table = (received.how, received.inserted, received.updated, received.deleted, received.rows)
            told.append((day, followed["version"], *sizes, *table))
            with capsys.disabled():  # as they come: on a busy machine a day takes minutes
                print("" if day else f"\n{HEADING}\n", *told[-1])
        assert audit.first_break(both.register) is None
        both.register.close()
    assert sum(1 for line in told if line[2] == "changes") >= DAYS - 3, "most days are followed by changes"


def refused_while_withdrawn(both: Recipients, address: str) -> None:
    """The published version is taken back: nothing is given by either road, and what was given stays; the next run
    releases again."""
    before = both.held(), both.delivered()
    withdrawal.withdraw(both.register, both.contracts, PERSONS, GUARD, "误发")
    assert "error" in both.follow(address)
    assert both.receive(WITHDRAWN).how == "ended"
    assert (both.held(), both.delivered()) == before
    withdrawal.reinstate(both.register, PERSONS, GUARD, "已更正")
