"""What is told of a command that was written wrongly, and the headings of help: Chinese first, English second.

Which commands there are does not belong here, nor what they say once they run (`output`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from typer import rich_utils
from typer.core import TyperArgument, TyperGroup

from pipelines.messages import say, translate

GREATEST = 2**63 - 1
"""No row, batch or version has a greater number: registers cannot hold one."""
OWN_OPTIONS: Final = {
    "--help": "usage.show_help",
    "--install-completion": "usage.install_completion",
    "--show-completion": "usage.show_completion",
}
"""The options that click and Typer add, and what tells of them."""


class Commands(TyperGroup):
    """All commands: whatever is wrong with how one is written is told in both languages."""

    def make_context(self, info_name: str | None, args: list[str], *others: Any, **settings: Any) -> click.Context:
        """As click has it. Raises UsageError in both languages."""
        for number, arg in enumerate(args, 1):
            if (shown := arg.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")) != arg:
                raise click.UsageError(say("usage.no_utf8", number=number, text=shown))
        with _translated():
            return super().make_context(info_name, args, *others, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """As click has it. Raises UsageError in both languages."""
        with _translated():
            return super().invoke(ctx)


def headings() -> None:
    """Make help and errors show their headings in both languages."""
    rich_utils.ARGUMENTS_PANEL_TITLE = _short("usage.arguments")
    rich_utils.OPTIONS_PANEL_TITLE = _short("usage.options")
    rich_utils.COMMANDS_PANEL_TITLE = _short("usage.commands")
    rich_utils.ERRORS_PANEL_TITLE = _short("usage.error")
    rich_utils.RICH_HELP = _short("usage.help", command_path="{command_path}", help_option="{help_option}")


def help_of_arguments() -> None:
    """Make help show what arguments are: click 8.5 empties the texts that Typer 0.25 has given its arguments."""
    made = TyperArgument.__init__

    def init(argument: TyperArgument, **given: Any) -> None:
        made(argument, **given)
        argument.help = given.get("help")

    TyperArgument.__init__ = init  # type: ignore[assignment, method-assign]


def help_of_options() -> None:
    """Make help say in both languages what the options do that every command has, or the whole of them."""
    made = click.Command.get_params

    def params(command: click.Command, ctx: click.Context) -> list[click.Parameter]:
        found = made(command, ctx)
        for option in found:
            if isinstance(option, click.Option) and (code := OWN_OPTIONS.get(option.opts[0])):
                option.help = _short(code)
        return found

    click.Command.get_params = params  # type: ignore[assignment, method-assign]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise click.UsageError(_told(error), error.ctx) from None


def _told(error: click.UsageError) -> str:
    if isinstance(error, click.MissingParameter):
        return say("usage.missing", name=_name(error))
    if isinstance(error, click.BadParameter) and error.param is not None:
        kind, about = _wanted(error.param.type)
        wanted = {language: translate(kind, language, **about) for language in ("zh", "en")} if kind else {}
        told = {language: wanted.get(language, error.message) for language in ("zh", "en")}
        lines = (translate("usage.value", one, name=_name(error), wanted=told[one]) for one in ("zh", "en"))
        return "\n".join(lines)
    if isinstance(error, click.NoSuchOption):
        return say("usage.no_option", name=error.option_name, like=_like(error.possibilities))
    if isinstance(error, click.exceptions.NoSuchCommand):
        return say("usage.no_command", name=error.command_name, like=_like(error.possibilities))
    return say("usage.other", problem=error.format_message())


def _name(error: click.BadParameter) -> str:
    """The option or argument as it is written on the command line."""
    if error.param is None:
        return "—"
    return (
        "/".join(error.param.opts) if error.param.param_type_name == "option" else error.param.make_metavar(_of(error))
    )


def _of(error: click.BadParameter) -> click.Context:
    return error.ctx or click.Context(click.Command("citylake"))


def _wanted(kind: click.ParamType[Any]) -> tuple[str, dict[str, object]]:
    """Which text tells what values of this type look like, if one does."""
    if isinstance(kind, click.IntRange):
        bounds = {(True, True): "between", (True, False): "at_least", (False, True): "at_most"}
        name = bounds.get((kind.min is not None, kind.max is not None), "whole")
        return f"usage.{name}", {"least": kind.min, "most": kind.max}
    if isinstance(kind, click.types.IntParamType):
        return "usage.whole", {}
    if isinstance(kind, click.types.FloatParamType):
        return "usage.number", {}
    if isinstance(kind, click.DateTime):
        return "usage.day" if list(kind.formats) == ["%Y-%m-%d"] else "usage.time", {}
    if isinstance(kind, click.Choice):
        return "usage.choice", {"choices": ", ".join(map(str, kind.choices))}
    return "", {}


def _like(possibilities: list[str] | None) -> str:
    """What was perhaps meant, in brackets."""
    return f" ({' / '.join(possibilities)}?)" if possibilities else ""


def _short(code: str, **arguments: object) -> str:
    return " / ".join(translate(code, language, **arguments) for language in ("zh", "en"))
