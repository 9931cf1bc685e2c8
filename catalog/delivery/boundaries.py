"""County boundaries for drawings on pages: where they are, and what policy asks before one is drawn.

The boundaries have no 审图号 and their contract says 不予开放: the public never sees them, not even simplified, and no
product gives them out as data. The contract also says how the geography library is shared, so the one decision answers
for drawings too, as for a product of the sharing channel. Without a release of the library there is nothing to draw.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog.listing import Snapshot
from catalog.policy.decision import Offer

FILE = Path("codes") / "county_boundary.geojson"
COLUMN = "county_boundary"

Position = tuple[float, float]
"""Longitude and latitude in degrees."""
Polygons = list[list[list[Position]]]
"""Polygons, each of its outer ring and its holes."""


def offer(snapshot: Snapshot) -> Offer | None:
    """The drawing of boundaries as policy knows it, None if no contract has them."""
    for model, contract in snapshot.contracts.models.items():
        if any(column.name == COLUMN for column in contract.columns):
            release = snapshot.published.get(model)
            return Offer(
                product=f"sharing/{COLUMN}",
                channel="sharing",
                share_type=contract.form.share.type,
                columns=(COLUMN,),
                rows=None,
                pseudonyms=frozenset(),
                version=release.version if release else None,
                purposes=snapshot.contracts.purposes,
            )
    return None


def boundaries(snapshot: Snapshot) -> Mapping[str, Polygons]:
    """The boundary of every county by its code; empty where the contracts bring none."""
    file = snapshot.contracts.root / FILE
    if not file.is_file():
        return {}
    features = json.loads(file.read_text("utf-8"))["features"]
    return {feature["properties"]["code"]: _polygons(feature["geometry"]) for feature in features}


def _polygons(geometry: Mapping[str, Any]) -> Polygons:
    """RFC 7946: Polygon or MultiPolygon."""
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return [[[(x, y) for x, y, *_ in ring] for ring in part] for part in parts]
