"""The dictionary of a product: what its columns mean, as rows for pages, CSV and JSON. Public, like the catalogue.

Beside rows that somebody receives it tells how these are shown, not how the product is to others.
"""

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass

from pipelines.contracts.resolved import Product
from pipelines.privacy.masks import masks


@dataclass(frozen=True)
class Entry:
    """One column: names in both languages, type, sensitivity level, mask, unit, standard, code list, description.

    `purposes`: codes of those that it is for, joined by a bar; `otherwise`: the mask for any other, None if it is not
    shown then.
    """

    column: str
    name_zh: str
    name_en: str
    type: str
    level: int
    mask: str | None
    unit: str | None
    standard: str | None
    codes: str | None
    description: str | None
    purposes: str | None = None
    otherwise: str | None = None


def entries(
    product: Product, visible: Collection[str] | None = None, masks_by_purpose: Iterable[tuple[str, str]] = ()
) -> list[Entry]:
    """The columns of a product in order, all or only the visible ones.

    `masks_by_purpose`: through which mask whoever is told sees a column because of what its grant is for.
    """
    mine = dict(masks_by_purpose)
    return [
        Entry(
            column=shown.name,
            name_zh=shown.column.definition.businessName,
            name_en=shown.column.definition.businessNameEn,
            type=shown.column.definition.logicalType,
            level=min(shown.level, masks[mine[shown.name]].about.level) if shown.name in mine else shown.level,
            mask=mine.get(shown.name, shown.mask),
            unit=shown.column.definition.unit,
            standard=shown.column.definition.standard,
            codes=shown.column.definition.codes,
            description=shown.column.description,
            purposes="|".join(shown.purposes) or None,
            otherwise=shown.otherwise,
        )
        for shown in product.columns
        if visible is None or shown.name in visible
    ]


def as_csv(rows: list[Entry], mark: Mapping[str, bool]) -> bytes:
    """RFC 4180 in UTF-8 with byte order mark; an empty field where nothing is known. `mark`: what is said of made-up
    data (`pipelines.synthetic`), a column more."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[*Entry.__dataclass_fields__, *mark], lineterminator="\r\n")
    writer.writeheader()
    told = {name: str(value).lower() for name, value in mark.items()}
    writer.writerows({**asdict(row), **told} for row in rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()
