"""The page that explains the row API, with examples of a real open product. Whoever can run curl can follow it."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from catalog.delivery.desk import Admission, Desk
from catalog.delivery.rows import openapi
from catalog.delivery.rows.pages import MEDIA_TYPES
from catalog.delivery.rows.router import MOST_LISTED, PREFIX
from catalog.delivery.workbooks import MOST_ROWS
from catalog.policy.administration import TOKEN_ENDPOINT
from catalog.policy.decision import ANONYMOUS, Reason
from catalog.web.site import Site
from pipelines.messages import catalogue, translate

ROAD = "web"
_PLACES = ("parameter", "name", "columns", "operators", "most", "value", "type", "formats", "error")


@dataclass(frozen=True)
class Example:
    """An open product to show: title, address of its rows, a filter that fits some rows, and a column to group by."""

    title: str
    rows: str
    filter: str
    group: str

    def address(self, **parameters: str) -> str:
        """The address of a question with the filter of this example."""
        return f"{self.rows}?{self.filter}{'&' if parameters else ''}{urlencode(parameters)}"


def build_router(site: Site) -> APIRouter:
    """The route of the page."""
    router, desk = APIRouter(), site.desk
    described = openapi.document(f"{desk.url}{PREFIX}", MOST_LISTED, f"{desk.url}{TOKEN_ENDPOINT}")

    @router.get("/docs/api")
    def api_docs(request: Request) -> Response:
        language = site.voice(request).language
        return site.page(
            request,
            "api.html",
            example=_example(desk, language),
            addresses=[(path, _said(item["get"]["summary"], language)) for path, item in described["paths"].items()],
            parameters=[(name, _said(text, language)) for name, text in openapi.parameters(described)],
            rules=_rules(language),
            formats=MEDIA_TYPES,
            most_rows=MOST_ROWS,
            base=f"{desk.url}{PREFIX}",
        )

    return router


def _example(desk: Desk, language: str) -> Example | None:
    """The first open product that can be read now and has a row to show, None without one."""
    visible = desk.visible(ANONYMOUS, desk.listing.snapshot(), ROAD)
    found = (_shown(desk, item, language) for item in visible if item.offering.product.channel == "open")
    return next((example for example in found if example is not None), None)


def _shown(desk: Desk, item: Admission, language: str) -> Example | None:
    """The example of a product by its first key column and the value of its first row."""
    admission = desk.admit(ANONYMOUS, item.offering.product.id, "preview", ROAD)
    extract, product = desk.views.extract(admission.allowed), admission.offering.product
    key = next((name for name in product.contract.form.key if name in extract.columns), extract.columns[0])
    rows = [dict(zip(extract.columns, row, strict=True)) for row in desk.preview(extract, 1)]
    desk.answered(admission, "preview", ROAD, rows=len(rows))
    if not rows or rows[0][key] is None:
        return None
    title = product.form.name if language == "zh" else product.form.nameEn
    value = quote(str(rows[0][key]), safe="")
    return Example(title, f"{desk.url}{PREFIX}/products/{product.id}/rows", f"{key}=eq.{value}", key)


def _rules(language: str) -> list[tuple[str, str, str]]:
    """Every rule an error may name: what is wrong, and what to do."""
    blanks: Mapping[str, str] = dict.fromkeys(_PLACES, "…")
    names = [name for name in catalogue() if name.startswith("rows.") and f"{name}.next" in catalogue()]
    rules = [
        (name.removeprefix("rows."), translate(name, language, **blanks), translate(f"{name}.next", language, **blanks))
        for name in names
    ]
    return rules + [(reason.value, translate(f"web.reason.{reason.value}", language), "") for reason in _REASONS]


_REASONS = [reason for reason in Reason if not reason.value.startswith("address_")]


def _said(both: str, language: str) -> str:
    """The part of a text in two languages that is in this one."""
    chinese, english = both.split("\n")
    return chinese if language == "zh" else english
