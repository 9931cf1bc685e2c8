"""What pages say of a dataset, worked out from contract and release: titles, labels, facets, searchable text.

Which cards answer a question belongs to `search`.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from catalog.listing import Offering, Snapshot
from catalog.web.voice import LANGUAGES, Voice
from pipelines.contracts.forms.words import Cycle
from pipelines.messages import catalogue


@dataclass(frozen=True)
class Value:
    """A value of a facet: as addresses carry it, as a page shows it, and its place among values that have an order."""

    code: str
    label: str
    place: int = 0


@dataclass(frozen=True)
class ColumnText:
    """A column as the search sees it: its label on pages, and everything that finds it."""

    label: str
    text: str


@dataclass(frozen=True)
class Card:
    """One line of the dataset list. `text` is what the search looks at besides the columns."""

    id: str
    title: str
    abstract: str
    facets: Mapping[str, Value]
    rows: int
    version: int
    released: datetime
    text: str
    columns: tuple[ColumnText, ...]


def organisation(snapshot: Snapshot, voice: Voice, code: str) -> str:
    """The name of an organisation, its code where it is unknown."""
    row = snapshot.contracts.codes["organisations"].rows.get(code, {})
    return row.get("name" if voice.language == "zh" else "name_en") or row.get("name") or code


def level_of(offering: Offering) -> int:
    """The highest sensitivity level among the columns of a product."""
    return max(column.level for column in offering.product.columns)


def card(snapshot: Snapshot, voice: Voice, offering: Offering) -> Card:
    """The card of a published product."""
    product, release = offering.product, offering.release
    assert release is not None and release.version is not None
    contract = product.contract.form
    abstract = product.form.description or contract.description
    return Card(
        id=product.id,
        title=voice.named(product.form),
        abstract=abstract,
        facets=_facets(snapshot, voice, offering),
        rows=int(release.body.get("rows", 0)),
        version=release.version,
        released=release.at,
        text=folded(
            *(product.id, product.form.name, product.form.nameEn, abstract, contract.name, contract.nameEn),
            *_organisation_names(snapshot, contract.owner),
            *_library_names(product.contract.library),
        ),
        columns=_columns(voice, offering),
    )


def cards(snapshot: Snapshot, voice: Voice) -> list[Card]:
    """The cards of all published products, the newest release first."""
    found = [card(snapshot, voice, offering) for offering in snapshot.offerings() if offering.release]
    return sorted(found, key=lambda item: (item.released, item.id), reverse=True)


def folded(*texts: str) -> str:
    """Texts as the search compares them: without case, and full-width letters and digits like ordinary ones."""
    return unicodedata.normalize("NFKC", " ".join(texts)).casefold()


def _facets(snapshot: Snapshot, voice: Voice, offering: Offering) -> dict[str, Value]:
    product, city, level = offering.product, snapshot.contracts.city, level_of(offering)
    contract, library = product.contract.form, product.contract.library
    channels, cycles, cycle = list(city.channels), get_args(Cycle), contract.slaProperties.frequency
    channel = voice.named(city.channels[product.channel])  # type: ignore[index]
    return {
        "channel": Value(product.channel, channel, channels.index(product.channel)),  # type: ignore[arg-type]
        "theme": Value(library, voice.known("library", library)),
        "provider": Value(contract.owner, organisation(snapshot, voice, contract.owner)),
        "level": Value(str(level), voice.named(city.levels[level]), level),
        "share": Value(contract.share.type, voice.value(contract.share.type)),
        "open": Value(contract.open.type, voice.value(contract.open.type)),
        "cycle": Value(cycle, voice.value(cycle), cycles.index(cycle)),
    }


def _organisation_names(snapshot: Snapshot, code: str) -> list[str]:
    row = snapshot.contracts.codes["organisations"].rows.get(code, {})
    return [row[name] for name in ("name", "name_en", "name_in_plan") if row.get(name)]


def _library_names(library: str) -> list[str]:
    texts = catalogue().get(f"web.library.{library}", {})
    return [texts[language] for language in LANGUAGES if language in texts]


def _columns(voice: Voice, offering: Offering) -> tuple[ColumnText, ...]:
    """The columns under their names in the product; what a mask hides of them is no text of the catalogue."""
    found = []
    for shown in offering.product.columns:
        about = shown.column.definition
        label = about.businessName if voice.language == "zh" else about.businessNameEn
        found.append(ColumnText(label, folded(shown.name, about.businessName, about.businessNameEn)))
    return tuple(found)
