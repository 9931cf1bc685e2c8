"""A small city whose departments are read as the platform reads them; tests of several registers share it."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from simulator import DemoCity
from tests.once import copy_city, made_once

SEED, PERSONS = 7, 2_000
DAYS = 6
"""2026-01-02 to 2026-01-07: three holidays, a make-up Sunday, and working days."""
TABLES = {
    "amr": ("scjg.E_BASEINFO", "scjg.E_ALTER_RECODER"),
    "drc": ("xygs.T_XZXK", "xygs.T_XZCF", "xygs.T_XYMD", "xygs.T_XYXF", "xygs.T_XYCN"),
    "dsrb": ("zwfw.T_BJXX", "zwfw.T_BJHJ", "zwfw.T_HCP", "dzzz.T_ZZML_BG"),
    "hsb": ("yb.PSN_INSU_D", "yb.SETL_D"),
    "umb": ("cg.T_AJ",),
    "nrpb": ("bdc.T_BDCDJ",),
}
Rows = list[dict[str, Any]]


def table(city: DemoCity, dataset: str) -> Rows:
    """The rows a table shows at present, every value as text, ordered by content: the server's own order changes
    when it vacuums."""
    database = next(name for name, datasets in TABLES.items() if dataset in datasets)
    with psycopg.connect(city.connections()[f"{database}_dsn"], connect_timeout=5) as connection:
        found = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(*dataset.split("."))))
        names = [column.name for column in found.description or ()]
        rows = [
            {name: None if value is None else str(value) for name, value in zip(names, row, strict=True)}
            for row in found
        ]
        return sorted(rows, key=repr)


def people(city: DemoCity) -> dict[str, dict[str, Any]]:
    """Everybody the truth knows, the dead and departed included, by identity number."""
    with city._server.connect("truth") as truth:
        found = truth.execute("SELECT id_number, name, birth, status FROM truth.person")
        return {row[0]: {"name": row[1], "birth": row[2], "status": row[3]} for row in found}


class Town:
    """The tables of a city on its first day and some days later, and how it got there."""

    def __init__(self, home: Path) -> None:
        self.city = DemoCity(home, SEED, PERSONS)
        self.city.start()
        self.city.populate()
        self.people = people(self.city)
        self.first = self._tables()
        self.daily: dict[date, dict[str, Rows]] = {}
        for _ in range(DAYS):
            (summary,) = self.city.tick()
            self.daily[summary.day] = self._tables()
        self.last = self.daily[max(self.daily)]
        self.planted = self.city.planted()

    def clean(self, tables: dict[str, Rows], dataset: str, key: str) -> Rows:
        """The rows of a table in which nothing was ever wrong."""
        wrong = {entry.rybh for entry in self.planted if entry.dataset == dataset}
        return [row for row in tables[dataset] if row[key] not in wrong]

    def _tables(self) -> dict[str, Rows]:
        return {dataset: table(self.city, dataset) for datasets in TABLES.values() for dataset in datasets}


class Copy(Town):
    """A copy of a town, which knows what the tables were."""

    def __init__(self, home: Path, told: Path) -> None:
        self.city = DemoCity(home, SEED, PERSONS)
        self.city.start()
        vars(self).update(pickle.loads(told.read_bytes()))


def copied_town(factory: pytest.TempPathFactory, folder: Path) -> Town:
    """A town in `folder` that nobody else has; to live its days takes ten seconds, so they are lived once a session."""

    def make(home: Path) -> None:
        made = Town(home / "city")
        made.city.stop()
        told = {name: value for name, value in vars(made).items() if name != "city"}
        (home / "told.pickle").write_bytes(pickle.dumps(told))

    copy_city(made_once(factory, "simulated town", make), folder)
    return Copy(folder / "city", folder / "told.pickle")
