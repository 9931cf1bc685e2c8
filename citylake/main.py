"""The commands, one group a file."""

import typer

from citylake import (
    access,
    across,
    asof,
    audit,
    contracts,
    core,
    deliver,
    demo,
    evidence,
    explain,
    feedback,
    history,
    layer,
    licence,
    linkage,
    operations,
    person,
    quarantine,
    release,
    reproduce,
    retention,
    sources,
    usage,
    withdrawal,
)

usage.headings()
usage.help_of_arguments()
app = typer.Typer(
    name="citylake",
    cls=usage.Commands,
    help="六安市政务数据湖与数据共享开放平台 / a city's data lake and its publication",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # local variables may hold rows
)
app.add_typer(contracts.app, name="contract")
app.add_typer(sources.app, name="source")
app.add_typer(access.app, name="access")
app.add_typer(audit.app, name="audit")
app.add_typer(demo.app, name="demo")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(across.app, name="across")
app.add_typer(linkage.app, name="linkage")
app.add_typer(licence.app, name="licence")
app.add_typer(retention.app, name="retention")
app.add_typer(evidence.app, name="evidence")
app.add_typer(deliver.app, name="deliver")
app.add_typer(feedback.app, name="issue")
app.add_typer(release.app, name="release")
app.command("run")(operations.run)
app.command("serve")(operations.serve)
app.command("confirm")(operations.confirm)
app.command("confirm-volume")(operations.confirm_volume)
app.command("reject")(operations.reject)
app.command("replay")(operations.replay)
app.command("withdraw")(withdrawal.withdraw)
app.command("reinstate")(withdrawal.reinstate)
app.command("recall")(withdrawal.recall)
app.command("issues")(operations.issues)
app.command("verify")(operations.verify)
app.command("reproduce")(reproduce.show)
app.command("explain")(explain.explain)
app.command("history")(history.show)
app.command("asof")(asof.write)
app.command("core")(core.core)
app.command("person")(person.person)
app.command("layer")(layer.write)
