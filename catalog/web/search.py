"""The list of datasets: what a reader asks of it, and the cards, counts and pages that answer.

Pure. Cards are made in `cards`; only what they tell is searched, never a value of the data.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from catalog.web.cards import Card, ColumnText, Value, folded

FACETS = ("channel", "theme", "provider", "level", "share", "open", "cycle")
ORDERS = ("updated", "name")
PAGE_SIZE = 20
MOST_LETTERS = 100
MOST_CHOSEN = 30
"""How many values an address may choose; each is compared with every card."""


@dataclass(frozen=True)
class Question:
    """What a reader asks: all of the words, and of each facet one of the values chosen; facets without any ask nothing.

    `chosen` are pairs of facet and value.
    """

    words: str = ""
    chosen: tuple[tuple[str, str], ...] = ()
    order: str = ORDERS[0]
    page: int = 1

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What the search form must send along with new words."""
        return [*self.chosen, *([("sort", self.order)] if self.order != ORDERS[0] else [])]

    @property
    def address(self) -> str:
        """Where the answer is."""
        words = [("q", self.words)] if self.words else []
        page = [("page", str(self.page))] if self.page > 1 else []
        pairs = [*words, *self.kept, *page]
        return f"/datasets?{urlencode(pairs)}" if pairs else "/datasets"

    def toggled(self, facet: str, value: str) -> "Question":
        """With a value chosen that was not, or without it."""
        pair = (facet, value)
        rest = tuple(item for item in self.chosen if item != pair)
        return replace(self, chosen=rest if pair in self.chosen else (*rest, pair), page=1)

    def without(self, facet: str) -> "Question":
        """With all values of a facet again."""
        return replace(self, chosen=tuple(item for item in self.chosen if item[0] != facet), page=1)

    def without_words(self) -> "Question":
        """With any words again."""
        return replace(self, words="", page=1)

    def ordered(self, order: str) -> "Question":
        """In another order, from its first page."""
        return replace(self, order=order, page=1)

    def at(self, page: int) -> "Question":
        """Another page."""
        return replace(self, page=page)

    def finds(self, card: Card) -> bool:
        """Whether a card answers."""
        return self._words_in(card) and all((facet, card.facets[facet].code) in self.chosen for facet, _ in self.chosen)

    def columns_of(self, card: Card) -> list[ColumnText]:
        """The columns for which a card was found by a word that its names and abstract do not have."""
        words = [word for word in folded(self.words).split() if word not in card.text]
        return [column for column in card.columns if any(word in column.text for word in words)]

    def _words_in(self, card: Card) -> bool:
        texts = (card.text, *(column.text for column in card.columns))
        return all(any(word in text for text in texts) for word in folded(self.words).split())


@dataclass(frozen=True)
class Choice:
    """A value of a facet: how many cards it would show, whether it is chosen, and what its link asks."""

    facet: str
    value: Value
    count: int
    chosen: bool
    question: Question


@dataclass(frozen=True)
class Remedy:
    """A way out of an empty answer: the facet to leave out, "words" for the words, and how many cards that shows."""

    left_out: str
    question: Question
    count: int


@dataclass(frozen=True)
class Answer:
    """One page of the list. `remedies` are given only when nothing was found."""

    question: Question
    total: int
    pages: int
    found: list[Card]
    facets: dict[str, list[Choice]]
    remedies: list[Remedy]

    @property
    def chosen(self) -> list[Choice]:
        """The choices in force, for links that take them back."""
        return [choice for choices in self.facets.values() for choice in choices if choice.chosen]


def question(query: QueryParams) -> Question:
    """What an address asks; what it cannot mean is left out."""
    words, order, page = query.get("q", ""), query.get("sort", ""), query.get("page", "")
    pairs = [(facet, value) for facet in FACETS for value in query.getlist(facet) if value]
    return Question(
        words=words.strip()[:MOST_LETTERS],
        chosen=tuple(dict.fromkeys(pairs))[:MOST_CHOSEN],
        order=order if order in ORDERS else ORDERS[0],
        page=int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 7 else 1,
    )


def answer(cards: Sequence[Card], asked: Question, language: str) -> Answer:
    """The page of the list that was asked for, or its last page. `cards`: the newest release first."""
    found = [card for card in cards if asked.finds(card)]
    if asked.order == "name":
        found.sort(key=lambda card: _name_order(card.title, language))
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = min(max(asked.page, 1), pages)
    return Answer(
        question=replace(asked, page=page),
        total=len(found),
        pages=pages,
        found=found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
        facets={facet: _choices(cards, asked, facet) for facet in FACETS},
        remedies=[] if found else _remedies(cards, asked),
    )


def _choices(cards: Sequence[Card], asked: Question, facet: str) -> list[Choice]:
    """The values of a facet with how many cards answer the rest of the question.

    Where they have no order, the common ones stand first; that of all cards, so that they do not move under a reader.
    """
    others = asked.without(facet)
    counts = Counter(card.facets[facet].code for card in cards if others.finds(card))
    common = Counter(card.facets[facet].code for card in cards)
    values = {code: Value(code, code) for name, code in asked.chosen if name == facet}
    values |= {card.facets[facet].code: card.facets[facet] for card in cards}
    made = [
        Choice(facet, value, counts[value.code], (facet, value.code) in asked.chosen, asked.toggled(facet, value.code))
        for value in values.values()
    ]
    return sorted(made, key=lambda choice: (choice.value.place, -common[choice.value.code], choice.value.label))


def _remedies(cards: Sequence[Card], asked: Question) -> list[Remedy]:
    """Each single condition that could be left out, where that helps."""
    ways = {"words": asked.without_words()} if asked.words else {}
    ways |= {facet: asked.without(facet) for facet, _ in asked.chosen}
    counted = (Remedy(name, way, sum(1 for card in cards if way.finds(card))) for name, way in ways.items())
    return [remedy for remedy in counted if remedy.count]


def _name_order(title: str, language: str) -> bytes | str:
    """Chinese titles by pinyin, as far as GB 18030 goes: the common characters stand in that order there."""
    return title.encode("gb18030", "replace") if language == "zh" else title.casefold()
