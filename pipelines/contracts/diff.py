"""What changed between two states of the contracts, structure and governance, and whether the version says so.

A change is breaking if somebody who relied on the old contract is harmed: a department whose rows are now refused, a
recipient whose queries fail or whose promise is gone, or the people in the data, who are now better visible.
"""

from collections.abc import Iterator

from pipelines.contracts.diff_change import Change, change
from pipelines.contracts.diff_columns import column_changes
from pipelines.contracts.diff_products import approval_changes, product_changes
from pipelines.contracts.forms.sources import DriftForm, SourceForm
from pipelines.contracts.resolved import PURPOSES, Claim, Contracts, ProductContract, SourceContract
from pipelines.contracts.rules import Rule

Contract = SourceContract | ProductContract


def diff(old: Contracts, new: Contracts) -> list[Change]:
    """Every change, by contract. A contract whose meaning changed in a way not named here is `other_changed`."""
    changes = list(_city_changes(old, new))
    changes += _code_list_changes(old, new)
    before, after = _by_subject(old), _by_subject(new)
    for subject in sorted(before.keys() | after.keys()):
        changes += _contract_changes(subject, before.get(subject), after.get(subject), old, new)
    return changes


def version_problems(old: Contracts, new: Contracts) -> list[Change]:
    """Contracts whose version does not say what changed.

    A breaking change needs a new major version, any other change a higher version of any kind; a version never falls.
    """
    problems = []
    changes = diff(old, new)
    before, after = _by_subject(old), _by_subject(new)
    for subject in sorted(before.keys() & after.keys()):
        mine = [item for item in changes if item.subject == subject]
        was, now = _version(before[subject]), _version(after[subject])
        old_text, new_text = before[subject].form.version, after[subject].form.version
        if now < was:
            problems.append(change(subject, "version_fell", old=old_text, new=new_text))
        elif any(item.breaking for item in mine) and now[0] == was[0]:
            problems.append(change(subject, "version_major", old=old_text, new=new_text))
        elif mine and now == was:
            problems.append(change(subject, "version_same", old=old_text, new=new_text))
    return problems


def _by_subject(contracts: Contracts) -> dict[str, Contract]:
    sources = {f"sources/{source.id}": source for source in contracts.sources.values()}
    products = {f"products/{contract.id}": contract for contract in contracts.models.values()}
    return {**sources, **products}


def _version(contract: Contract) -> tuple[int, ...]:
    return tuple(int(part) for part in contract.form.version.split("."))


def _contract_changes(
    subject: str, was: Contract | None, now: Contract | None, old: Contracts, new: Contracts
) -> list[Change]:
    if was is None:
        return [change(subject, "contract_added")]
    if now is None:
        return [change(subject, "contract_removed")]
    found: list[Change] = []
    if isinstance(was, SourceContract) and isinstance(now, SourceContract):
        found += column_changes(subject, was.all_columns, now.all_columns, old, new, source=True)
        found += _source_changes(subject, was, now)
    elif isinstance(was, ProductContract) and isinstance(now, ProductContract):
        found += column_changes(subject, was.columns, now.columns, old, new, source=False)
        found += product_changes(subject, was, now)
        found += _authority_changes(subject, now, old, new)
    found += _rule_changes(subject, was, now, isinstance(now, SourceContract))
    found += _term_changes(subject, was, now)
    if not found and _meaning(was) != _meaning(now):
        found.append(change(subject, "other_changed"))
    return found


def _meaning(contract: Contract) -> tuple[object, ...]:
    """All of a contract but its version and the content of code lists, which is told on its own."""
    shown = [column for product in getattr(contract, "products", ()) for column in product.columns]
    return (contract.form.model_copy(update={"version": ""}), contract.columns, shown)


def _source_changes(subject: str, was: SourceContract, now: SourceContract) -> Iterator[Change]:
    if was.connector != now.connector:
        yield change(subject, "connector_changed")
    yield from _key_changes(subject, was.form.load.key, now.form.load.key)
    yield from _load_changes(subject, was.form, now.form)
    steps = {item.column.name: item.step for item in was.derived}
    for item in now.derived:
        if steps.get(item.column.name, item.step) != item.step:
            yield change(subject, "derivation_changed", item.column.name)
    yield from _drift_changes(subject, was.form.drift, now.form.drift)
    yield from _correction_changes(subject, was.form, now.form)
    yield from _across_changes(subject, was, now)


def _drift_changes(subject: str, was: DriftForm, now: DriftForm) -> Iterator[Change]:
    for setting in DriftForm.model_fields:
        old, new = getattr(was, setting), getattr(now, setting)
        if old != new:
            what = "drift_stop_dropped" if old == "stop" else "drift_changed"
            yield change(subject, what, old=old, new=new, setting=setting)


def _correction_changes(subject: str, was: SourceForm, now: SourceForm) -> Iterator[Change]:
    before, after = ({one.id: one for one in form.corrections} for form in (was, now))
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield change(subject, "correction_added", after[name].column, correction=name)
        elif name not in after:
            yield change(subject, "correction_removed", before[name].column, correction=name)
        elif before[name] != after[name]:
            yield change(subject, "correction_changed", after[name].column, correction=name)


def _across_changes(subject: str, was: SourceContract, now: SourceContract) -> Iterator[Change]:
    before, after = ({rule.id: rule for rule in one.across} for one in (was, now))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            what = "added" if name not in before else "removed" if name not in after else "changed"
            yield change(subject, f"across_{what}", rule=name)


