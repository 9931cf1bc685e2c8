"""The lines of `citylake explain --forward`: who received a published row, by which road, when and how surely."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from catalog.forward import Forward, forward
from catalog.policy import inquiry
from catalog.policy.inquiry import Asked
from catalog.policy.receivers import Received
from pipelines.contracts.resolved import Contracts
from pipelines.messages import name_of, say, translate
from pipelines.register import Register
from pipelines.register.times import as_utc
from pipelines.release.rows import ReleasedRows
from pipelines.settings import Settings


def forward_lines(
    settings: Settings,
    contracts: Contracts,
    register: Register,
    released: ReleasedRows,
    row: tuple[str, Mapping[str, str], str | None],
    who: str,
) -> Iterator[str]:
    """Everybody whom the user may ask about. The question is a row of the audit, without the key. Raises NotAllowed,
    CitylakeError, AuditUnavailable."""
    model, key, column = row
    asked = inquiry.permitted(register, Asked(), who)
    found = forward(settings, register, released, contracts.models[model], key, column)
    mine = [(one, [got for got in one.received if asked.organisation in (None, got.organisation)]) for one in found]
    products = sorted({one.standing.product.id for one in found})
    counted = sum(len(received) for _, received in mine)
    inquiry.record(register, asked, inquiry.COMMAND, counted, actor=who, products=products, column=column)
    if not found:
        yield say("forward.nowhere")
    for one, received in mine:
        yield from _lines(contracts, one, received)


def _lines(contracts: Contracts, one: Forward, received: list[Received]) -> Iterator[str]:
    standing = one.standing
    for language in ("zh", "en"):
        named = standing.column is not None
        yield translate(
            "forward.head",
            language,
            product=standing.product.id,
            version=standing.version,
            released=_time(contracts, standing.released),
            what=translate("forward.column", language, column=standing.column) if named else "",
            state="" if standing.same else translate("forward.other", language),
        )
    if not standing.known:
        yield say("forward.gone")
    elif not received:
        yield say("forward.nobody")
    for got in received:
        for language in ("zh", "en"):
            yield _reader(contracts, got, language)


def _reader(contracts: Contracts, got: Received, language: str) -> str:
    organisations = contracts.codes["organisations"].rows
    known = organisations.get(got.organisation or "", {})
    nobody = "recall.public" if got.product.startswith("open/") else "recall.command"
    application = f" {got.application}" if got.application else ""
    return translate(
        "forward.reader",
        language,
        recipient=(got.recipient or translate(nobody, language)) + application,
        organisation=known.get("name" if language == "zh" else "name_en") or got.organisation or "—",
        road=name_of(f"web.road.{got.road}", language, got.road),
        reads=got.reads,
        first=_time(contracts, got.first),
        last=_time(contracts, got.last),
        sure=translate(f"forward.sure.{got.sure.name.lower()}", language),
    )


def _time(contracts: Contracts, moment: datetime) -> str:
    return as_utc(moment).astimezone(ZoneInfo(contracts.city.timezone)).isoformat(" ", "minutes")
