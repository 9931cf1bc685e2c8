"""Deliveries made by hand: rows go straight into raw, as a connector would have left them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.admission import admit as admission
from pipelines.admission import as_of, hashes, takeover
from pipelines.admission.admit import Admitted, admit
from pipelines.admission.receive import Delivery
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake import delta
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import Ledger

TODAY = date(2026, 11, 23)
Rows = Sequence[dict[str, Any]]


WRITES: tuple[tuple[Any, str], ...] = (
    (admission, "write_file"), (takeover, "write_tables"), (admission, "copy_rows"), (delta, "commit"),
    (delta, "write"), (hashes, "keep"), (hashes, "drop"), (Receipts, "add"),
)  # fmt: skip
"""All that admission writes: judged rows, data files and commits of quarantine and core, hashes, the receipt. Of a
commit that adds columns these are one, and the rows another."""
BOUNDARIES = 20
"""Before and behind each of the ten writes of a whole table that changes something; other modes have nine. Where a
first delivery is taken over, there is one more."""
ALWAYS = 2
"""Every batch writes its receipt."""


@contextmanager
def ending(boundary: int, end: Callable[[], Any]) -> Iterator[list[None]]:
    """Call `end` before or behind one of the writes of an admission, counted from 0. Gives the boundaries passed."""
    passed: list[None] = []

    def deadly(write: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            for step in (lambda: None, lambda: write(*arguments, **options)):
                done = step()
                passed.append(None)
                if len(passed) > boundary:
                    end()
            return done

        return run

    with ExitStack() as patched:
        for owner, name in WRITES:
            patched.enter_context(patch.object(owner, name, deadly(getattr(owner, name))))
        yield passed


class Killed(BaseException):
    """The process ends here."""


def _kill() -> None:
    raise Killed


class Intake:
    """One source of one lake: deliver rows, look at what became of them."""

    def __init__(self, root: Path, contracts: Contracts, contract: SourceContract) -> None:
        self.lake = Lake(root / "lake")
        self.lake.prepare()
        self.contracts, self.contract = contracts, contract
        self.url = f"sqlite:///{root / 'register.db'}"
        self.register = Register(self.url)
        self.register.upgrade()
        self.receipts = Receipts(self.register, "test")
        self.batch = 0
        self.states: dict[int, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self.boundaries = 0
        """How many the last delivery to be killed came to."""

    @property
    def core(self) -> Path:
        return self.lake.core(self.contract.org, self.contract.dataset)

    @property
    def quarantine(self) -> Path:
        return self.lake.quarantine(self.contract.org, self.contract.dataset)

    def raw(self, rows: Rows) -> Delivery:
        """A delivery as a new batch, not admitted yet."""
        self.batch += 1
        path = self.lake.raw(self.contract.org, self.contract.dataset) / str(self.batch) / "rows.parquet"
        path.parent.mkdir(parents=True)
        columns = [column.physical_name for column in self.contract.columns]
        schema = pa.schema([(name, pa.string()) for name in columns])
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema), path)
        return Delivery(self.batch, len(rows), path, True, ())

    def admit(self, delivery: Delivery) -> Admitted:
        known_at = f"2026-11-23 00:{delivery.batch % 60:02}:00+00"
        arguments = (self.contract, self.contracts, self.lake, b"k" * 32, delivery, TODAY, known_at, self.receipts)
        return admit(*arguments)

    def deliver(self, rows: Rows) -> Admitted:
        return self.admit(self.raw(rows))

    def deliver_killed(self, rows: Rows, boundary: int) -> Admitted:
        """A delivery whose admission is killed before or behind one of its writes, and begun anew by another process.

        The kill is an exception that nothing catches: what was written stays as it is, nothing is tidied up after it.
        A batch that has fewer boundaries is admitted twice.
        """
        delivery = self.raw(rows)
        with ending(boundary, _kill) as passed, suppress(Killed):
            self.admit(delivery)
        self.boundaries = len(passed)
        assert self.boundaries > min(boundary, ALWAYS - 1), "nothing was killed"
        self.register.close()
        self.register = Register(self.url)
        self.receipts = Receipts(self.register, "test")
        return self.admit(delivery)

    def check_written_once(self) -> None:
        """Every batch has one receipt of what became of it, and no row of a batch is in core or quarantine twice."""
        done, held = (
            [one.batch or 0 for one in self.receipts.of_stage(stage, self.contract.id, 99)]
            for stage in (Stage.ADMIT, Stage.HOLD)
        )
        # A run does not judge a held batch again; this intake does, and is told once more that it is held.
        assert sorted([*done, *set(held)]) == list(range(1, self.batch + 1))
        key = ", ".join(f'"{name}"' for name in self.contract.form.load.key)
        for location, told in ((self.core, f"coalesce(_row::VARCHAR, [{key}]::VARCHAR)"), (self.quarantine, "_row")):
            if delta.latest(location) is not None:
                source = delta.scan(delta.open_table(location)).source
                twice = f"SELECT 1 FROM {source} GROUP BY _batch, {told} HAVING count(*) > 1"
                assert duckdb.sql(twice).fetchall() == []

    def current(self, batch: int | None = None) -> dict[tuple[Any, ...], dict[str, Any]]:
        """The state of core by key, at present or as of a batch."""
        key, ledger = self.contract.form.load.key, Ledger(self.register)
        if batch is None:
            query = as_of.by_day(self.contract, self.lake, ledger, date(2100, 1, 1), UTC)
        else:
            query = as_of.by_batch(self.contract, self.lake, self.receipts, ledger, batch, UTC)
        rows = duckdb.sql(query).to_arrow_table().to_pylist()
        shown = [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]
        return {tuple(row[name] for name in key): row for row in shown}

    def remember(self) -> None:
        """Keep the state of core as it is now, after the newest batch."""
        if delta.latest(self.core) is not None:
            self.states[self.batch] = self.current()

    def check_as_of(self) -> None:
        """Core as of each batch is what it was when that was remembered, whatever came since."""
        for batch, state in self.states.items():
            assert self.current(batch) == state

    def refused(self, batch: int) -> list[dict[str, Any]]:
        read = delta.scan(delta.open_table(self.quarantine))
        query = f"SELECT {read.columns} FROM {read.source} WHERE _batch = {batch} ORDER BY _row"
        return duckdb.sql(query).to_arrow_table().to_pylist()


@pytest.fixture
def intake(tmp_path: Path, contracts: Contracts) -> Callable[..., Intake]:
    """Make an intake of a real contract, some load settings changed."""

    def make(source: str, **load: Any) -> Intake:
        contract = contracts.sources[source]
        form = contract.form.model_copy(update={"load": contract.form.load.model_copy(update=load)})
        return Intake(tmp_path, contracts, replace(contract, form=form))

    return make
