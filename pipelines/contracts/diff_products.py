"""Changes of what channels may see: share and open types, products, shown columns, masks, row filters, anonymity."""

from collections.abc import Iterator

from pipelines.contracts.diff_change import Change, change
from pipelines.contracts.forms.products import Anonymity, Approval, ChannelForm, Lookup, OpenChannelForm, ReleaseForm
from pipelines.contracts.resolved import Product, ProductContract, ShownColumn
from pipelines.privacy.masks import masks

_WIDTH = {"不予": 0, "有条": 1, "无条": 2}
_PUBLIC = 1
_STRICT: tuple[Approval | None, ...] = (None, "standing", "each")


def product_changes(subject: str, was: ProductContract, now: ProductContract) -> list[Change]:
    """Every change of a product contract besides its columns and rules."""
    found: list[Change] = []
    if was.form.model != now.form.model:
        found.append(change(subject, "model_renamed", old=was.form.model, new=now.form.model))
    if was.form.key != now.form.key:
        found.append(change(subject, "key_changed", old=", ".join(was.form.key), new=", ".join(now.form.key)))
    if was.form.owner != now.form.owner:
        found.append(change(subject, "owner_changed", old=was.form.owner, new=now.form.owner))
    for name, old, new in (
        ("share", was.form.share.type, now.form.share.type),
        ("open", was.form.open.type, now.form.open.type),
    ):
        if old != new:
            wider = _WIDTH[new[:2]] > _WIDTH[old[:2]]
            found.append(change(subject, f"{name}_{'widened' if wider else 'narrowed'}", old=old, new=new))
    if was.form.lowered != now.form.lowered:
        found.append(change(subject, "lowered_dropped" if now.form.lowered is None else "lowered_changed"))
    found += _until_changes(subject, was.form.shownUntil, now.form.shownUntil)
    before, after = ({item.channel: item for item in contract.products} for contract in (was, now))
    for channel in sorted(before.keys() | after.keys()):
        found += _channel_changes(subject, channel, before.get(channel), after.get(channel))
    return found


def _channel_changes(subject: str, channel: str, was: Product | None, now: Product | None) -> Iterator[Change]:
    if was is None and now is not None:
        harmless = all(column.level <= _PUBLIC for column in now.columns)
        yield change(subject, "channel_added", harmless=harmless, channel=channel)
    elif was is not None and now is None:
        yield change(subject, "channel_dropped", channel=channel)
    elif was is not None and now is not None:
        if was.name != now.name:
            yield change(subject, "product_renamed", channel=channel, old=was.name, new=now.name)
        if was.form.licence != now.form.licence:
            yield change(subject, "licence_changed" if was.form.licence else "licence_stated", channel=channel)
        yield from _shown_changes(subject, channel, was, now)
        yield from _row_changes(subject, channel, was.form.rows, now.form.rows)
        yield from _row_changes(subject, channel, _organisations(was), _organisations(now))
        yield from _anonymity_changes(subject, channel, was.form.anonymity, now.form.anonymity)
        yield from _review_changes(subject, channel, was.form, now.form)
        yield from _lookup_changes(subject, channel, was.form.lookup, now.form.lookup)
        yield from _release_changes(subject, channel, was.form.release, now.form.release)


def _shown_changes(subject: str, channel: str, was: Product, now: Product) -> Iterator[Change]:
    before, after = ({column.name: column for column in product.columns} for product in (was, now))
    came = {column.source: column.name for column in now.columns if column.name not in before}
    for name, column in before.items():
        if name in after:
            yield from _mask_changes(subject, channel, column, after[name])
        elif column.source in came:
            new = came.pop(column.source)
            yield change(subject, "channel_column_renamed", name, channel=channel, old=name, new=new)
            yield from _mask_changes(subject, channel, column, after[new])
        else:
            yield change(subject, "channel_column_dropped", name, channel=channel)
    for name in came.values():
        level = after[name].level
        yield change(subject, "channel_column_added", name, harmless=level <= _PUBLIC, channel=channel, level=level)


def _mask_changes(subject: str, channel: str, was: ShownColumn, now: ShownColumn) -> Iterator[Change]:
    if was.source != now.source:
        yield change(subject, "channel_source_changed", now.name, channel=channel, old=was.source, new=now.source)
    yield from _purpose_changes(subject, channel, was, now)
    if was.mask == now.mask:
        return
    if now.mask is None:
        yield change(subject, "mask_dropped", now.name, channel=channel, old=was.mask)
    elif was.mask is None:
        yield change(subject, "mask_added", now.name, channel=channel, new=now.mask)
    else:
        old, new = _open(was.mask), _open(now.mask)
        what = "mask_weaker" if new > old else "mask_stronger" if new < old else "mask_changed"
        yield change(subject, what, now.name, channel=channel, old=was.mask, new=now.mask)


def _open(mask: str) -> tuple[bool, int]:
    """How much a mask lets be seen: one that a key opens the whole value, whatever level it leaves without the key."""
    about = masks[mask].about
    return about.opens, about.level


