"""`citylake reproduce`: a published version built again from what it was built from, and compared."""

from collections.abc import Iterator
from typing import Annotated

import typer

from citylake.output import told
from citylake.usage import GREATEST
from pipelines.evidence.record import Statement
from pipelines.messages import say
from pipelines.release.reproduce import Reproduced, reproduce
from pipelines.settings import Settings

DIFFERENT, IMPOSSIBLE = 1, 2
"""Exit codes: the content differs; it cannot be reproduced, for the reason told."""


def show(
    subject: Annotated[str, typer.Argument(help="模型或 通道/产品 / a model, or channel/product")],
    version: Annotated[
        int | None, typer.Option(max=GREATEST, help="版本，默认为现行发布 / default: the published one")
    ] = None,
) -> None:
    """由当时的来源版本和代码重建已发布的版本并比对 / build a published version again and compare.

    退出码 / exit code: 0 内容一致 equal, 1 内容不同 different, 2 无法重建 cannot be reproduced.
    """
    with told(IMPOSSIBLE):
        found = reproduce(Settings.from_environment(), subject, version)
        for line in _lines(found):
            typer.echo(line)
    raise typer.Exit(0 if found.equal else DIFFERENT)


def _lines(found: Reproduced) -> Iterator[str]:
    about = {"subject": found.subject, "version": found.version}
    if found.found.state == "corrupt":
        yield say("verify.corrupt", **about, what=found.found.what)
    if found.orders:
        yield say("reproduce.orders", **about, orders="、".join(found.orders))
    if (differs := found.differs) is not None:
        counts = {"only_rebuilt": differs.only_one, "only_published": differs.only_other}
        yield say("reproduce.different", **about, **counts, columns="、".join(differs.columns) or "-")
        yield say("reproduce.hashes", content=found.content, published=found.published, recorded=found.recorded or "-")
        for one in found.because:
            yield say(one.code, **one.arguments)
    elif not found.equal:
        yield say("reproduce.other_files", **about, rows=found.rows)
    elif found.bytes_equal:
        yield say("reproduce.equal", **about, rows=found.rows, content=found.content)
    else:
        why = {f"because_{language}": _joined(found.because, language) for language in ("zh", "en")}
        yield say("reproduce.bytes_differ", **about, rows=found.rows, content=found.content, **why)
    if found.equal:
        yield say("reproduce.recorded" if found.recorded else "reproduce.not_recorded", **about)


def _joined(because: tuple[Statement, ...], language: str) -> str:
    return ("；" if language == "zh" else "; ").join(one.text(language) for one in because)
