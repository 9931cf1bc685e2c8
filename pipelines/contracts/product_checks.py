"""What the forms of a product contract say together, and all of them: what a channel shows, until when, and names that
are used once.

Counts of people are in `counts`; what a channel may show at most is asked where columns are put together, in `load`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pipelines.contracts.forms.products import ChannelForm, ProductForm
from pipelines.contracts.located import Located, Place, read
from pipelines.contracts.mistakes import check_column, check_known, error
from pipelines.contracts.resolved import Column, ProductContract, ShownColumn
from pipelines.privacy.masks import masks


def check_bound(
    file: Located,
    place: Place,
    form: ProductForm,
    channel: str,
    view: ChannelForm,
    shown: Mapping[str, ShownColumn],
) -> None:
    """Columns for some purposes stand where every read has a grant, and rows are limited by none of them."""
    limiting = {view.rows, form.shownUntil, view.organisations and view.organisations.column}
    for index, column in enumerate(shown.values()):
        at = (*place, "properties", index)
        if column.purposes and (channel, form.share.type) != ("sharing", "有条件共享"):
            raise error("contract.purposes_free", file, at, column=column.name)
        if column.purposes and column.name in limiting:
            raise error("contract.purposes_limit", file, at, column=column.name)


def check_mask(file: Located, place: Place, mask: str, column: Column) -> None:
    """Raises CitylakeError for a mask that is unknown, or could show too much of this column."""
    check_known(file, place, "mask", mask, masks)
    definition, fits = column.definition, masks[mask].about.fits
    kind = "date" if definition.logicalType == "timestamp" else definition.logicalType
    if fits not in (None, definition.personal, definition.codes, kind):
        raise error("contract.mask_unfit", file, place, mask=mask, column=column.name)


def check_moment(file: Located, place: Place, text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise error("contract.release_moment", file, place, value=text) from None


def check_shown_until(file: Located, form: ProductForm, columns: Sequence[Column]) -> None:
    """The last day on which a row may be shown is a column of days."""
    kinds = {column.name: column.definition.logicalType for column in columns}
    if form.shownUntil is not None:
        check_column(file, ("shownUntil",), form.shownUntil, kinds)
        if kinds[form.shownUntil] != "date":
            told = {"column": form.shownUntil, "type": kinds[form.shownUntil]}
            raise error("contract.shown_until_type", file, ("shownUntil",), **told)


def check_reasons(file: Located, form: ProductForm) -> None:
    """A condition belongs to 有条件, a legal basis to 不予 (政务信息资源目录 elements 10 and 13)."""
    for key, about in (("share", form.share), ("open", form.open)):
        needed = {"有条": "condition", "不予": "basis"}.get(about.type[:2])
        if needed and getattr(about, needed) is None:
            raise error("contract.missing_key", file, (key,), key=f"{key}.{needed}")


def check_unique(contracts: Sequence[ProductContract]) -> None:
    """Models, products of a channel and catalogue codes are used once."""
    seen: dict[str, Path] = {}
    for contract in contracts:
        catalogue = contract.form.catalogue
        places: list[tuple[Place, str]] = [
            (("model",), contract.form.model),
            (("catalogue", "number"), f"{catalogue.classCode}/{catalogue.number:06d}"),
            *((("channels", product.channel, "product"), product.id) for product in contract.products),
        ]
        for place, name in places:
            if name in seen:
                raise error("contract.duplicate_product", read(contract.path), place, name=name, other=seen[name])
            seen[name] = contract.path