def _load_changes(subject: str, was: SourceForm, now: SourceForm) -> Iterator[Change]:
    old, new = was.load, now.load
    if old.mode != new.mode:
        yield change(subject, "load_mode_changed", old=old.mode, new=new.mode)
        return
    settings = {name: (getattr(old, name), getattr(new, name)) for name in type(new).model_fields if name != "key"}
    for name, (before, after) in settings.items():
        if before != after:
            yield change(subject, _load_change(name, before, after), old=before, new=after, setting=name)


def _load_change(setting: str, before: float, after: float) -> str:
    """The name of a change of one setting; guards tell which way they went."""
    if setting == "deletionCeiling":
        return "deletion_ceiling_raised" if after > before else "deletion_ceiling_lowered"
    if setting == "volumeFloor":
        return "volume_floor_lowered" if after < before else "volume_floor_raised"
    return "newest_changed" if setting == "newest" else "load_changed"


def _key_changes(subject: str, old: list[str], new: list[str]) -> Iterator[Change]:
    if old != new:
        yield change(subject, "key_changed", old=", ".join(old), new=", ".join(new))


def _authority_changes(subject: str, contract: ProductContract, old: Contracts, new: Contracts) -> Iterator[Change]:
    """Who says what a column of a library is. A claim behind all others only fills what was empty."""
    before, after = old.authority.get(contract.id, {}), new.authority.get(contract.id, {})
    for column in contract.columns:
        was, now = before.get(column.name, ()), after.get(column.name, ())
        first, then = [_claim(claim) for claim in was], [_claim(claim) for claim in now]
        if first != then:
            extended = then[: len(first)] == first
            what = "authority_extended" if extended else "authority_changed"
            yield change(subject, what, column.name, old=" > ".join(first) or "—", new=" > ".join(then) or "—")
        elif [(one.basis, one.confidence) for one in was] != [(one.basis, one.confidence) for one in now]:
            yield change(subject, "authority_basis_changed", column.name)


def _claim(claim: Claim) -> str:
    days = f"{claim.since}/{claim.until or '..'}"  # an interval as ISO 8601-2 writes it
    return f"{claim.source}.{claim.column} [{days}]"


def _rule_changes(subject: str, was: Contract, now: Contract, source: bool) -> Iterator[Change]:
    old = {rule.id: rule for rule in was.rules if not _is_told(rule, was, now)}
    new = {rule.id: rule for rule in now.rules if not _is_told(rule, was, now)}
    side = "source" if source else "product"
    for rule_id in sorted(old.keys() | new.keys()):
        rule = new.get(rule_id) or old[rule_id]
        column = rule.columns[0] if len(rule.columns) == 1 else None
        if rule_id not in old:
            yield change(subject, f"{side}_rule_added", column, rule=rule_id)
        elif rule_id not in new:
            yield change(subject, f"{side}_rule_removed", column, rule=rule_id)
        elif old[rule_id] != rule:
            yield change(subject, "rule_changed", column, rule=rule_id)


def _is_told(rule: Rule, *contracts: Contract) -> bool:
    """True for rules that a key, a column's mark, limit or code list stands for: those are told as such."""
    if rule.verb in ("required", "max_length", "matches", "in_codes"):
        return True
    columns = [column for contract in contracts for column in contract.columns if (column.name,) == rule.columns]
    if rule.verb == "between":
        limits = [column.definition.logicalTypeOptions for column in columns]
        return any(limit.minimum is not None or limit.maximum is not None for limit in limits)
    keys = [contract.form.key for contract in contracts if isinstance(contract, ProductContract)]
    return rule.verb == "unique" and (list(rule.columns) in keys or any(column.unique for column in columns))


def _term_changes(subject: str, was: Contract, now: Contract) -> Iterator[Change]:
    """Status, frequency and retention, which sources and products share."""
    if was.form.status != now.form.status:
        what = "status_ended" if now.form.status in ("deprecated", "retired") else "status_changed"
        yield change(subject, what, old=was.form.status, new=now.form.status)
    old, new = was.form.slaProperties, now.form.slaProperties
    if old.frequency != new.frequency:
        yield change(subject, "frequency_changed", old=old.frequency, new=new.frequency)
    if old.retention != new.retention:
        yield change(subject, "retention_changed", old=old.retention, new=new.retention)


def _city_changes(old: Contracts, new: Contracts) -> Iterator[Change]:
    for channel, now in new.city.channels.items():
        was = old.city.channels.get(channel)
        if was is None:
            continue
        for pseudonymised in (False, True):
            before, after = was.limit(pseudonymised), now.limit(pseudonymised)
            if before != after:
                what = "max_level_raised" if after > before else "max_level_lowered"
                yield change("city", what, channel=channel, old=before, new=after)
                break
        for asked in dict.fromkeys((was.asks(level), now.asks(level)) for level in new.city.levels):
            yield from approval_changes("city", channel, *asked)


def _code_list_changes(old: Contracts, new: Contracts) -> Iterator[Change]:
    for name in sorted(old.codes.keys() | new.codes.keys()):
        was = set(old.codes[name].rows) if name in old.codes else set()
        now = set(new.codes[name].rows) if name in new.codes else set()
        if gone := was - now:
            yield change(f"codes/{name}", "code_list_narrowed", codes=_sample(gone))
        if came := now - was:
            yield change(f"codes/{name}", "code_list_widened", codes=_sample(came))
    means, meant = new.purposes, old.purposes
    gained = {text for text, code in means.items() if meant.get(text) != code and code in meant.values()}
    if gained:
        yield change(f"codes/{PURPOSES}", "purpose_means_more", codes=_sample(gained))


def _sample(codes: set[str]) -> str:
    return ", ".join(sorted(codes)[:5]) + (f" … ({len(codes)})" if len(codes) > 5 else "")
