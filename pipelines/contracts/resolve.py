"""Resolving names and calls: a column's inheritance from fields.yaml, a verb's arguments, the rules that follow.

Works on parts of contracts; whole files are put together in `load`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pipelines.codecs.cleaning import NULL_WORDS, steps
from pipelines.codecs.derive import derivations
from pipelines.contracts.forms.fields import ColumnForm, FieldDefinition
from pipelines.contracts.forms.sources import SourceForm
from pipelines.contracts.forms.words import Call, StepCall
from pipelines.contracts.located import Located, Place
from pipelines.contracts.mistakes import Noted, call_error, check_column, check_known, error
from pipelines.contracts.resolved import CodeList, Column, Derived, Step
from pipelines.contracts.rules import Context, Rule, days_after_today, rules
from pipelines.verbs import Registry, Verb, VerbError

PERCENT = ("%", "％")
"""The unit of which a number may be delivered with its sign: 12.5%."""
_PROBE = Context(lists={}, today=date(2000, 1, 1))


class Resolver:
    """Knows the city's fields and code lists.

    `wanted_models`: models that rules name, with the columns they must have, checked when all are read;
    `wanted_sources`: the same of sources.
    """

    def __init__(self, codes: Mapping[str, CodeList]) -> None:
        self.codes = codes
        self.fields: dict[str, FieldDefinition] = {}
        self.wanted_models: list[tuple[Located, Place, str, list[str]]] = []
        self.wanted_sources: list[tuple[Located, Place, str, list[str]]] = []

    def add_fields(self, file: Located, fields: Mapping[str, FieldDefinition]) -> None:
        """Check fields.yaml and keep it. Raises CitylakeError for unknown verbs, code lists and senseless limits."""
        noted = Noted()
        for name, field in fields.items():
            with noted:
                self._check_field(file, name, field, fields)
        noted.check()
        self.fields.update(fields)

    def _check_field(
        self, file: Located, name: str, field: FieldDefinition, fields: Mapping[str, FieldDefinition]
    ) -> None:
        if field.codes is not None:
            check_known(file, (name, "codes"), "code list", field.codes, self.codes)
        check_options(file, (name, "logicalTypeOptions"), field)
        self._clean(file, (name,), field.clean, field.codes)
        for index, source in enumerate(field.lowered.sources if field.lowered else ()):
            check_known(file, (name, "lowered", "from", index), "field", source, fields)
        for place, call in _implied_rules(field):
            self.rule(file, (name, *place), call, {"column": name}, [name])

    def columns(self, file: Located, properties: Sequence[str | ColumnForm], key: Sequence[str]) -> tuple[Column, ...]:
        """The columns of `properties`. Columns of the key are required whether they say so or not."""
        columns, noted = dict[str, Column](), Noted()
        for index, item in enumerate(properties):
            with noted:
                column = self.column(file, ("properties", index), item, key)
                if column.name in columns:
                    raise error("contract.duplicate_key", file, ("properties", index), key=column.name)
                columns[column.name] = column
        noted.check()
        return tuple(columns.values())

    def column(self, file: Located, place: Place, item: str | ColumnForm, key: Sequence[str] = ()) -> Column:
        """One column with all that it inherits."""
        form = ColumnForm(name=item) if isinstance(item, str) else item
        check_known(file, (*place, "name"), "field", form.name, self.fields)
        field = self.fields[form.name]
        level = form.classification or field.classification
        if field.personal is not None and level < field.classification:
            raise error("contract.personal_lowered", file, (*place, "classification"), column=form.name, level=level)
        definition = _overridden(form, field)
        check_options(file, (*place, "logicalTypeOptions"), definition)
        calls = field.clean if form.clean is None else form.clean
        return Column(
            name=form.name,
            physical_name=form.physicalName or form.name,
            definition=definition,
            level=level,
            required=form.required or form.name in key,
            unique=form.unique,
            clean=self._clean(file, place, calls, definition.codes, _of_percent(definition)),
            description=form.description or field.description,
        )

    def _clean(
        self, file: Located, place: Place, calls: Sequence[StepCall], codes: str | None, percent: bool = False
    ) -> tuple[Step, ...]:
        """The cleaning steps of a column. `percent`: it holds numbers of percent.

        Raises CitylakeError if `null_words` would empty a word of its code list."""
        clean = tuple(self.call(file, (*place, "clean", i), steps, call) for i, call in enumerate(calls))
        if percent and "percent" not in {step.verb for step in clean}:
            clean += (Step("percent", {"fraction": False}),)
        words: Iterable[str] = self.codes[codes].rows if codes else ()
        for index, step in reversed(list(enumerate(clean))):
            if step.verb == "code_of":
                words = self.codes[step.arguments["codes"]].spellings
            lost = [word for word in words if word.upper() in NULL_WORDS] if step.verb == "null_words" else []
            if lost:
                raise error("contract.code_is_null_word", file, (*place, "clean", index), word=lost[0])
        return clean

    def derived(self, file: Located, form: SourceForm, columns: Sequence[Column]) -> tuple[Derived, ...]:
        """The derived columns of a source."""
        names = {column.name for column in columns}
        result: dict[str, Derived] = {}
        for index, item in enumerate(form.derived):
            ((name, call),) = item.items()
            place: Place = ("derived", index, name)
            if name in names or name in result:
                raise error("contract.duplicate_key", file, place, key=name)
            step = self.call(file, place, derivations, call, {}, names)
            result[name] = Derived(self.column(file, place, name), step)
        return tuple(result.values())

    def rules(
        self,
        file: Located,
        calls: Sequence[Call],
        columns: Sequence[Column],
        events: bool,
        source: bool,
        cells: bool = False,
    ) -> tuple[Rule, ...]:
        """Rules that follow from the columns, then the contract's own. `events`: rules about history may stand here;
        `source`: rules about shapes may; `cells`: what comes are, or were, cells of a workbook."""
        names = [column.name for column in columns]
        found: dict[str, Rule] = {}
        for index, column in enumerate(columns):
            kept = [((), "cell_whole")] if cells and column.definition.logicalType == "string" else []
            for place, call in (*_implied_rules(column.definition, column), *kept):
                rule = self.rule(file, ("properties", index, *place), call, {"column": column.name}, names)
                found.setdefault(rule.id, rule)
        noted = Noted()
        for index, call in enumerate(calls):
            place = ("quality", index)
            with noted:
                rule = self.rule(file, place, call, {}, names)
                _check_bounds_of_rule(file, place, rule, columns)
                if found.get(rule.id, rule) != rule:
                    # not a comma: quarantine writes the rules that a row failed with commas between them
                    rule = Rule(f"{rule.verb}({'+'.join(rule.columns)})", rule.verb, rule.columns, rule.arguments)
                if found.setdefault(rule.id, rule) != rule:
                    raise error("contract.duplicate_rule", file, place, rule=rule.id)
                if rule.about.scope == "across" and source:
                    raise error("contract.rule_across", file, place, rule=rule.verb)
                if rule.about.scope == "history" and not events:
                    raise error("contract.rule_of_events", file, place, rule=rule.verb)
        noted.check()
        if not source and (shape := next((rule for rule in found.values() if rule.about.scope == "shape"), None)):
            raise error("contract.rule_of_shapes", file, ("quality",), rule=shape.verb)
        return tuple(found.values())

    def across(self, file: Located, calls: Sequence[Call], columns: Sequence[Column]) -> tuple[Rule, ...]:
        """The rules of a source about others."""
        names = [column.name for column in columns]
        found: dict[str, Rule] = {}
        for index, call in enumerate(calls):
            place: Place = ("across", index)
            rule = self.rule(file, place, call, {}, names)
            if rule.about.scope != "across":
                raise error("contract.rule_not_across", file, place, rule=rule.verb)
            if found.setdefault(rule.id, rule) is not rule:
                raise error("contract.duplicate_rule", file, place, rule=rule.id)
        return tuple(found.values())

    def rule(self, file: Located, place: Place, call: Call, given: Mapping[str, Any], names: Iterable[str]) -> Rule:
        """One rule, bound. Its id is `<column>.<verb>` if it judges one column, `unique(...)`, for rules about two
        datasets `<verb>(<columns>:<the other>)`, about rows beside others `<verb>(<columns>)`, or the verb."""
        step = self.call(file, place, rules, call, given, names)
        verb = rules[step.verb]
        columns = tuple(dict.fromkeys(verb.columns(step.arguments)))
        shared = verb.shared_columns(step.arguments)
        self.wanted_models += [(file, place, model, shared) for model in verb.models(step.arguments)]
        owner = given.get("column") or (step.arguments.get("column") if verb.about.of_rows else None)
        rule_id = f"{owner}.{step.verb}" if owner else step.verb
        if step.verb == "unique":
            rule_id = f"unique({','.join(columns)})"
        wanted = self.wanted_sources if place[0] == "across" else self.wanted_models
        if verb.about.scope == "across":
            seen = [step.arguments[name] for name in ("column",) if name in step.arguments]
            rule_id = f"{verb.name}({'+'.join([*seen, *step.arguments.get('by', [])])})"
        for other in verb.relations(step.arguments):
            wanted.append((file, place, other, verb.their_columns(step.arguments)))
            keyed = step.arguments.get("columns") or step.arguments["by"]
            if len(keyed) != len(step.arguments["their"]):
                raise error("contract.keys_differ", file, place, rule=step.verb)
            rule_id = f"{verb.name}({'+'.join(keyed)}:{other})"
        return Rule(rule_id, step.verb, columns, step.arguments)

    def call(
        self,
        file: Located,
        place: Place,
        registry: Registry[Any, Any],
        call: Call,
        given: Mapping[str, Any] | None = None,
        names: Iterable[str] | None = None,
    ) -> Step:
        """Resolve one call: the verb exists, its arguments fit, columns and code lists they name exist."""
        name, arguments = (call, {}) if isinstance(call, str) else next(iter(call.items()))
        check_known(file, (*place, name), registry.kind, name, registry)
        verb: Verb[Any, Any] = registry[name]
        supplied = {key: value for key, value in (given or {}).items() if key in verb.parameters}
        try:
            bound = verb.bind({**supplied, **arguments})
            if name == "between":
                verb.function(_PROBE, **bound)
        except VerbError as found:
            wrong = found.arguments.get("name", "")
            raise call_error(file, (*place, name, str(wrong)), registry.kind, verb, found) from found
        for code_list in verb.code_lists(bound):
            check_known(file, (*place, name), "code list", code_list, self.codes)
        for column in verb.columns(bound) if names is not None else ():
            check_column(file, (*place, name), column, names or ())
        return Step(name, bound)


def check_options(file: Located, place: Place, definition: FieldDefinition) -> None:
    """Limits must make sense for the type: lengths and patterns of text, bounds of the type itself, in order."""
    options, kind = definition.logicalTypeOptions, definition.logicalType
    for name in ("maxLength", "pattern"):
        if getattr(options, name) is not None and kind != "string":
            raise error("contract.option_type", file, (*place, name), option=name, type=kind)
    for name in ("minimum", "maximum"):
        bound = getattr(options, name)
        if bound is not None and not _fits(bound, kind):
            raise error("contract.bound_type", file, (*place, name), option=name, value=bound, type=kind)
    _check_order(file, place, options.minimum, options.maximum)


def _check_bounds_of_rule(file: Located, place: Place, rule: Rule, columns: Sequence[Column]) -> None:
    if rule.verb != "between":
        return
    kind = next(column.definition.logicalType for column in columns if column.name == rule.columns[0])
    for name in ("minimum", "maximum"):
        bound = rule.arguments.get(name)
        if bound is not None and not _fits(bound, kind):
            raise error("contract.bound_type", file, (*place, "between", name), option=name, value=bound, type=kind)
    _check_order(file, (*place, "between"), rule.arguments.get("minimum"), rule.arguments.get("maximum"))


def _check_order(file: Located, place: Place, minimum: Any, maximum: Any) -> None:
    comparable = days_after_today(minimum) is None and days_after_today(maximum) is None
    if minimum is not None and maximum is not None and comparable and minimum > maximum:
        raise error("contract.bound_order", file, (*place, "minimum"), minimum=minimum, maximum=maximum)


def _fits(bound: int | float | str, kind: str) -> bool:
    if kind in ("integer", "number"):
        return not isinstance(bound, str) and (kind == "number" or isinstance(bound, int))
    if kind not in ("date", "timestamp") or not isinstance(bound, str):
        return False
    try:
        datetime.fromisoformat(bound) if kind == "timestamp" else date.fromisoformat(bound)
    except ValueError:
        return days_after_today(bound) is not None
    return True


def _of_percent(definition: FieldDefinition) -> bool:
    return definition.unit in PERCENT and definition.logicalType in ("integer", "number")


def _overridden(form: ColumnForm, field: FieldDefinition) -> FieldDefinition:
    update: dict[str, Any] = {}
    if form.logicalTypeOptions is not None:
        given = form.logicalTypeOptions.model_dump(exclude_unset=True)
        update["logicalTypeOptions"] = field.logicalTypeOptions.model_copy(update=given)
    if form.quality is not None:
        update["quality"] = form.quality
    return field.model_copy(update=update)


def _implied_rules(definition: FieldDefinition, column: Column | None = None) -> list[tuple[Place, Call]]:
    """Rules that follow from a definition, and from a column's own marks, each with the place it comes from."""
    options = definition.logicalTypeOptions
    calls: list[tuple[Place, Call]] = []
    if column is not None and column.required:
        calls.append((("required",), "required"))
    if options.maxLength is not None:
        calls.append((("logicalTypeOptions", "maxLength"), {"max_length": {"length": options.maxLength}}))
    if options.pattern is not None:
        calls.append((("logicalTypeOptions", "pattern"), {"matches": {"pattern": options.pattern}}))
    if definition.codes is not None:
        calls.append((("codes",), {"in_codes": {"codes": definition.codes}}))
    if options.minimum is not None or options.maximum is not None:
        bounds = {"minimum": options.minimum, "maximum": options.maximum}
        calls.append((("logicalTypeOptions",), {"between": bounds}))
    if definition.geometry is not None:
        calls.append((("geometry",), {"wkt": {"geometry": definition.geometry.kind}}))
    if column is not None and column.unique:
        calls.append((("unique",), {"unique": {"columns": [column.name]}}))
    return calls + [(("quality", index), call) for index, call in enumerate(definition.quality)]
