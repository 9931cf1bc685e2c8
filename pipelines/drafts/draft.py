"""Making drafts: a sample of what is offered is read by its connector, looked at, thrown away, and a contract proposed.

Nothing of a row outlives the making of a draft.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pypinyin import lazy_pinyin

from pipelines.connectors.base import Request
from pipelines.contracts.forms.words import NAME
from pipelines.contracts.resolved import Contracts
from pipelines.drafts import naming
from pipelines.drafts.contract import Draft
from pipelines.drafts.fields import Proposer, SourceColumn
from pipelines.drafts.files import FORMATS
from pipelines.drafts.looks import Look, Sample, look
from pipelines.drafts.offers import Offer
from pipelines.engine import connect
from pipelines.lake.scratch import folder as scratch_folder
from pipelines.messages import CitylakeError

ROWS_FILE = "rows.parquet"
_LONGEST = 40
_ENDING = re.compile(rf"({'|'.join(map(re.escape, (*FORMATS, '.zip')))})(?=#|$)", re.IGNORECASE)
"""What ends the name of a file, before the name of a part; what follows the dot of a table is its name."""


@contextmanager
def looking(contracts: Contracts, org: str, secret: Callable[[str], str], scratch: Path) -> Iterator[Request]:
    """A request whose files are gone when it ends."""
    scratch.mkdir(parents=True, exist_ok=True)
    with scratch_folder(scratch, "look") as folder:
        yield Request(
            target=Path(folder) / ROWS_FILE,
            root=contracts.root,
            secret=secret,
            owner=contracts.codes["organisations"].rows[org]["name"],
            expected=(),
            ignored=(),
            scratch=Path(folder) / "scratch",
            spool=Path(folder) / "spool",
            made_up=True,
            sessions=lambda connection: contracts.city.connections[connection].sessions,
        )


def drafted(offer: Offer, org: str, request: Request, proposer: Proposer, names: set[str]) -> Draft:
    """The draft of one dataset. `names`: those of other datasets, to which this one's is added. Raises CitylakeError
    when the sample cannot be read."""
    with connect(request.scratch) as con:
        try:
            columns = offer.read(request)
        except CitylakeError as error:
            # What is hidden and stands twice is somebody's name: no contract vouches for this header yet.
            if error.code == "pull.row_as_header" or "“#" in str(error.arguments.get("names")):
                raise naming.row_as_header(offer, request.owner) from None
            raise
        listed = tuple(dict.fromkeys((*offer.told, *(columns or ()))))
        hidden = naming.persons(con, listed, proposer.knows, offer, request.owner)
        offer = naming.discreet(con, offer)
    sample = Sample(0, 0, {})
    if columns:
        sample = look(request.target, columns, proposer.contracts.codes, request.scratch)
    told = {name: _told(offer, name, hidden.get(name), listed) for name in listed}
    looks = {told[name].name: sample.columns.get(name, Look()) for name in listed}
    return Draft(
        org,
        _dataset(offer.name, names),
        offer.title,
        offer.connector,
        Sample(sample.rows, sample.unread, looks),
        proposer.propose((one, looks[one.name]) for one in told.values()),
        [tuple(told[name].name if name in told else name for name in key) for key in offer.keys],
        offer.notes,
    )


def _told(offer: Offer, name: str, place: int | None, others: Sequence[str]) -> SourceColumn:
    """What the source says of a column. One whose name is kept out is called by its place."""
    one = offer.told.get(name, SourceColumn(name))
    if place is None:
        return one
    free = (f"column_{place}" + "_" * more for more in range(len(others) + 1))
    return replace(one, name=next(call for call in free if call not in others), place=place)


def _dataset(offered: str, names: set[str]) -> str:
    """A name for a dataset, from what it is called at its source, Chinese by its sound."""
    last = _ENDING.sub("", offered.rsplit("/", 1)[-1])
    text = "_".join(lazy_pinyin(last.rsplit(".", 1)[-1]))
    slug = re.sub(r"[^a-z]+", "_", re.sub(r"^t_", "", text.lower())).strip("_")[:_LONGEST].strip("_")
    slug = slug if NAME.fullmatch(slug) else "dataset"
    name = next(one for one in (slug, *(f"{slug}_{number}" for number in range(2, 10_000))) if one not in names)
    names.add(name)
    return name
