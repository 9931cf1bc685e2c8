"""Mistakes in contracts as messages a person can act on: file, line, what is wrong, and a hint.

Decides which of several complaints is the useful one and words it in both languages; finds no mistakes itself.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pipelines.contracts.forms.words import DAY_PATTERN, NAME_PATTERN, RETENTION_PATTERN, SEMVER_PATTERN
from pipelines.contracts.located import Located, Place
from pipelines.contracts.texts import both
from pipelines.messages import CitylakeError
from pipelines.verbs import Verb, VerbError

_EXPECTED = {
    "string_type": "text",
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "bool_type": "boolean",
    "list_type": "list",
    "dict_type": "mapping",
    "model_type": "mapping",
}
# Patterns that say more to a person in words than as a regular expression.
_PATTERNS = {
    NAME_PATTERN: "problem.name",
    SEMVER_PATTERN: "problem.version",
    RETENTION_PATTERN: "problem.retention",
    DAY_PATTERN: "problem.day",
}

UNDECIDED = "待定"
"""How a text in a draft begins in whose place a person must write something."""

# Missing keys of which more can be said than that they are missing.
_MISSING = {"licence": "contract.licence_missing"}


class Mistakes(CitylakeError):
    """Several mistakes, told together. Code and arguments are those of the first."""

    def __init__(self, each: Sequence[CitylakeError]) -> None:
        super().__init__(each[0].code, **each[0].arguments)
        self.each = tuple(each)
        self.args = ("\n".join(map(str, each)),)

    def text(self, language: str) -> str:
        """All of them in one language."""
        return "\n".join(one.text(language) for one in self.each)


class Noted:
    """Collects mistakes: what is done under it may raise one, and what follows it is checked all the same."""

    def __init__(self) -> None:
        self.found: list[CitylakeError] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, _: object) -> bool:
        if not isinstance(problem, CitylakeError):
            return False
        told = {str(one) for one in self.found}
        each = problem.each if isinstance(problem, Mistakes) else (problem,)
        self.found += [one for one in each if str(one) not in told]
        return True

    def check(self) -> None:
        """Raises CitylakeError if there was any mistake."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise Mistakes(self.found)


def error(code: str, file: Located, place: Place, **arguments: object) -> CitylakeError:
    """Message `code` about a place of a file."""
    return CitylakeError(code, file=file.path, line=file.line(place), **arguments)


def check_known(file: Located, place: Place, kind: str, name: str, known: Iterable[str]) -> None:
    """Raises CitylakeError, with a guess, unless `name` is known. `kind` is a message id `kind.*` without `kind.`."""
    if name not in (names := known if isinstance(known, Mapping) else list(known)):
        about = both("kind", f"kind.{kind.replace(' ', '_')}")
        raise error("contract.unknown_name", file, place, name=name, **about, **_hints(name, names))


def check_column(file: Located, place: Place, name: str, known: Iterable[str]) -> None:
    """Raises CitylakeError, with a guess, unless `name` is a column of the contract."""
    if name not in (names := list(known)):
        raise error("contract.not_a_column", file, place, name=name, **_hints(name, names))


def call_error(file: Located, place: Place, kind: str, verb: Verb[Any, Any], found: VerbError) -> CitylakeError:
    """A call whose arguments do not fit the verb."""
    told = both("kind", f"kind.{kind.replace(' ', '_')}") | call_problem(found)
    return error("contract.bad_arguments", file, place, name=verb.name, signature=verb.signature, **told)


def call_problem(found: VerbError) -> dict[str, str]:
    """What does not fit, as `problem_zh` and `problem_en` of a message."""
    code, arguments = found.code, dict(found.arguments)
    if found.details:
        details = _useful(found.details)
        key = _key_inside(details)
        within = f"{arguments['name']}.{key}" if key else str(arguments["name"])
        if details["type"] in ("missing", "union_tag_not_found"):
            code, arguments = "arguments.missing", {"names": within}
        elif details["type"] == "extra_forbidden":
            code, arguments = "arguments.unknown", {"names": within}
        else:
            value = details.get("input")
            shown = value if isinstance(value, str | int | float) else "…"
            arguments |= {"name": within, "value": shown, **_describe(found.details)}
    return both("problem", code, **arguments)


