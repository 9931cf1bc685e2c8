"""Pages of the plan's indicators: targets against released values, and a map of the counties.

Both show open products, so anybody may look; each look is a read like any other and passes the desk. The map has real
boundaries only for those whom policy lets see them (`catalog.delivery.boundaries`); everybody else gets equal tiles,
arranged roughly as the counties lie, which are no map.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from catalog.delivery import boundaries
from catalog.delivery.desk import Desk
from catalog.policy.decision import Allowed, Caller
from catalog.web import county_map, targets
from catalog.web.county_map import Drawing, Scale, Shape
from catalog.web.site import Site
from catalog.web.targets import CountyIndicator, Measure

ROAD = "web"


@dataclass(frozen=True)
class Area:
    """A county on the map: its shape, name and measure, and the class of its value, None without one."""

    shape: Shape
    name: str
    measure: Measure
    number: int | None


@dataclass(frozen=True)
class Picture:
    """One indicator drawn. `real` tells outlines from tiles."""

    real: bool
    drawing: Drawing
    scale: Scale | None
    areas: list[Area]


def build_router(site: Site) -> APIRouter:
    """The routes of indicators."""
    router = APIRouter()
    desk = site.desk

    @router.get("/indicators")
    def indicators(request: Request) -> Response:
        found = targets.indicators(_read(desk, site.caller(request), targets.PLAN, targets.PLAN_COLUMNS))
        return site.page(
            request,
            "indicators.html",
            product=targets.PLAN,
            directions=targets.by_direction(found),
            years=sorted({year for item in found for year in item.targets}),
            found=found,
            no_source=targets.NO_SOURCE,
        )

    @router.get("/indicators/map")
    def county_page(request: Request, indicator: str = "") -> Response:
        caller = site.caller(request)
        real = isinstance(desk.decide_boundaries(caller, ROAD), Allowed)
        rows = _read(desk, caller, targets.COUNTIES, targets.COUNTY_COLUMNS, boundaries=real)
        choices = targets.county_indicators(rows)
        chosen = choices.get(indicator) if indicator else next(iter(choices.values()), None)
        if choices and chosen is None:
            raise HTTPException(404)
        picture = _picture(desk, chosen, real) if chosen else None
        return site.page(request, "map.html", product=targets.COUNTIES, choices=choices, chosen=chosen, picture=picture)

    return router


def _read(desk: Desk, caller: Caller, product: str, needed: Set[str], **facts: Any) -> list[dict[str, Any]]:
    """All rows of a product, audited; none while it is not released with the columns a page needs."""
    offering = desk.listing.snapshot().find(product)
    if offering is None or offering.release is None:
        return []
    admission = desk.admit(caller, product, "page", ROAD)
    if not needed <= set(admission.allowed.columns):
        return []
    rows = desk.records(desk.views.extract(admission.allowed))
    desk.answered(admission, "page", ROAD, rows=len(rows), **facts)
    return rows


def _picture(desk: Desk, chosen: CountyIndicator, real: bool) -> Picture:
    known = boundaries.boundaries(desk.listing.snapshot())
    outlines = {code: outline for code, outline in known.items() if code in chosen.counties}
    real = real and bool(outlines)
    drawing = county_map.outlines(outlines) if real else county_map.tiles(list(chosen.counties), outlines)
    values = (measure.value for measure in chosen.measures.values())
    scale = county_map.scale(value for value in values if value is not None)
    return Picture(real, drawing, scale, [_area(shape, chosen, scale) for shape in drawing.shapes])


def _area(shape: Shape, chosen: CountyIndicator, scale: Scale | None) -> Area:
    measure = chosen.measures[shape.code]
    number = scale.number(measure.value) if scale is not None and measure.value is not None else None
    return Area(shape, chosen.counties[shape.code], measure, number)
