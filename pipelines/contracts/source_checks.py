"""What the forms of a source contract say together: that what they name is there, and of a type that can be so used.

What is refused of one column alone is in `resolve`, what `load` puts together in `load`.
"""

from collections.abc import Iterator, Mapping, Sequence

from pipelines.contracts.forms.products import ProductForm
from pipelines.contracts.forms.sources import ChangeLog, LayerForm, Load, SourceForm, newest
from pipelines.contracts.located import Located, read
from pipelines.contracts.mistakes import check_column, check_known, error
from pipelines.contracts.resolved import Column, Derived, SourceContract


def check_load(file: Located, form: Load, columns: Sequence[Column]) -> None:
    """Key, order and operation are columns; what a pull continues from has an order that the source can compare."""
    by_name = {column.name: column for column in columns}
    for index, column in enumerate(form.key):
        check_column(file, ("load", "key", index), column, by_name)
    for place, name in _named(form):
        check_column(file, place, name, by_name)
        ordered = by_name[name].definition.logicalType in ("integer", "date", "timestamp")
        if place[1] in ("cursor", "order") and not ordered:
            raise error("contract.cursor_type", file, place, column=name)
        if name in newest(form)[: place[2] if len(place) > 2 else 0]:
            raise error("contract.cursor_twice", file, place, column=name)
    if isinstance(form, ChangeLog) and by_name[form.operation].definition.codes != "operation":
        raise error("contract.operation_codes", file, ("load", "operation"), column=form.operation)


def _named(form: Load) -> Iterator[tuple[tuple[str, str] | tuple[str, str, int], str]]:
    """The columns that a load names beside its key, with their places."""
    for key in ("newest", "cursor", "order", "operation"):
        value = getattr(form, key, None)
        if isinstance(value, list):
            yield from ((("load", key, index), name) for index, name in enumerate(value))
        elif value is not None:
            yield ("load", key), value


def check_linkage(file: Located, form: SourceForm, columns: Sequence[Column], derived: Sequence[Derived]) -> None:
    """The marks of a person are delivered columns, and the person is derived from the number."""
    if form.linkage is None:
        return
    for mark, name in form.linkage.marks.items():
        check_column(file, ("linkage", mark), name, [column.name for column in columns])
    made = [item.column.name for item in derived if item.step.arguments["of"] == form.linkage.id_number]
    check_column(file, ("linkage", "person"), form.linkage.person, made)


def check_layer(file: Located, form: LayerForm | None, columns: Sequence[Column]) -> None:
    """What a layer names are columns, its shape one of geometries."""
    if form is None:
        return
    names = {"shape": form.shape, "county": form.county, "ground": form.ground.key if form.ground else None}
    for key, name in names.items():
        if name is not None:
            check_column(file, ("layer", key), name, [column.name for column in columns])
    if next(column for column in columns if column.name == form.shape).definition.geometry is None:
        raise error("contract.no_geometry", file, ("layer", "shape"), column=form.shape)


def check_ground(source: SourceContract, sources: Mapping[str, SourceContract]) -> None:
    """What things stand on is a source with areas."""
    ground = source.form.layer.ground if source.form.layer else None
    if ground is None:
        return
    file, place = read(source.path), ("layer", "ground")
    check_known(file, (*place, "source"), "source", ground.source, sources)
    columns = {column.name: column.definition for column in sources[ground.source].columns}
    for key in ("key", "shape"):
        check_column(file, (*place, key), getattr(ground, key), columns)
    if (geometry := columns[ground.shape].geometry) is None or geometry.kind != "polygon":
        raise error("contract.no_geometry", file, (*place, "shape"), column=ground.shape)


def check_across(source: SourceContract, sources: Mapping[str, SourceContract]) -> None:
    """What is matched has the same type in both sources, and what is summed is a number."""
    for index, rule in enumerate(source.across):
        file, place, given = read(source.path), ("across", index), rule.arguments
        ours, theirs = (
            {column.name: column.definition.logicalType for column in one.all_columns}
            for one in (source, sources[given.get("of", source.id)])
        )
        matched = given.get("columns") or given.get("by", []) if "their" in given else []
        for mine, other in zip(matched, given.get("their", []), strict=True):
            if ours[mine] != theirs[other]:
                raise error("contract.types_differ", file, place, column=mine, type=ours[mine], other=theirs[other])
        for name, kind in ((given.get("column"), ours), (given.get("amount"), theirs)):
            if name and kind[name] not in ("integer", "number"):
                raise error("contract.no_number", file, place, column=name, type=kind[name])


def check_physical(file: Located, form: SourceForm, columns: Sequence[Column]) -> None:
    """Each column of the source is read once, or ignored, not both."""
    seen: set[str] = set()
    for index, column in enumerate(columns):
        if column.physical_name in seen:
            raise error("contract.duplicate_key", file, ("properties", index), key=column.physical_name)
        seen.add(column.physical_name)
    for index, name in enumerate(form.ignored):
        if name in seen:
            raise error("contract.duplicate_key", file, ("ignored", index), key=name)
        seen.add(name)


def check_erasure(file: Located, form: SourceForm | ProductForm, columns: Sequence[Column], key: Sequence[str]) -> None:
    """What is emptied belongs to a column with ids of persons, and is no key: a row must stay what it is. What else
    tells of a person belongs to such a column too."""
    persons = [column.name for column in columns if column.definition.personal == "person"]
    others = [column.name for column in columns if column.name not in key]
    for person, names in form.erasure.cells.items():
        check_column(file, ("erasure", "cells", person), person, [name for name in persons if name in others])
        for index, name in enumerate(names):
            check_column(file, ("erasure", "cells", person, index), name, others)
    for person, names in form.tells.items():
        check_column(file, ("tells", person), person, persons)
        for index, name in enumerate(names):
            check_column(file, ("tells", person, index), name, [column.name for column in columns])
