"""What a grant may be limited to: columns, divisions and roads that there are.

Belongs here: that a limit means something, and the form it is kept in. Does not belong here: giving grants
(administration), what they let through (decision).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.policy.decision import MARTS, ROADS, is_free
from pipelines.contracts.resolved import Contracts, Product
from pipelines.messages import CitylakeError

DIVISION_DIGITS = (6, 9, 12)
"""Codes of counties and above, of towns and of villages; a shorter text would stand for more than was meant."""
OWN = "own"
"""Among organisations: the recipient's."""


def limits_of(
    contracts: Contracts,
    product: str,
    divisions: Sequence[str] | None,
    columns: Sequence[str] | None,
    organisations: Sequence[str] | None,
    own: str,
) -> dict[str, list[str] | None]:
    """Divisions, as prefixes, organisations and columns of a grant to a recipient of the organisation `own`; None for
    all. Raises CitylakeError for any that is none."""
    if product != MARTS:
        known = _product(contracts, product)
        return {
            "divisions": _divisions(contracts, known, divisions),
            "organisations": _organisations(contracts, known, organisations, own),
            "columns": _columns(known, columns),
        }
    if not (divisions is columns is organisations is None):
        raise CitylakeError("web.policy.whole_only", product=product)
    return {"divisions": None, "organisations": None, "columns": None}


def require_effect(contracts: Contracts, product: str, limits: Mapping[str, Any]) -> None:
    """Raises CitylakeError for limits on a product that everybody may have whole: nobody would be limited by them."""
    if limited_in_vain(contracts, product, limits):
        raise CitylakeError("web.policy.for_everybody", product=product)


def limited_in_vain(contracts: Contracts, product: str, limits: Mapping[str, Any]) -> bool:
    """Whether the limits of a grant count for nothing, because the contract gives the product to everybody whole."""
    known = contracts.products.get(product)
    free = known is not None and is_free(known.channel, known.contract.form.share.type)
    return free and any(limits[name] is not None for name in ("divisions", "organisations", "columns", "roads"))


def needs_approval(contracts: Contracts, product: str, columns: Sequence[str] | None) -> bool:
    """Whether a grant shows a column of a level that asks for it. The analysts' database shows all of their channel."""
    analysts = [one for one in contracts.products.values() if one.channel == "analyst"]
    products = analysts if product == MARTS else [contracts.products[product]]
    shown = (column for one in products for column in one.columns if columns is None or column.name in columns)
    return any(contracts.city.levels[column.level].approval for column in shown)


def roads_of(roads: Sequence[str] | None) -> list[str] | None:
    """Roads in their order, None for all. Raises CitylakeError for none at all and for one that is none."""
    if roads is None:
        return None
    if not roads or set(roads) - set(ROADS):
        raise CitylakeError("application.no_road", roads="、".join(roads) or "—", known="、".join(ROADS))
    return [road for road in ROADS if road in roads]


def division_prefix(code: str) -> str:
    """The prefix shared by all divisions below one: 341500 (a city) gives 3415, a 12-digit county code its six."""
    if len(code) == 12:
        code = code.removesuffix("000000").removesuffix("000")
    return code.removesuffix("00").removesuffix("00") if len(code) == 6 else code


def _product(contracts: Contracts, product: str) -> Product:
    if product not in contracts.products:
        raise CitylakeError("web.policy.no_product", product=product)
    return contracts.products[product]


def _columns(product: Product, columns: Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    known = [column.name for column in product.columns]
    if unknown := [name for name in columns if name not in known]:
        raise CitylakeError("web.policy.no_columns", product=product.id, columns=", ".join(unknown))
    if not columns:
        raise CitylakeError("web.policy.nothing", product=product.id)
    return [name for name in known if name in columns]


def _divisions(contracts: Contracts, product: Product, divisions: Sequence[str] | None) -> list[str] | None:
    if divisions is None:
        return None
    if product.form.rows is None:
        raise CitylakeError("web.policy.no_rows", product=product.id)
    if not divisions:
        raise CitylakeError("web.policy.nothing", product=product.id)
    known = contracts.codes["divisions"].rows
    if unknown := [code for code in divisions if code not in known or len(code) not in DIVISION_DIGITS]:
        raise CitylakeError("web.policy.no_divisions", divisions=", ".join(unknown))
    return sorted({division_prefix(code) for code in divisions})


def _organisations(
    contracts: Contracts, product: Product, organisations: Sequence[str] | None, own: str
) -> list[str] | None:
    if organisations is None:
        return None
    form = product.form.organisations
    if form is None:
        raise CitylakeError("web.policy.no_organisation_rows", product=product.id)
    if not organisations:
        raise CitylakeError("web.policy.nothing", product=product.id)
    chosen = {own if name == OWN else name for name in organisations}
    known = contracts.codes_of_organisations(form.departments)
    if unknown := sorted(chosen - known.keys()):
        told = {"organisations": ", ".join(unknown), "list": form.departments, "product": product.id}
        raise CitylakeError("web.policy.no_rows_of", **told)
    return sorted(chosen)
