"""`citylake demo`: the whole of it on one machine, fed by the simulated city."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from citylake.compared.libraries.report import truth_report
from citylake.compared.report import first_report, keep_drill
from citylake.drill import drill as held
from citylake.drill import report
from citylake.jobs import prepare_dagster, run_job
from citylake.output import as_json, told
from pipelines import synthetic
from pipelines.messages import CitylakeError, translate
from pipelines.settings import Settings
from pipelines.summary import summary
from simulator import MOST_PERSONS, DemoCity, OtherCity

app = typer.Typer(help="演示城市 / the demo city", no_args_is_help=True)

PATIENCE = 120
"""Seconds that a server may take to answer for the first time."""


@app.command()
def up(
    once: Annotated[bool, typer.Option(help="发布后退出 / exit when everything is published")] = False,
    scale: Annotated[int, typer.Option(min=1, max=MOST_PERSONS, help="人口数 / persons")] = 60_000,
    seed: Annotated[int, typer.Option(help="随机种子 / seed")] = 341500,
    browser: Annotated[bool, typer.Option(help="打开浏览器 / open a browser")] = True,
) -> None:
    """启动演示城市，运行主任务，打开门户和 Dagster / start the city, run the main job, open portal and Dagster UI."""
    started = time.monotonic()
    with told():
        settings = Settings.from_environment()
        settings.prepare()
        city = _city(settings, seed, scale)
        try:
            run_id, success = _published(settings)
            _say("demo.compared")
            typer.echo(first_report(settings, city), err=True)
            if (truth := truth_report(settings, city)) is not None:
                _say("demo.truth")
                typer.echo(truth, err=True)
            result = {**summary(settings, run_id), "seconds": round(time.monotonic() - started, 1)}
            if not once:
                _serve(settings, browser, result)
        finally:
            city.stop()
        as_json(result)
    raise typer.Exit(0 if success and not result["unpublished"] else 1)


@app.command()
def tick(days: Annotated[int, typer.Option(min=1, help="天数 / days")] = 1) -> None:
    """模拟城市过若干天（演示运行时在另一个终端执行）/ let days pass in the simulated city."""
    with told():
        home = Settings.from_environment().home / "city"
        if not (home / "simulator.json").is_file():
            raise CitylakeError("demo.no_city", home=home)
        city = DemoCity.open(home)
        city.start()
        for day in city.tick(days):
            as_json({"day": day.day, "rows": day.rows, **day.events})


@app.command()
def drill(
    seed: Annotated[int | None, typer.Option(help="随机种子，默认随机 / seed, drawn if not given")] = None,
    scale: Annotated[
        int, typer.Option(min=1, max=MOST_PERSONS, help="演练城市的人口数 / persons of the drill's own city")
    ] = 3_000,
) -> None:
    """演练：埋设各种整体故障，核对查出多少 / plant every fault of deliveries, compare what is found."""
    with told():
        drawn = secrets.randbelow(2**31) if seed is None else seed
        _say("demo.drill", seed=drawn, persons=scale)
        result = held(Settings.from_environment(), drawn, scale, lambda day: typer.echo(f"  {day}", err=True))
        keep_drill(Settings.from_environment(), result.scores, result.undetectable)
        typer.echo(report(result))
    missed = any(score.recall < 1 for score in result.scores)
    raise typer.Exit(1 if missed or result.false_alarms else 0)


def _city(settings: Settings, seed: int, scale: int) -> DemoCity:
    """The running city, populated; its connection strings are put where the engine looks for secrets."""
    _say("demo.city", persons=scale)
    city = DemoCity(settings.home / "city", seed, scale)
    try:
        city.start()
    except OtherCity as error:
        raise CitylakeError("demo.other_city", home=settings.home / "city") from error
    with typer.progressbar(length=scale, label="  人口 / persons", file=sys.stderr) as bar:
        city.populate(lambda done: bar.update(done - bar.pos))
        bar.update(scale - bar.pos)
    synthetic.feed(settings, city.connections())
    return city


def _published(settings: Settings) -> tuple[str, bool]:
    _say("demo.run")
    return run_job(settings, "city")


def _serve(settings: Settings, browser: bool, result: Mapping[str, object]) -> None:
    """Portal and Dagster UI until interrupted; each in its own process group, ended together."""
    prepare_dagster(settings)
    _require_free(settings.port, "CITYLAKE_PORT")
    _require_free(settings.dagster_port, "CITYLAKE_DAGSTER_PORT")
    portal, dagster = (f"http://127.0.0.1:{port}" for port in (settings.port, settings.dagster_port))
    workspace = ["-w", str(settings.project / "workspace.yaml")]
    log = settings.home / "logs"
    commands = {
        "portal": [sys.executable, "-m", "citylake", "serve"],
        "dagster": [sys.executable, "-m", "dagster_webserver", *workspace, "-p", str(settings.dagster_port)],
        "daemon": [sys.executable, "-m", "dagster._daemon", "run", *workspace],
    }
    servers = {name: _start(command, settings, log / f"{name}.log") for name, command in commands.items()}
    try:
        for name, url in (("portal", f"{portal}/health"), ("dagster", f"{dagster}/server_info")):
            _wait_for(name, url, servers[name], str(log / f"{name}.log"))
        as_json(result)
        _say("demo.ready", portal=portal, dagster=dagster)
        if browser and os.environ.get("DISPLAY"):
            webbrowser.open(portal)
            webbrowser.open(dagster)
        _until_interrupted(list(servers.values()))
    finally:
        _stop(list(servers.values()))


def _require_free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CitylakeError("demo.port_taken", port=port, variable=variable) from error


def _start(command: Sequence[str], settings: Settings, log: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "CITYLAKE_HOME": str(settings.home), "PYTHONPATH": str(settings.project)}
    with open(str(log), "ab") as output:
        return subprocess.Popen(
            list(command), stdout=output, stderr=output, env=environment, cwd=settings.home, start_new_session=True
        )


def _wait_for(name: str, url: str, server: subprocess.Popen[bytes], log: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise CitylakeError("demo.no_answer", name=name, url=url, log=log)


def _until_interrupted(servers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait for Ctrl+C, SIGTERM, or the end of a server. Both handlers are ours: a background job ignores SIGINT."""
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    while not interrupted.wait(1) and all(server.poll() is None for server in servers):
        pass
    _say("demo.stopping")


def _stop(servers: Sequence[subprocess.Popen[bytes]]) -> None:
    for server in servers:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
    for server in servers:
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def _say(code: str, **arguments: object) -> None:
    for language in ("zh", "en"):
        typer.echo(translate(code, language, **arguments), err=True)
