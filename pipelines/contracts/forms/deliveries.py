"""The written form of deliveries in city.yaml: products kept up to date at recipients'."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from pipelines.contracts.forms.words import Name, ProductName, Strict, Text

WhenEnded = Literal["keep", "empty"]
"""Whether what was delivered stays at the recipient's or is taken away when the product is withdrawn or the grant is
over."""
DivisionCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}([0-9]{3}){0,2}$")]
FolderPath = Annotated[str, StringConstraints(pattern=r"^[^\s./\\][^\s/\\]*(/[^\s./\\][^\s/\\]*)*$")]
"""Below the folder that the connection string names; no part begins with a dot."""


class DeliveryForm(Strict):
    """库表: a product kept up to date in a table of a recipient's own database, `table` or `schema.table`.

    Whether the recipient may have it is for grants to say, at every delivery.
    """

    recipient: Text
    product: ProductName
    connection: Name
    table: Annotated[str, StringConstraints(pattern=r"^[^.\s]+(\.[^.\s]+)?$")]
    changes: bool = False
    """Whether each change is a row of a second table too, named as this one and `_changes`."""
    whenEnded: WhenEnded = "keep"


class PackagesForm(Strict):
    """What packages of files hold: `full` is always the whole product, `changes` what changed since the package before,
    where that can be told. `geojson`: of products that show a geometry."""

    product: ProductName
    formats: Annotated[list[Literal["csv", "parquet", "json", "ndjson", "xlsx", "geojson"]], Field(min_length=1)] = [
        "csv"
    ]
    content: Literal["full", "changes"] = "changes"
    whenEnded: WhenEnded = "keep"


class FileDeliveryForm(PackagesForm):
    """文件: packages of a product put into a folder at a recipient's: of a mount, an SFTP server or an S3 bucket."""

    recipient: Text
    connection: Name
    folder: FolderPath


class ReturnTo(Strict):
    """Who receives the rows of one division, and where."""

    recipient: Text
    connection: Name
    folder: FolderPath


class ReturnForm(PackagesForm):
    """回流: the rows of each division that is named (a county, town or village) in packages of their own, as far as the
    grant of that division's own recipient goes."""

    by: Literal["division"]
    to: Annotated[dict[DivisionCode, ReturnTo], Field(min_length=1)]


def _delivery_kind(form: Any) -> str:
    keys = form if isinstance(form, dict) else form.__class__.model_fields
    return "return" if "by" in keys or "to" in keys else "files" if "folder" in keys else "table"


AnyDelivery = Annotated[
    Annotated[DeliveryForm, Tag("table")]
    | Annotated[FileDeliveryForm, Tag("files")]
    | Annotated[ReturnForm, Tag("return")],
    Discriminator(_delivery_kind),
]
