"""Why a row was refused, or fails a rule of a model, in words a department understands: which columns, and what of
them does not hold.

The words of the rules are those of the message catalogue (`rule.<verb>`). No value of a row is ever in a reason.
"""

from collections.abc import Iterator, Mapping

from pipelines.admission.changes import CHANGED, CORRECTED, DUPLICATE
from pipelines.admission.compile import ERASED_ROW, UNREADABLE
from pipelines.contracts.forms.fields import FieldDefinition
from pipelines.contracts.resolved import ProductContract, SourceContract
from pipelines.contracts.rules import Rule, days_after_today
from pipelines.messages import translate

DETAILS = ("length", "pattern", "codes", "minimum", "maximum", "years", "tolerance", "kilometres")
"""The arguments of rules that tell what is allowed."""
LIMITS = ("minimum", "maximum")
_BETWEEN = {"zh": ("、", "，", "；"), "en": (", ", ", ", "; ")}
"""By language what stands between columns, between what is allowed, and between reasons."""


def reasons(contract: SourceContract, language: str) -> Mapping[str, str]:
    """The reason behind every rule that can refuse a row of this source, by rule id; `language` is `zh` or `en`."""
    return dict(_reasons(contract, language))


def of_model(contract: ProductContract, language: str) -> Mapping[str, str]:
    """What every rule and every advice of a model asks, by rule id; of one without a column, of the whole table."""
    whole = translate("quarantine.whole_table", language)
    labels = {column.name: _label(column.definition, column.name, language) for column in contract.columns}
    rules = (*contract.rules, *contract.advice)
    return {
        rule.id: _of_rule(rule, labels, language) if rule.columns else _about(whole, rule, language) for rule in rules
    }


def told(rules: str, known: Mapping[str, str], language: str) -> str:
    """The reasons of a comma-separated list of rules, one after the other."""
    unknown, between = "quarantine.unknown_rule", _BETWEEN[language][2]
    return between.join(known.get(rule) or translate(unknown, language, rule=rule) for rule in rules.split(","))


def _reasons(contract: SourceContract, language: str) -> Iterator[tuple[str, str]]:
    labels = _labels(contract, language)
    key = _BETWEEN[language][0].join(labels[name] for name in contract.form.load.key)
    yield DUPLICATE, translate("quarantine.duplicate", language, columns=key)
    yield CHANGED, translate("quarantine.changed", language, columns=key)
    yield CORRECTED, translate("quarantine.corrected", language)
    yield ERASED_ROW, translate("quarantine.erased", language)
    yield UNREADABLE, translate("quarantine.unreadable", language, column=translate("quarantine.heading.unread", "zh"))
    for column in contract.columns:
        kind = column.definition.logicalType
        if kind != "string":
            demand = translate(f"quarantine.type.{kind}", language)
            yield f"{column.name}.type", _reason(labels[column.name], demand, "", language)
    yield from ((rule.id, _of_rule(rule, labels, language)) for rule in contract.rules if rule.about.of_rows)


def _of_rule(rule: Rule, labels: Mapping[str, str], language: str) -> str:
    return _about(_BETWEEN[language][0].join(labels[name] for name in rule.columns), rule, language)


def _about(what: str, rule: Rule, language: str) -> str:
    return _reason(what, translate(f"rule.{rule.verb}", language), _details(rule, language), language)


def _reason(columns: str, demand: str, details: str, language: str) -> str:
    return translate("quarantine.reason", language, columns=columns, demand=demand, details=details)


def _details(rule: Rule, language: str) -> str:
    """What the rule allows, in brackets; empty if it has no bounds of its own."""
    given = [(name, rule.arguments.get(name)) for name in DETAILS]
    told = [_detail(name, value, language) for name, value in given if value is not None]
    return translate("quarantine.details", language, details=_BETWEEN[language][1].join(told)) if told else ""


def _detail(name: str, value: object, language: str) -> str:
    if name in LIMITS and isinstance(value, str):  # of a day: a limit of numbers is a number
        return translate(f"quarantine.day.{name}", language, day=_day(value, language))
    return translate(f"quarantine.detail.{name}", language, value=value)


def _day(bound: str, language: str) -> str:
    """The day of a limit; one that moves with the day the rows are judged on, in words."""
    days = days_after_today(bound)
    if days is None:
        return translate("quarantine.day.fixed", language, day=bound)
    return translate("quarantine.day.later" if days else "quarantine.day.same", language, days=days)


def _labels(contract: SourceContract, language: str) -> dict[str, str]:
    """Every column by name, as `姓名（XM）`."""
    columns = contract.all_columns
    return {one.name: _label(one.definition, one.physical_name.strip(), language) for one in columns}


def _label(definition: FieldDefinition, column: str, language: str) -> str:
    name = definition.businessName if language == "zh" else definition.businessNameEn
    return translate("quarantine.column", language, name=name, column=column)
