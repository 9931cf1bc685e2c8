"""Making drafts: a sample of what is offered is read by its connector, looked at, thrown away, and a contract proposed.

Nothing of a row outlives the making of a draft.
"""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pypinyin import lazy_pinyin

from pipelines.connectors.base import Request
from pipelines.contracts.models import NAME
from pipelines.contracts.resolved import Contracts
from pipelines.drafts.contract import Draft
from pipelines.drafts.fields import Proposer, SourceColumn
from pipelines.drafts.looks import Look, Sample, look
from pipelines.drafts.offers import Offer

ROWS_FILE = "rows.parquet"
_LONGEST = 40


@contextmanager
def looking(contracts: Contracts, org: str, secret: Callable[[str], str], scratch: Path) -> Iterator[Request]:
    """A request whose files are gone when it ends."""
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="look-", dir=scratch) as folder:
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
        )


def drafted(offer: Offer, org: str, request: Request, proposer: Proposer, names: set[str]) -> Draft:
    """The draft of one dataset. `names`: those of other datasets, to which this one's is added. Raises CitylakeError
    when the sample cannot be read."""
    columns = offer.read(request)
    sample = Sample(0, 0, {})
    if columns:
        sample = look(request.target, columns, proposer.contracts.codes, request.scratch)
    listed = dict.fromkeys((*offer.told, *sample.columns))
    looks = {name: sample.columns.get(name, Look()) for name in listed}
    told = [(offer.told.get(name, SourceColumn(name)), one) for name, one in looks.items()]
    return Draft(
        org,
        _dataset(offer.name, names),
        offer.title,
        offer.connector,
        Sample(sample.rows, sample.unread, looks),
        proposer.propose(told),
        offer.keys,
        offer.notes,
    )


def _dataset(offered: str, names: set[str]) -> str:
    """A name for a dataset, from what it is called at its source, Chinese by its sound."""
    last = re.sub(r"\.[A-Za-z]{2,8}(?=#|$)", "", offered.rsplit("/", 1)[-1])
    text = "_".join(lazy_pinyin(last.rsplit(".", 1)[-1]))
    slug = re.sub(r"[^a-z]+", "_", re.sub(r"^t_", "", text.lower())).strip("_")[:_LONGEST].strip("_")
    slug = slug if NAME.fullmatch(slug) else "dataset"
    name = next(one for one in (slug, *(f"{slug}_{number}" for number in range(2, 10_000))) if one not in names)
    names.add(name)
    return name
