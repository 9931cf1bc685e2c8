"""Where everything in the lake lies: the zones of docs/house.md below one root folder.

Belongs here: paths and the names allowed in them. Does not belong here: what is in the tables.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.lake.errors import BadName

# ASCII only: Delta readers disagree on encoded paths. No double underscore: it separates the parts of a model's name.
NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
MODEL = re.compile(r"(?P<schema>lib|mart)_(?P<library>[a-z0-9]+(?:_[a-z0-9]+)*)__[a-z0-9]+(?:_[a-z0-9]+)*")
EDITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
TAKEN = {"products", "files"}  # folders of released/ that are no library
FORBIDDEN_IN_ROOT = re.compile(r"[*?\[\]\x00-\x1f]")  # DuckDB would take the path of a file for a pattern


@dataclass(frozen=True)
class Lake:
    """The zones below `root`. Raises BadName for names that are not lower-case ASCII words joined by underscores."""

    root: Path

    def __post_init__(self) -> None:
        if FORBIDDEN_IN_ROOT.search(str(self.root)) or not self.root.is_absolute():
            raise BadName("lake.bad_root", root=str(self.root))

    def raw(self, org: str, dataset: str) -> Path:
        """Bytes or rows as received."""
        return self.root / "raw" / _name(org) / _name(dataset)

    def spool(self, org: str, dataset: str) -> Path:
        """What a source sent and no pull has taken over yet."""
        return self.root / "spool" / _name(org) / _name(dataset)

    def core(self, org: str, dataset: str) -> Path:
        """Accepted rows, all history."""
        return self.root / "core" / _name(org) / _name(dataset)

    def hashes(self, org: str, dataset: str) -> Path:
        """Keys and row hashes of the newest core version; may be deleted."""
        return self.root / "hashes" / _name(org) / _name(dataset)

    def quarantine(self, org: str, dataset: str) -> Path:
        """Refused rows."""
        return self.root / "quarantine" / _name(org) / _name(dataset)

    def corrections(self, org: str, dataset: str) -> Path:
        """The file of what persons asked a source to correct, and it has not mended yet."""
        return self.root / "corrections" / _name(org) / f"{_name(dataset)}.json"

    def linkage(self, name: str) -> Path:
        """Which row is about whom, and ids of persons."""
        return self.root / "linkage" / _name(name)

    def matched(self, name: str) -> Path:
        """What was found out about accepted rows before models are built; made from core, may be deleted."""
        return self._matched / _name(name)

    def matched_tables(self) -> list[str]:
        """The names of all tables of what was found out; whoever ends rows of core looks through each of them."""
        return sorted(path.name for path in self._matched.iterdir()) if self._matched.is_dir() else []

    @property
    def _matched(self) -> Path:
        return self.root / "matched" / "tables"

    @property
    def candidates(self) -> Path:
        """The folder of all editions' candidates."""
        return self.root / "candidate"

    def candidate(self, edition: str, library: str, model: str) -> Path:
        """What a build made and nobody has decided about yet."""
        return self.candidates / _edition(edition) / _library(library) / _model(model)

    def product_candidate(self, edition: str, channel: str, name: str) -> Path:
        """A product that nobody has decided about yet."""
        return self.candidates / _edition(edition) / "products" / _name(channel) / _product(name)

    def released(self, library: str, model: str) -> Path:
        """What readers and other models see."""
        return self.root / "released" / _library(library) / _model(model)

    def product(self, channel: str, name: str) -> Path:
        """What one channel may see."""
        return self.root / "released" / "products" / _name(channel) / _product(name)

    def subject(self, name: str) -> Path:
        """Where the releases of a subject of the ledger lie: of a model, or of `<channel>/<product>`."""
        channel, _, product = name.partition("/")
        return self.product(channel, product) if product else self.released(library_of(name), name)

    def scratch(self) -> Path:
        """Spill and temporary files, emptied at start."""
        return self.root / "scratch"

    def prepare(self) -> None:
        """Make the zones that are missing; readable by this account only, until somebody decides otherwise."""
        self.root.mkdir(parents=True, exist_ok=True)
        for private in (
            "spool", "raw", "quarantine", "core", "hashes", "corrections", "linkage", "matched", "candidate",
            "released", "scratch",
        ):  # fmt: skip
            folder = self.root / private
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)  # not the mode of mkdir, which the umask would change


def library_of(model: str) -> str:
    """The library of a model: `lib_population__person` and `mart_population__age` belong to `population`."""
    return _parts(model)["library"]


def schema_of(model: str) -> str:
    """The schema of a model: lib or mart."""
    return _parts(model)["schema"]


def _parts(model: str) -> re.Match[str]:
    if parts := MODEL.fullmatch(model):
        return parts
    raise BadName("lake.bad_model_name", name=model)


def _name(name: str) -> str:
    return _checked(NAME, name)


def _library(name: str) -> str:
    if name in TAKEN:
        raise BadName("lake.reserved_name", name=name)
    return _checked(NAME, name)


def _model(name: str) -> str:
    _parts(name)
    return name


def _product(name: str) -> str:
    return "__".join(_checked(NAME, part) for part in name.split("__"))


def _edition(name: str) -> str:
    return _checked(EDITION, name)


def _checked(pattern: re.Pattern[str], name: str) -> str:
    if pattern.fullmatch(name):
        return name
    raise BadName("lake.bad_name", name=name)