def _purpose_changes(subject: str, channel: str, was: ShownColumn, now: ShownColumn) -> Iterator[Change]:
    if (was.purposes, was.otherwise) == (now.purposes, now.otherwise):
        return
    old, new = ("、".join(one.purposes) or "—" for one in (was, now))
    fewer = set(now.purposes) <= set(was.purposes) and was.otherwise == now.otherwise
    narrower = bool(now.purposes) and (not was.purposes or fewer)
    yield change(
        subject, f"purposes_{'narrowed' if narrower else 'widened'}", now.name, channel=channel, old=old, new=new
    )


def _row_changes(subject: str, channel: str, was: str | None, now: str | None) -> Iterator[Change]:
    if was == now:
        return
    what = "row_filter_dropped" if now is None else "row_filter_added" if was is None else "row_filter_changed"
    yield change(subject, what, channel=channel, old=was or "—", new=now or "—")


def _organisations(product: Product) -> str | None:
    form = product.form.organisations
    return None if form is None else f"{form.column} ({form.departments})"


def _until_changes(subject: str, was: str | None, now: str | None) -> Iterator[Change]:
    if was != now:
        what = "shown_until_dropped" if now is None else "shown_until_added" if was is None else "shown_until_changed"
        yield change(subject, what, old=was or "—", new=now or "—")


def _lookup_changes(subject: str, channel: str, was: Lookup | None, now: Lookup | None) -> Iterator[Change]:
    if was != now:
        what = "lookup_dropped" if now is None else "lookup_added" if was is None else "lookup_changed"
        yield change(subject, what, channel=channel)


def _release_changes(subject: str, channel: str, was: ReleaseForm, now: ReleaseForm) -> Iterator[Change]:
    yield from approval_changes(subject, channel, was.approval, now.approval)
    if was.notBefore != now.notBefore:
        later = (now.notBefore or "") > (was.notBefore or "")
        told = {"old": was.notBefore or "—", "new": now.notBefore or "—"}
        yield change(subject, "moment_changed", harmless=later, channel=channel, **told)


def approval_changes(subject: str, channel: str, was: Approval | None, now: Approval | None) -> Iterator[Change]:
    """That releases in a channel wait for two persons more or less often than before."""
    if was != now:
        stricter = _STRICT.index(now) > _STRICT.index(was)
        yield change(subject, "approval_added" if stricter else "approval_dropped", channel=channel)


def _anonymity_changes(subject: str, channel: str, was: Anonymity | None, now: Anonymity | None) -> Iterator[Change]:
    if was is None or now is None:
        if was is not now:
            yield change(subject, "anonymity_added" if was is None else "anonymity_dropped", channel=channel)
        return
    if was.k != now.k:
        yield change(subject, "k_lowered" if now.k < was.k else "k_raised", channel=channel, old=was.k, new=now.k)
    for name in was.quasi:
        if name not in now.quasi:
            yield change(subject, "quasi_dropped", name, channel=channel)
    for name in was.within:
        if name not in now.within:
            yield change(subject, "within_dropped", name, channel=channel)
    if was.period is not None and now.period != was.period:
        yield change(subject, "period_dropped", was.period, channel=channel)
    for name in sorted(was.totals - now.totals):
        yield change(subject, "totals_dropped", name, channel=channel)
    if _weaker(was, now):
        yield change(subject, "diversity_weaker", channel=channel)
    beside = [
        (one.count, one.breakdowns, one.rates, one.only, one.emptied, one.beside, one.period, one.notPeriods)
        for one in (was, now)
    ]
    if beside[0] != beside[1] or set(now.quasi) - set(was.quasi) or set(now.within) - set(was.within):
        yield change(subject, "anonymity_changed", channel=channel)


def _weaker(was: Anonymity, now: Anonymity) -> bool:
    """Whether of any groups that were asked for l-diversity and t-closeness less is asked: of the same groups in any
    order. Groups that are gone are asked nothing, for a new name of one may stand for other people."""
    asked = [one for one in now.breakdowns if one.insensitive is None]
    return not all(
        any(
            set(one.groups) == set(old.groups) and one.diversity >= old.diversity and one.closeness <= old.closeness
            for one in asked
        )
        for old in was.breakdowns
        if old.insensitive is None
    )


def _review_changes(subject: str, channel: str, was: ChannelForm, now: ChannelForm) -> Iterator[Change]:
    """Columns made from attributes of persons that are now said to tell of nobody, and texts said to be no personal
    values."""
    before, after = (form.reviewed if isinstance(form, OpenChannelForm) else {} for form in (was, now))
    for name in after.keys() - before.keys():
        yield change(subject, "reviewed_added", name, channel=channel)
    said, says = (form.overruled if isinstance(form, OpenChannelForm) else [] for form in (was, now))
    known = {(one.column, one.text) for one in said}
    for one in says:
        if (one.column, one.text) not in known:
            yield change(subject, "overruled_added", one.column, channel=channel)
