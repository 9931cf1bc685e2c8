"""Whether a home holds made-up data: the `is_test` mark. What a home publishes that a simulator has fed bears it.

The mark is a file of the home, not a key of a contract: the same contracts serve the city and its simulation. It is
put there before the first source of a simulator can be read, and there is no command that takes it away.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.lake import delta
from pipelines.lake.parquet import sync
from pipelines.messages import CitylakeError
from pipelines.release.ledger import Ledger, Recorded
from pipelines.settings import Settings

IS_TEST = delta.IS_TEST
"""The key of the mark, wherever it is said, and the name of its file."""
HEADER = "Is-Test"
SIMULATOR = "simulator.json"
"""The file in a folder whose departments are simulated."""


def is_test(settings: Settings) -> bool:
    """Whether what this home holds is made up."""
    return (settings.home / IS_TEST).is_file()


def said(settings: Settings, published: Iterable[Recorded] = ()) -> dict[str, bool]:
    """What a receipt, manifest or description says of it: the mark, or nothing. `published`: releases that the home
    shows, whose rows of the ledger keep the mark when its file is gone."""
    return {IS_TEST: True} if is_test(settings) or any(one.body.get(IS_TEST) for one in published) else {}


def feed(settings: Settings, connections: Mapping[str, str]) -> None:
    """Mark the home, then put the connection strings of a simulator where the engine looks for them."""
    file = settings.home / IS_TEST
    file.touch(mode=0o600)
    sync(file)
    sync(settings.home)
    for secret, address in connections.items():
        settings.store_secret(secret, address)


def require_mark(settings: Settings, ledger: Ledger) -> None:
    """Raises CitylakeError for a home that a simulator feeds, or that has published what it fed, without the mark."""
    if is_test(settings):
        return
    place = next(_simulated(settings), None)
    if place is None:
        place = next((name for name, entry in ledger.published().items() if entry.body.get(IS_TEST)), None)
    if place is not None:
        raise CitylakeError("run.no_test_mark", place=place, file=settings.home / IS_TEST)


def _simulated(settings: Settings) -> Iterator[str]:
    """The folders of a simulator that this home knows: a city of its own, or where files are dropped for it."""
    folders = [settings.home / "city", *_dropped(settings)]
    for folder in folders:
        found = next((one for one in (folder, *folder.parents) if (one / SIMULATOR).is_file()), None)
        if found is not None:
            yield str(found)


def _dropped(settings: Settings) -> Iterator[Path]:
    kept = (settings.home / "secrets").glob("*_drop")
    told = [file.read_text("utf-8").strip() for file in sorted(kept) if file.is_file()]
    told += [value for name, value in os.environ.items() if name.startswith("CITYLAKE_SECRET_")]
    for address in told:
        if address.startswith("file://"):
            yield Path(unquote(urlsplit(address).path))
