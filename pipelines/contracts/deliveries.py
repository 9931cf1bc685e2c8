"""What is checked of `deliveries:` in city.yaml beyond its form: names that must exist, and that no two deliveries
write to one place. Whether a recipient may have a product is for grants to say, at every delivery.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pipelines.contracts.forms.deliveries import DeliveryForm, FileDeliveryForm, ReturnForm, ReturnTo
from pipelines.contracts.located import Located, Place, read
from pipelines.contracts.mistakes import check_known, error
from pipelines.contracts.resolved import Contracts

CHANGES = "_changes"
"""What is added to the name of a table for that of its changes."""


def check_deliveries(root: Path, contracts: Contracts) -> None:
    """Raises CitylakeError at the first mistake, with file and line."""
    if not contracts.city.deliveries:
        return
    city = read(root / "city.yaml")
    tables: dict[tuple[str, str], str] = {}
    folders: dict[tuple[str, str], str] = {}
    for name, delivery in contracts.city.deliveries.items():
        place: Place = ("deliveries", name)
        check_known(city, (*place, "product"), "product", delivery.product, contracts.products)
        if isinstance(delivery, DeliveryForm):
            check_known(city, (*place, "connection"), "connection", delivery.connection, contracts.city.connections)
            for table in (delivery.table, f"{delivery.table}{CHANGES}")[: 1 + delivery.changes]:
                plain = table.removeprefix("public.")  # PostgreSQL's own schema, if none is named
                other = tables.setdefault((delivery.connection, plain), name)
                if other != name:
                    where = (*place, "table")
                    raise error("contract.duplicate_delivery", city, where, name=name, other=other, table=table)
            continue
        shown = contracts.products[delivery.product].columns
        if "geojson" in delivery.formats and not any(
            one.mask is None and one.column.definition.geometry for one in shown
        ):
            raise error("contract.delivery_no_geometry", city, (*place, "formats"), product=delivery.product)
        if isinstance(delivery, ReturnForm):
            _check_return(city, place, delivery, contracts)
        for at, to in _folders(place, delivery):
            check_known(city, (*at, "connection"), "connection", to.connection, contracts.city.connections)
            mine = ".".join(str(part) for part in at[1:] if part != "to")
            other = folders.setdefault((to.connection, to.folder), mine)
            if other != mine:
                raise error(
                    "contract.duplicate_folder", city, (*at, "folder"), name=mine, other=other, folder=to.folder
                )


def check_recipients(root: Path, contracts: Contracts, registered: Iterable[str]) -> None:
    """Raises CitylakeError at the first delivery to somebody who is not `registered`, with file and line. For where
    there is a register to ask."""
    names = sorted(registered)
    if not contracts.city.deliveries:
        return
    city = read(root / "city.yaml")
    for name, delivery in contracts.city.deliveries.items():
        place: Place = ("deliveries", name)
        recipients = [(place, delivery)] if isinstance(delivery, DeliveryForm) else _folders(place, delivery)
        for at, to in recipients:
            check_known(city, (*at, "recipient"), "recipient", to.recipient, names)


def _folders(place: Place, form: FileDeliveryForm | ReturnForm) -> Iterator[tuple[Place, FileDeliveryForm | ReturnTo]]:
    if isinstance(form, FileDeliveryForm):
        yield place, form
    else:
        for code, to in form.to.items():
            yield (*place, "to", code), to


def _check_return(city: Located, place: Place, form: ReturnForm, contracts: Contracts) -> None:
    listed = contracts.codes.get("divisions")
    divisions: Mapping[str, object] = listed.rows if listed else {}
    for code in form.to:
        check_known(city, (*place, "to", code), "division", code, divisions)
    if contracts.products[form.product].form.rows is None:
        raise error("contract.return_without_rows", city, (*place, "product"), product=form.product)
