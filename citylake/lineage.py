"""What `citylake contract lineage MODEL [COLUMN]` tells: declared and derived levels, where the highest come from."""

from collections.abc import Iterator

from pipelines.messages import CitylakeError, say
from pipelines.privacy.sensitivity import ROWS, Sensitivity, shown_path


def about(found: Sensitivity, model: str, column: str | None) -> Iterator[str]:
    """Lines about the columns and rows of a model; for one of them alone also paths.

    Raises CitylakeError for names that nothing has.
    """
    if model not in found.graph:
        raise CitylakeError("lineage.unknown_model", model=model)
    levels = found.levels(model)
    if column is not None and column not in levels:
        raise CitylakeError("lineage.unknown_column", model=model, column=column, columns=", ".join(levels))
    contract = found.contracts.models.get(model)
    declared = {one.name: one.level for one in contract.columns} if contract else {}
    for name in levels if column is None else [column]:
        derived = levels[name]
        about = {"column": name, "declared": declared.get(name, "—"), "value": derived.value}
        yield say("lineage.rows" if name == ROWS else "lineage.column", influence=derived.influence, **about)
    for way in ("value", "influence") if column is not None else ():
        if origins := found.highest(model, column or ROWS, way):
            texts = {"path": shown_path(found.path(model, column or ROWS, origins))}
            yield say("lineage.path", way=say(f"lineage.way.{way}").replace("\n", " / "), **texts)
