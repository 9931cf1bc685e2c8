"""What pages say of a dataset, worked out from contract and release: titles, labels, filters, facts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from catalog.listing import Offering, Snapshot
from catalog.web.voice import Voice

PAGE_SIZE = 50


@dataclass(frozen=True)
class Card:
    """One line of the dataset list. `level` is the highest of its columns."""

    id: str
    title: str
    abstract: str
    channel: str
    channel_name: str
    provider: str
    provider_name: str
    share_type: str
    level: int
    level_name: str
    rows: int
    version: int
    released: datetime
    text: str


@dataclass(frozen=True)
class Filters:
    """What a reader asked of the list; empty texts ask nothing."""

    words: str = ""
    channel: str = ""
    provider: str = ""
    share_type: str = ""
    level: str = ""

    def keep(self, card: Card) -> bool:
        """Whether a card is what was asked for; every word must stand in a name, abstract or id."""
        wanted = ((self.channel, card.channel), (self.provider, card.provider), (self.share_type, card.share_type))
        if any(asked and asked != has for asked, has in wanted) or (self.level and self.level != str(card.level)):
            return False
        return all(word in card.text for word in self.words.lower().split())


def organisation(snapshot: Snapshot, voice: Voice, code: str) -> str:
    """The name of an organisation, its code where it is unknown."""
    row = snapshot.contracts.codes["organisations"].rows.get(code, {})
    return row.get("name" if voice.language == "zh" else "name_en") or row.get("name") or code


def level_of(offering: Offering) -> int:
    """The highest sensitivity level among the columns of a product."""
    return max(column.level for column in offering.product.columns)


def card(snapshot: Snapshot, voice: Voice, offering: Offering) -> Card:
    """The card of a published product."""
    product, release, city = offering.product, offering.release, snapshot.contracts.city
    assert release is not None and release.version is not None
    contract, level = product.contract.form, level_of(offering)
    abstract = product.form.description or contract.description
    texts = (product.id, product.form.name, product.form.nameEn, abstract, contract.name, contract.nameEn)
    return Card(
        id=product.id,
        title=voice.named(product.form),
        abstract=abstract,
        channel=product.channel,
        channel_name=voice.named(city.channels[product.channel]),  # type: ignore[index]
        provider=contract.owner,
        provider_name=organisation(snapshot, voice, contract.owner),
        share_type=contract.share.type,
        level=level,
        level_name=voice.named(city.levels[level]),
        rows=int(release.body.get("rows", 0)),
        version=release.version,
        released=release.at,
        text=" ".join(texts).lower(),
    )


def cards(snapshot: Snapshot, voice: Voice) -> list[Card]:
    """The cards of all published products, the newest release first."""
    found = [card(snapshot, voice, offering) for offering in snapshot.offerings() if offering.release]
    return sorted(found, key=lambda item: (item.released, item.id), reverse=True)


def choices(found: Iterable[Card], value: str, label: str) -> list[tuple[str, str]]:
    """The values of a filter that occur, with their labels, ordered by label."""
    pairs = {str(getattr(item, value)): str(getattr(item, label)) for item in found}
    return sorted(pairs.items(), key=lambda pair: pair[1])
