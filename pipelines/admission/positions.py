"""Where a refused row stands at its source, in words a department finds it by: file, sheet and cell, line, record, key.

The places are looked up in the delivery as it was kept; how each format counts is in `connectors`. No value of a row
but its key is ever in a position, and that only where there is no file.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pipelines.admission.changes import DUPLICATE
from pipelines.admission.quarantine import Line
from pipelines.admission.receive import RAW_FILE, asking
from pipelines.connectors.formats import Place
from pipelines.connectors.places import places
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake.zones import Lake
from pipelines.messages import translate
from pipelines.register.receipts import Receipts, Stage


def positions(
    contract: SourceContract, contracts: Contracts, lake: Lake, receipts: Receipts, lines: Sequence[Line]
) -> Callable[[Line], str]:
    """What tells where each of these lines was delivered first; each delivery is looked into once."""
    wanted: dict[int, list[int]] = defaultdict(list)
    for line in lines:
        wanted[line.batch].append(line.row)
    origins: dict[int, str] = {}
    found: dict[tuple[int, int], Place] = {}
    for batch, rows in wanted.items():
        pull = receipts.last(Stage.PULL, contract.id, batch)
        origins[batch] = pull.body["origin"] if pull else contract.id
        asked = pull.body.get("asked", {}).get("connector", {}) if pull else {}
        folder = lake.raw(contract.org, contract.dataset) / str(batch)
        request = asking(contract, contracts, lake, folder / RAW_FILE)
        for row, place in places(request, asked, folder, origins[batch], rows).items():
            found[batch, row] = place
    concerned = _concerned(contract)
    keys = [column.physical_name for column in contract.columns if column.name in contract.form.load.key]

    def position(line: Line) -> str:
        about: dict[str, Any] = {"origin": line.file or origins[line.batch], "batch": line.batch, "row": line.row + 1}
        if place := found.get((line.batch, line.row)):
            names = [name for rule in line.rules.split(",") for name in concerned.get(rule, ())]
            return translate("quarantine.at_place", "zh", **about | {"origin": place.file}, place=_told(place, names))
        if contract.connector.verb == "file_drop":
            return translate("quarantine.at_file", "zh", **about)
        key = "，".join(f"{name.strip()}={line.values[name] or ''}" for name in keys)
        return translate("quarantine.at_table", "zh", **about, key=key)

    return position


def _told(place: Place, names: Collection[str]) -> str:
    """A place in words; of a sheet the cells of the named columns, if there are any."""
    letters = dict.fromkeys(place.letters[name] for name in names if name in place.letters)
    if letters:
        cells = f"{place.of}!{'、'.join(f'{letter}{place.number}' for letter in letters)}"
        return translate("quarantine.place.cell", "zh", cells=cells)
    kind = f"{place.kind}_of" if place.of else place.kind
    return translate(f"quarantine.place.{kind}", "zh", of=place.of, number=place.number)


def _concerned(contract: SourceContract) -> Mapping[str, Sequence[str]]:
    """The physical columns that each rule is about, by rule id."""
    physical = {column.name: column.physical_name.strip() for column in contract.columns}
    rules = {f"{name}.type": (name,) for name in physical} | {rule.id: rule.columns for rule in contract.rules}
    rules[DUPLICATE] = tuple(contract.form.load.key)
    return {rule: [physical[name] for name in names if name in physical] for rule, names in rules.items()}
