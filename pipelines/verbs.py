"""Registries of named functions that contracts may call: connectors, cleaning steps, rules, derivations, masks.

A contract names a verb and its arguments; both are checked here against the Python signature, before anything runs.
What the verbs do lives with their subject, not here.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import is_typeddict

STRICT = ConfigDict(extra="forbid", strict=True)
"""For typed dictionaries that are arguments: no unknown keys, no silent conversion."""

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M")


class ColumnName:
    """Marks an argument that must name a column of the contract."""


class CodeListName:
    """Marks an argument that must name a code list."""


class ModelName:
    """Marks an argument that must name a released model."""


class SharedColumnName:
    """Marks an argument that must name a column which the model that the call names has as well."""


class RelationName:
    """Marks an argument that must name another source, in the contract of a source, or else a released model."""


class TheirColumnName:
    """Marks an argument that must name a column of the source or model that the call names."""


Column = Annotated[str, ColumnName]
CodeList = Annotated[str, CodeListName]
Model = Annotated[str, ModelName]
SharedColumn = Annotated[str, ColumnName, SharedColumnName]
Relation = Annotated[str, RelationName]
TheirColumn = Annotated[str, TheirColumnName]


class VerbError(Exception):
    """The arguments of a call do not fit the verb's signature.

    `code` is a message id `arguments.*`, `arguments` fill it; `details` are pydantic's errors for a mistyped value.
    """

    def __init__(self, code: str, details: Sequence[ErrorDetails] = (), **arguments: object) -> None:
        self.code = code
        self.details = details
        self.arguments = arguments
        super().__init__(f"{code} {arguments}")


@dataclass(frozen=True)
class Verb(Generic[F, M]):
    """A registered function with its metadata. Keyword-only parameters are what a contract may give."""

    name: str
    function: F
    about: M
    check: Callable[[Mapping[str, Any]], None] | None = None
    """Looks at bound arguments together. Raises VerbError if they do not fit each other."""

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The arguments of a contract: the keyword-only parameters."""
        found = inspect.signature(self.function).parameters.values()
        return {parameter.name: parameter for parameter in found if parameter.kind is parameter.KEYWORD_ONLY}

    @property
    def required(self) -> list[str]:
        """The arguments without a default."""
        return [name for name, parameter in self.parameters.items() if parameter.default is parameter.empty]

    @property
    def signature(self) -> str:
        """How to call it, for messages: `between(minimum: str, maximum: str = today)`."""
        return f"{self.name}({', '.join(_shown(parameter) for parameter in self.parameters.values())})"

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check and convert arguments. Raises VerbError for unknown, missing or mistyped ones, or that do not fit."""
        unknown = sorted(set(arguments) - set(self.parameters))
        if unknown:
            raise VerbError("arguments.unknown", names=", ".join(unknown))
        missing = [name for name in self.required if name not in arguments]
        if missing:
            raise VerbError("arguments.missing", names=", ".join(missing))
        given = (name for name in self.parameters if name in arguments)
        bound = {name: _convert(name, self.parameters[name].annotation, arguments[name]) for name in given}
        if self.check is not None:
            self.check(bound)
        return bound

    def columns(self, arguments: Mapping[str, Any]) -> list[str]:
        """The columns that bound arguments name."""
        return list(self._marked(arguments, ColumnName))

    def code_lists(self, arguments: Mapping[str, Any]) -> list[str]:
        """The code lists that bound arguments name."""
        return list(self._marked(arguments, CodeListName))

    def models(self, arguments: Mapping[str, Any]) -> list[str]:
        """The models that bound arguments name."""
        return list(self._marked(arguments, ModelName))

    def shared_columns(self, arguments: Mapping[str, Any]) -> list[str]:
        """The columns that bound arguments name of the contract and of the models."""
        return list(self._marked(arguments, SharedColumnName))

    def relations(self, arguments: Mapping[str, Any]) -> list[str]:
        """The sources or models that bound arguments name."""
        return list(self._marked(arguments, RelationName))

    def their_columns(self, arguments: Mapping[str, Any]) -> list[str]:
        """The columns of these that bound arguments name."""
        return list(self._marked(arguments, TheirColumnName))

    def _marked(self, arguments: Mapping[str, Any], mark: type) -> Iterator[str]:
        for name, value in arguments.items():
            if mark in marks(self.parameters[name].annotation):
                yield from value if isinstance(value, list | dict) else [value]


class Registry(dict[str, Verb[F, M]], Generic[F, M]):
    """Verbs of one kind by name."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def register(
        self, about: M, name: str | None = None, check: Callable[[Mapping[str, Any]], None] | None = None
    ) -> Callable[[F], F]:
        """Decorator: add a function under its own name, or `name`; `check` looks at its arguments together.

        Raises ValueError if the name is taken.
        """

        def add(function: F) -> F:
            verb_name = name or function.__name__
            if verb_name in self:
                raise ValueError(f"{self.kind} {verb_name} is registered twice")
            self[verb_name] = Verb(verb_name, function, about, check)
            return function

        return add


def marks(annotation: Any) -> tuple[Any, ...]:
    """What a parameter's annotation is marked with: `ColumnName`, `CodeListName` and so on, or nothing."""
    inner = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    return tuple(getattr(inner, "__metadata__", ()))


@cache
def adapter(annotation: Any) -> TypeAdapter[Any]:
    """The strict checker of one annotation; building it is slow, so it is kept."""
    try:
        return TypeAdapter(annotation, config=ConfigDict(strict=True, allow_inf_nan=False))
    except PydanticUserError:  # a model or typed dictionary brings its own configuration
        return TypeAdapter(annotation)


def _convert(name: str, annotation: Any, value: Any) -> Any:
    try:
        return adapter(annotation).validate_python(value)
    except ValidationError as error:
        raise VerbError("arguments.bad", error.errors(include_url=False), name=name) from error


def _shown(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default}"
    return f"{parameter.name}: {_type_name(parameter.annotation)}{default}"


def _type_name(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(parts[0])
    if origin is list:
        return f"list[{_type_name(parts[0])}]"
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(_type_name, parts)))
    if annotation is NoneType:
        return "None"
    if is_typeddict(annotation):
        return "mapping"
    return str(getattr(annotation, "__name__", annotation)) if isinstance(annotation, type) else str(annotation)