def _key_inside(details: ErrorDetails) -> str:
    """The key of an argument that is a mapping of its own, if a complaint is about that key; else empty."""
    if details["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return str(details["ctx"]["discriminator"]).strip("'")
    last = details["loc"][-1] if details["loc"] else ""
    mapped = details["type"] in ("missing", "extra_forbidden", "literal_error", "greater_than_equal")
    return last if mapped and isinstance(last, str) else ""


def check_decided(file: Located) -> None:
    """Raises CitylakeError for a draft in which a person has still something to decide, with the first such place."""
    texts = [(place, text) for place, text in file.texts.items() if text.startswith(UNDECIDED)]
    if texts:
        place, text = min(texts, key=lambda one: file.line(one[0]))
        raise error("contract.undecided", file, place, text=text, more=len(texts) - 1)


def structure_errors(file: Located, found: ValidationError, form: TypeAdapter[Any]) -> Iterator[CitylakeError]:
    """The structural mistakes, one for a place.

    An unknown key takes the place of the missing key that it was probably meant to be; else the earliest line comes
    first. Of the complaints of a union's alternatives, the one that got furthest is told.
    """
    located = [(_place(file.value, details["loc"]), details) for details in found.errors(include_url=False)]
    relevant = [(place, details) for place, details in located if not _is_other_branch(place, details, located)]
    order = {"extra_forbidden": 0, "missing": 2}
    relevant.sort(key=lambda item: (order.get(item[1]["type"], 1), file.line(item[0])))
    told: list[Place] = []
    for place, details in relevant:
        inside = (*place, details["loc"][-1]) if details["type"] == "missing" else place
        keys = [str(one[-1]) for one in told if one[:-1] == place and details["type"] == "missing"]
        meant = difflib.get_close_matches(str(inside[-1]) if inside else "", keys, n=1)
        if not meant and not any(inside[: len(one)] == one or one[: len(inside)] == inside for one in told):
            yield _structure_error(file, place, details, relevant, form)
        told.append(inside)


def _structure_error(
    file: Located,
    place: Place,
    details: ErrorDetails,
    relevant: Sequence[tuple[Place, ErrorDetails]],
    form: TypeAdapter[Any],
) -> CitylakeError:
    key = details["loc"][-1]
    if details["type"] == "extra_forbidden":
        hints = _hints(str(key), _keys(form.json_schema(), place[:-1]))
        return error("contract.unknown_key", file, place, key=key, **hints)
    if details["type"] == "missing":
        return error(_MISSING.get(str(key), "contract.missing_key"), file, place, key=key)
    same = [other for where, other in relevant if where == place]
    if details["type"] == "union_tag_not_found":
        return error("contract.missing_key", file, place, key=str(details["ctx"]["discriminator"]).strip("'"))
    problem = both("problem", "problem.null") if details["input"] is None else _describe(same)
    shown = ".".join(part for part in place if isinstance(part, str)) or file.path.stem
    return error(
        "contract.bad_value", file, place, at=shown, value=file.texts.get(place) or _short(details["input"]), **problem
    )


def _place(value: Any, loc: Sequence[str | int]) -> Place:
    """The part of pydantic's location that stands in the file; the rest are names of a union's alternatives."""
    place: list[str | int] = []
    for part in loc:
        inside = isinstance(value, dict) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]
            place.append(part)
    return tuple(place)


def _is_other_branch(place: Place, details: ErrorDetails, all_: Sequence[tuple[Place, ErrorDetails]]) -> bool:
    """True for "not a text" about a mapping whose content another alternative criticises, and the like."""
    if details["type"] not in _EXPECTED:
        return False
    return any(
        where[: len(place)] == place and (len(where) > len(place) or other["type"] not in _EXPECTED)
        for where, other in all_
        if other is not details
    )


def _useful(details: Sequence[ErrorDetails]) -> ErrorDetails:
    """The complaint that is about a value's content, or else the first."""
    return next((item for item in details if item["type"] not in _EXPECTED), details[0])


def _describe(details: Sequence[ErrorDetails]) -> dict[str, str]:
    """What is wrong with one value, in both languages."""
    first = _useful(details)
    if first["type"] in _EXPECTED:
        kinds = dict.fromkeys(_EXPECTED[item["type"]] for item in details if item["type"] in _EXPECTED)
        names = [both("name", f"type.{kind}") for kind in kinds]
        expected_zh, expected_en = "或".join(n["name_zh"] for n in names), " or ".join(n["name_en"] for n in names)
        number = isinstance(first["input"], int | float) and not isinstance(first["input"], bool)
        code = "problem.quote" if number and "text" in kinds else "problem.type"
        return both("problem", code, expected_zh=expected_zh, expected_en=expected_en)
    context = dict(first.get("ctx", {}))
    if first["type"] == "string_pattern_mismatch":
        return both("problem", _PATTERNS.get(str(context["pattern"]), "problem.pattern"), **context)
    if first["type"] == "union_tag_invalid":
        return both("problem", "problem.literal", allowed=str(context["expected_tags"]).replace("'", ""))
    if first["type"] == "literal_error":
        return both("problem", "problem.literal", allowed=", ".join(re.findall(r"'([^']*)'", str(context["expected"]))))
    codes = {
        "string_too_short": "problem.empty",
        "too_short": "problem.empty",
        "too_long": "problem.too_long",
        "greater_than_equal": "problem.at_least",
        "greater_than": "problem.above",
        "less_than_equal": "problem.at_most",
        "finite_number": "problem.finite",
        "pattern": "problem.regex",
    }
    return both("problem", codes.get(first["type"], "problem.other"), **context)


def _short(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else "…"


def _hints(name: str, known: Iterable[str]) -> dict[str, str]:
    names = sorted(known)
    guess = difflib.get_close_matches(str(name), names, n=1)
    if guess:
        return both("hint", "contract.hint", guess=guess[0])
    return both("hint", "contract.known", known=", ".join(names[:20]) + (" …" if len(names) > 20 else ""))


def _keys(schema: Mapping[str, Any], place: Place) -> list[str]:
    """The keys that the form allows at a place, found in its JSON Schema."""
    parts = _alternatives(schema, [schema])
    for step in place:
        inner = [found for part in parts for found in _inside(part, step)]
        parts = _alternatives(schema, inner)
    return sorted({key for part in parts for key in part.get("properties", {})})


def _alternatives(schema: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for part in parts:
        if "$ref" in part:
            found += _alternatives(schema, [schema["$defs"][part["$ref"].rsplit("/", 1)[1]]])
        elif inner := part.get("anyOf") or part.get("oneOf"):
            found += _alternatives(schema, inner)
        else:
            found.append(part)
    return found


def _inside(part: Mapping[str, Any], step: str | int) -> list[Mapping[str, Any]]:
    if isinstance(step, int) and "items" in part:
        return [part["items"]]
    patterns = part.get("patternProperties", {}).values()
    others = [part["additionalProperties"]] if isinstance(part.get("additionalProperties"), dict) else []
    return [part["properties"][step]] if step in part.get("properties", {}) else [*patterns, *others]
