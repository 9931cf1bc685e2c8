"""What stands among the views, against what the released versions give: made again in scratch, by what made it first.

Nobody vouches for views, and whoever may write them may write everything beside them; but what a policy in force lets
through follows from the released version, which the ledger vouches for, and the same programs make the same bytes.
Belongs here: under which policies anything is given now, and the comparing. Does not belong here: how it is made.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path

from catalog.delivery.changes import SchemaChanged
from catalog.delivery.deliveries import all_deliveries
from catalog.delivery.desk import Admission, Desk
from catalog.delivery.files.deliver import FileTask
from catalog.delivery.files.package import packed
from catalog.delivery.files.returned import counted
from catalog.delivery.folders import PARTIAL, Folders
from catalog.delivery.push import key_of, narrowed
from catalog.delivery.rows import keys
from catalog.delivery.views import MADE_BY, VIEW
from catalog.delivery.work import Work
from catalog.delivery.workbooks import DoesNotFit
from catalog.policy.administration import list_recipients
from catalog.policy.decision import ANONYMOUS, ROADS, Allowed, Caller
from pipelines.contracts.forms.deliveries import ReturnForm
from pipelines.lake import scratch
from pipelines.lake.cleanup import VIEWS
from pipelines.lake.parquet import sha256
from pipelines.register import Register
from pipelines.settings import Settings


@dataclass(frozen=True)
class Altered:
    """A folder of a version's views that is not as it would be made now, and which of its files; of a view's own, which
    have drawn names, by their place in `view.json`."""

    product: str
    version: int
    folder: Path
    files: tuple[str, ...]


@dataclass
class Compared:
    """What was found. `same`: folders that are as they would be made now; `idle`: those that no policy in force names,
    which nobody is given and which were not looked at."""

    altered: list[Altered] = field(default_factory=list)
    same: int = 0
    idle: int = 0


def compared(settings: Settings, register: Register) -> Compared:
    """Compare every folder of views from which anything is given now. Raises LakeError where one cannot be made again,
    LostKey among them."""
    settings.lake.scratch().mkdir(parents=True, exist_ok=True)
    with scratch.folder(settings.lake.scratch(), "views") as folder:
        again = _Again(Path(folder), settings.lake.root / VIEWS)
        desk = Desk(settings, register, folders=again)
        for admission in _given(desk, again):
            for then in desk.standing(admission):
                _make(desk, again, then)
            again.forget()
        for allowed in _counted(desk):
            if again.wants(allowed, desk.views.key(allowed)):
                desk.views.extract(allowed)
        again.found.idle = sum(map(len, again.left.values()))
        return again.found


class _NotThere(Exception):
    """Nobody needs what was to be made: neither it nor anything made from it stands in the lake."""


class _Again(Folders):
    """Folders in scratch, of which only those are made that stand in the lake, or of which something there was made;
    each is compared when it is made."""

    def __init__(self, root: Path, kept: Path) -> None:
        super().__init__(root, Work())
        self.found = Compared()
        self.left: dict[str, set[str]] = {}
        """Names of folders that were not compared yet, by the place of their version below `kept`."""
        self._kept = kept
        for one in kept.glob("*/*/v*/*"):
            if PARTIAL not in one.parts:
                self.left.setdefault(one.parent.relative_to(kept).as_posix(), set()).add(one.name)

    def has(self, named: str) -> bool:
        """Whether anything of a product was not compared yet."""
        return any(names and place.startswith(f"{named}/") for place, names in self.left.items())

    def wants(self, allowed: Allowed, key: str) -> bool:
        """Whether anything of a view was not compared yet."""
        return any(key in name for name in self.left.get(f"{allowed.product}/v{allowed.version}", ()))

    def get(self, target: Path, build: Callable[[Path], None], rows: int) -> Path:
        """As of any folders. Raises _NotThere."""
        place, name = target.parent.relative_to(self.root).as_posix(), target.name.removesuffix(f"@{MADE_BY}")
        left = self.left.get(place, set())
        if "-" in name and not any(
            one.startswith((f"{name}@", f"{name}-")) for one in left
        ):  # no view, that others need
            raise _NotThere
        made = super().get(target, build, rows)
        if target.name in left:
            left.remove(target.name)
            self._compare(self._kept / place / target.name, made)
        return made

    def forget(self) -> None:
        """Delete what was made: what several policies share was compared with the first."""
        for folder in self.root.iterdir():
            shutil.rmtree(folder)

    def _compare(self, kept: Path, made: Path) -> None:
        files = _differing(kept, made)
        if not files:
            self.found.same += 1
        elif kept.is_dir():  # or it was dropped meanwhile, as views are
            channel, name, version = kept.relative_to(self._kept).parts[:3]
            self.found.altered.append(Altered(f"{channel}/{name}", int(version[1:]), kept, tuple(files)))


def _given(desk: Desk, again: _Again) -> Iterator[Admission]:
    """Under what policies products are given now, by whatever grant, road and delivery: of those that have views."""
    callers = [ANONYMOUS, *(desk.callers.on_behalf(one.name) for one in list_recipients(desk.register))]
    tasks = [one for one in all_deliveries(desk.listing.city()).values() if isinstance(one, FileTask)]
    for offering in desk.listing.snapshot().offerings():
        if not again.has(offering.product.id):
            continue
        found = dict[Allowed, Admission]()
        asking = [one for caller in callers for one in _by_grant(caller, offering.product.id)]
        for caller, road, one_key in product(asking, ROADS, (False, True)):
            allowed = desk.decide(caller, offering, road, one_key)
            if isinstance(allowed, Allowed) and desk.views.has(allowed):
                found[allowed] = Admission(caller, offering, allowed, one_key)
        yield from found.values()
        for admission in found.values():
            for task in tasks:
                if _is_of(task, admission) and task.division is not None:
                    part = narrowed(admission.allowed, task.division)
                    yield from [] if part is None else [replace(admission, allowed=part)]


def _by_grant(caller: Caller, named: str) -> list[Caller]:
    """The caller by each of several grants of a product: which one counts follows from what the read is for."""
    grants = [grant for grant in caller.grants if grant.product == named]
    return [replace(caller, grants=(grant,)) for grant in grants] or [caller]


def _counted(desk: Desk) -> Iterator[Allowed]:
    """By what the rows of products are counted that are returned to divisions."""
    for form in all_deliveries(desk.listing.city()).values():
        if isinstance(form, ReturnForm) and (whole := counted(desk, form)):
            yield whole


def _is_of(task: FileTask, admission: Admission) -> bool:
    return (task.recipient, task.product) == (admission.allowed.recipient, admission.allowed.product)


def _make(desk: Desk, again: _Again, then: Admission) -> None:
    """Make again whatever stands of a read of one version."""
    if not again.wants(then.allowed, desk.views.key(then.allowed)):
        return
    for make in _ways(desk, then):
        with suppress(_NotThere, SchemaChanged, DoesNotFit):
            make()


def _ways(desk: Desk, then: Admission) -> Iterator[Callable[[], object]]:
    """All that is made of a read of one version, by whichever road."""
    allowed, offering = then.allowed, then.offering
    extract = desk.views.extract(allowed)
    yield partial(keys.ready, desk.views, allowed, extract, offering.product)
    earlier = [one for one in desk.standing(then) if one.allowed.version < allowed.version]
    for before in earlier:
        yield partial(desk.changes, before, then)
    if allowed.version != offering.offer.version:
        return
    for kind in desk.downloads.formats(offering, extract.columns):
        yield partial(desk.downloads.get, offering, allowed, kind)
    for task in all_deliveries(desk.listing.city()).values():
        if isinstance(task, FileTask) and _is_of(task, then):
            yield partial(_package, desk, task, None, then)
            yield from (partial(_package, desk, task, before, then) for before in earlier)


def _package(desk: Desk, task: FileTask, before: Admission | None, then: Admission) -> None:
    view = desk.views.extract(then.allowed)
    with desk.views.folders.connection() as con:
        key = key_of(con, then, view)
    held = view if before is None else desk.changes(before, then)
    packed(desk, then, held, task.formats, key, None if before is None else before.allowed.version)


def _differing(kept: Path, made: Path) -> list[str]:
    """The names of files that only one of two folders has, or that are not the same in both."""
    now, then = _content(made), _content(kept)
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))


def _content(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its name, of a view's own by its place in `view.json`: their names are drawn."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if not file.is_dir()}
    content = dict[str, str]()
    # what is no description of a view is told as a file that differs
    with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError):
        about = json.loads(files[VIEW].read_text("utf-8"))
        for place, part in enumerate(about["parts"]):
            content[f"parts[{place}]"] = _digest(files.pop(part["name"]))
            part["name"] = place
        content[VIEW] = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        del files[VIEW]
    return content | {name: _digest(file) for name, file in files.items()}


def _digest(file: Path) -> str:
    """Nothing of a file that cannot be read: it may be gone."""
    try:
        return sha256(file)
    except OSError:
        return ""
