"""`citylake access`: users, recipients, tokens and grants. Every act names its actor, a user with the role for it.

A token, or the secret of an OAuth client, is shown once, when it is issued.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from catalog.delivery import ahead, ending, sealing_keys, transition
from catalog.delivery.desk import Desk
from catalog.policy import administration as admin
from catalog.policy import credentials, epochs, identities, keys, quotas, suspension, users
from catalog.policy import services as offered
from catalog.policy.decision import FIRST_EPOCH, ROADS
from catalog.policy.limits import limited_in_vain
from citylake.output import as_json, opened_register, private_file, told
from citylake.permission import Actor, Why
from citylake.ready import make_ready
from citylake.signing import Device, KeyFile, brought
from citylake.usage import GREATEST
from pipelines.contracts.load import load
from pipelines.messages import CitylakeError, say
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.release.ledger import Ledger
from pipelines.settings import Settings

app = typer.Typer(help="用户、接收方、令牌、授权 / users, recipients, tokens, grants", no_args_is_help=True)

Organisation = Annotated[str, typer.Argument(help="单位代码 / organisation code")]
Used = Annotated[str | None, typer.Option("--application", help="所用的应用系统 / the application that uses it")]
Profile = Annotated[Path | None, typer.Option(help="写出 Delta Sharing 配置文件 / write the profile file")]
Days = Annotated[int, typer.Option(help="几天内有效 / days it is good for")]
GrantId = Annotated[int, typer.Argument(max=GREATEST, help="授权编号 / number of the grant")]
Roles = Annotated[list[str], typer.Option("--role", help=f"角色，可多次 / roles: {', '.join(users.ROLES)}")]


@app.command()
def init(name: str, organisation: Organisation) -> None:
    """登记第一位管理员，只在还没有用户时可用 / make the first administrator, while there is no user."""
    with told():
        settings, register = _open()
        as_json(vars(users.begin(register, load(settings.contracts), name, organisation)))


@app.command()
def user(name: str, organisation: Organisation, role: Roles, who: Actor) -> None:
    """登记用户 / enter a user."""
    with told():
        settings, register = _open()
        as_json(vars(users.create(register, load(settings.contracts), name, organisation, role, actor=who)))


@app.command("key")
def key_(
    name: Annotated[str, typer.Argument(help="审批人 / the approver")],
    file: Annotated[Path, typer.Argument(help="本人公钥（PEM，Ed25519 或 SM2）/ their public key")],
    who: Actor,
) -> None:
    """登记审批人的公钥，此后的批准须以其私钥签名 / enrol an approver's public key; approvals are signed with it."""
    with told():
        _, register = _open()
        try:
            pem = file.read_bytes()
        except OSError as error:
            raise CitylakeError("approver_key.bad", problem=error.strerror) from None
        row = keys.enrol(register, name, pem, actor=who)
        typer.echo(say("approver_key.enrolled", user=name, row=row.sequence, algorithm=row.body["algorithm"]))


@app.command("end-key")
def end_key(name: Annotated[str, typer.Argument(help="审批人 / the approver")], who: Actor) -> None:
    """停用审批人的公钥 / end an approver's key: nothing signed with it counts from now on."""
    with told():
        row = keys.end(_open()[1], name, actor=who)
        typer.echo(say("approver_key.ended", user=name, row=row.sequence))


@app.command()
def roles(name: str, role: Roles, who: Actor) -> None:
    """调整用户角色 / give a user other roles."""
    with told():
        as_json(vars(users.change(_open()[1], name, role, actor=who)))


@app.command()
def end_user(name: str, who: Actor) -> None:
    """停用用户 / end a user."""
    with told():
        as_json(vars(users.end(_open()[1], name, actor=who)))


@app.command()
def invite(
    name: str, who: Actor, hours: Annotated[int, typer.Option(help="几小时内有效 / hours it is good for")] = 72
) -> None:
    """邀请用户设置登录口令（邀请码只显示一次）/ let a user choose a password; the code is shown once."""
    with told():
        settings, register = _open()
        made, page = credentials.invite(register, name, hours, actor=who), f"{settings.url}{credentials.PAGE}"
        as_json({**vars(made), "page": page})
        expires = made.expires.astimezone(ZoneInfo(load(settings.contracts).city.timezone))
        typer.echo(say("signin.invited", account=name, page=page, expires=expires.isoformat(timespec="minutes")))


@app.command()
def bind_oidc(
    name: str,
    issuer: Annotated[str, typer.Option(envvar="CITYLAKE_OIDC_ISSUER", help="身份提供方 / the provider's issuer")],
    subject: Annotated[str, typer.Option(help="用户在其处的 sub / the user's sub there")],
    who: Actor,
) -> None:
    """让用户经统一身份认证登录 / let a user sign in by an OpenID provider."""
    with told():
        as_json(vars(identities.bind(_open()[1], name, issuer, subject, actor=who)))


@app.command()
def unbind_oidc(name: str, who: Actor) -> None:
    """不再让用户经统一身份认证登录，并退出其登录 / let a user sign in by no provider any more, and sign them out."""
    with told():
        typer.echo(say("identity.unbound", name=name, count=identities.unbind(_open()[1], name, actor=who)))


@app.command()
def sign_out(name: str, who: Actor) -> None:
    """立即退出用户的所有登录 / sign a user out everywhere, at once."""
    with told():
        ended = users.end_sessions(_open()[1], name, actor=who)
        typer.echo(say("signin.ended", name=name, sessions=ended))


@app.command()
def recipient(name: str, organisation: Organisation, who: Actor) -> None:
    """登记接收方 / register a recipient."""
    with told():
        settings, register = _open()
        as_json(vars(admin.create_recipient(register, load(settings.contracts), name, organisation, actor=who)))


@app.command()
def application(name: str, organisation: Organisation, who: Actor) -> None:
    """登记应用系统 / register an application."""
    with told():
        settings, register = _open()
        as_json(vars(admin.create_application(register, load(settings.contracts), name, organisation, actor=who)))


@app.command()
def token(
    recipient: str,
    who: Actor,
    application: Used = None,
    days: Days = 90,
    profile: Profile = None,
) -> None:
    """签发令牌（只显示一次）/ issue a token, shown once."""
    with told():
        settings, register = _open()
        _show(settings, lambda: admin.issue_token(register, recipient, days, application, actor=who), profile)


@app.command()
def client(
    recipient: str,
    who: Actor,
    application: Used = None,
    days: Days = 90,
    profile: Profile = None,
) -> None:
    """签发 OAuth 客户端凭据（密钥只显示一次）/ issue OAuth client credentials, the secret shown once."""
    with told():
        settings, register = _open()
        _show(settings, lambda: admin.issue_client(register, recipient, days, application, actor=who), profile)


@app.command()
def rotate(
    token_id: Annotated[str, typer.Argument(help="令牌或客户端的编号 / the id of a token or client")],
    who: Actor,
    overlap: Annotated[str, typer.Option(help="旧的再用多久，如 7d、12h、0d / how long the old one stays good")] = "7d",
    days: Days = 90,
    profile: Profile = None,
) -> None:
    """换发令牌或客户端：签发新的，旧的到重叠期满为止 / issue a successor; the old one ends after the overlap."""
    with told():
        settings, register = _open()
        _show(settings, lambda: admin.rotate_token(register, token_id, _span(overlap), days, actor=who), profile)


@app.command()
def revoke_token(token_id: str, who: Actor) -> None:
    """吊销令牌或 OAuth 客户端 / revoke a token or an OAuth client."""
    with told():
        as_json(vars(admin.revoke_token(_open()[1], token_id, actor=who)))


@app.command()
def grant(
    recipient: str,
    product: Annotated[str, typer.Argument(help="产品，如 sharing/person_of_division / the product")],
    purpose: Annotated[str, typer.Option(help="用途 / the purpose")],
    who: Actor,
    division: Annotated[list[str] | None, typer.Option(help="区划代码，可多次 / division codes")] = None,
    organisation: Annotated[
        list[str] | None,
        typer.Option(help="哪些单位的行，可多次，own 为接收方本单位 / whose rows; own: its own"),
    ] = None,
    column: Annotated[list[str] | None, typer.Option(help="列，可多次 / columns")] = None,
    case_number: Annotated[str | None, typer.Option(help="事项编号 / case number")] = None,
    road: Annotated[list[str] | None, typer.Option(help=f"方式，可多次 / roads: {', '.join(ROADS)}")] = None,
    days: Days = 180,
) -> None:
    """授权；含三级以上数据的须另一人审批 / grant a product to a recipient; levels may ask for a second person."""
    with told():
        settings, register = _open()
        given = admin.grant(
            register,
            load(settings.contracts),
            recipient,
            product,
            purpose=purpose,
            days=days,
            divisions=division,
            organisations=organisation,
            columns=column,
            case_number=case_number,
            roads=road,
            actor=who,
        )
        as_json(vars(given))
        _make_ahead(settings, register, given.recipient, given.product)


@app.command()
def approve(grant_id: GrantId, who: Actor, key: KeyFile = None, device: Device = None) -> None:
    """审批待批的授权：另一人，有公钥登记即须签名 / approve one of another person; signed once a key is enrolled."""
    with told():
        settings, register = _open()
        signer = brought(settings, register, who, key, device, f"#{grant_id}")
        given = admin.approve_grant(register, grant_id, signer, actor=who)
        as_json(vars(given))
        _make_ahead(settings, register, given.recipient, given.product)


@app.command()
def revoke_grant(grant_id: GrantId, who: Actor) -> None:
    """撤销授权，或不予审批 / revoke a grant, or refuse a pending one."""
    with told():
        as_json(vars(admin.revoke_grant(_open()[1], grant_id, actor=who)))


@app.command()
def suspend(
    name: Annotated[str, typer.Argument(help="接收方，或单位代码 / the recipient, or an organisation's code")],
    who: Actor,
    why: Why,
    organisation: Annotated[bool, typer.Option("--organisation", help="整个单位 / the whole organisation")] = False,
) -> None:
    """紧急切断：即刻停止向接收方或单位提供 / cut a recipient or organisation off at once."""
    with told():
        settings, register = _open()
        whom: suspension.Whom = "organisation" if organisation else "recipient"
        as_json(vars(suspension.suspend(register, load(settings.contracts), whom, name, why, actor=who)))


@app.command()
def lift(
    name: Annotated[str, typer.Argument(help="接收方，或单位代码 / the recipient, or an organisation's code")],
    who: Actor,
    why: Why,
    organisation: Annotated[bool, typer.Option("--organisation", help="整个单位 / the whole organisation")] = False,
) -> None:
    """解除暂停 / lift a suspension."""
    with told():
        settings, register = _open()
        whom: suspension.Whom = "organisation" if organisation else "recipient"
        as_json(vars(suspension.lift(register, whom, name, why, actor=who)))
        make_ready(settings, register, lambda desk: ahead.after_return(desk, whom, name))


@app.command()
def rotate_pseudonyms(
    recipient: str,
    who: Actor,
    why: Why,
    day: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="自某日起，默认即刻 / from a day, else now")
    ] = None,
    compromised: Annotated[
        bool,
        typer.Option("--compromised", help="因泄露，不再出具新旧对照 / after a leak: no table leads on"),
    ] = False,
) -> None:
    """更换接收方的假名，各条途径同时生效 / give a recipient new pseudonyms, on every road at once."""
    with told():
        settings, register = _open()
        zone = load(settings.contracts).city.timezone
        begins = day.date() if day else None
        made = epochs.rotate(register, recipient, why, actor=who, zone=zone, day=begins, compromised=compromised)
        since = made.since.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
        typer.echo(say("pseudonym.rotated", recipient=recipient, number=made.number, since=since))
        if made.since <= now():  # what begins with a day to come cannot be made before it
            make_ready(settings, register, lambda desk: ahead.after_return(desk, "recipient", recipient))


@app.command("epochs")
def list_epochs(recipient: str) -> None:
    """列出接收方假名的各期 / list the epochs of a recipient's pseudonyms."""
    with told():
        register = _open()[1]
        rotated, moment = epochs.rotations(register, recipient), now()
        current = [FIRST_EPOCH.number, *(one.number for one in rotated if one.since <= moment)][-1]
        as_json({"recipient": recipient, "number": FIRST_EPOCH.number, "in_force": current == FIRST_EPOCH.number})
        for one in rotated:
            as_json({**vars(one), "in_force": one.number == current})


@app.command()
def pseudonym_transition(recipient: str, product: str, file: Path, who: Actor, why: Why) -> None:
    """写出新旧假名对照（仅限接收方现在看得到的）/ write old and new pseudonyms of what a recipient is shown."""
    with told():
        settings, register = _open()
        with private_file(file, settings.home) as partial:
            rows = transition.write(Desk(settings, register), recipient, product, partial, why, actor=who)
        typer.echo(say("pseudonym.written", rows=rows, file=file))


@app.command()
def sealing_key(recipient: str, product: str, file: Path, who: Actor, why: Why) -> None:
    """写出接收方还原加密列的密钥 / write the keys that open what a recipient is shown sealed."""
    with told():
        settings, register = _open()
        with private_file(file, settings.home) as partial:
            columns = sealing_keys.write(Desk(settings, register), recipient, product, partial, why, actor=who)
        typer.echo(say("sealing.written", columns="、".join(columns), file=file))


@app.command()
def services() -> None:
    """列出已声明的服务及近 90 日的成功调用 / list declared services and their reads of 90 days."""
    with told():
        settings, register = _open()
        published = Ledger(register).published()
        found = offered.services(register, load(settings.contracts), published, now())
        for one in found:
            as_json({**vars(one), "live": one.live})
        counts = {"declared": len(found), "published": sum(one.published for one in found)}
        typer.echo(say("services.count", **counts, live=sum(one.live for one in found), days=offered.LIVE_DAYS))


@app.command()
def quota(
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="日期，默认今日 / the day")] = None,
) -> None:
    """列出各方当日已用和剩余的行数、字节数 / list what callers used and have left of a day's rows and bytes."""
    with told():
        settings, register = _open()
        city = load(settings.contracts).city
        chosen = day.date() if day else quotas.today(now(), city.timezone)
        for who, used in quotas.of_day(register, chosen).items():
            limits = getattr(city.limits.callers, who.kind)
            about = {"day": chosen.isoformat(), "caller": who.kind, "name": who.name, "per_minute": limits.perMinute}
            as_json({**about, **quotas.left_of_day(limits, used)})


@app.command("list")
def show() -> None:
    """列出用户及其绑定、应用系统、接收方、令牌、授权、暂停 / list users, applications, recipients, tokens, grants…"""
    with told():
        settings, register = _open()
        contracts = load(settings.contracts)
        moment, before = now(), (users.listed, identities.listed, admin.list_applications, admin.list_recipients)
        for rows in before:
            _list(rows(register))
        for one in admin.list_tokens(register):
            as_json({"kind": "Token", **vars(one), "ends_soon": one.ends_soon(moment)})
        grants = admin.list_grants(register)
        soon = {one.grant.id for one in ending.ending(grants, moment)}
        for given in grants:
            limited = {"limited_in_vain": limited_in_vain(contracts, given.product, vars(given))}
            as_json({"kind": "Grant", **vars(given), "ends_soon": given.id in soon, **limited})
        _list(suspension.listed(register))


def _make_ahead(settings: Settings, register: Register, recipient: str, product: str) -> None:
    make_ready(settings, register, lambda desk: [ahead.after_grant(desk, recipient, product)])


def _list(rows: Sequence[object]) -> None:
    for row in rows:
        as_json({"kind": type(row).__name__, **vars(row)})


def _show(
    settings: Settings, issue: Callable[[], admin.IssuedToken | admin.IssuedClient], profile: Path | None
) -> None:
    """What is issued, this once: as a new profile file that only its owner may read, or as JSON. Nothing is issued if
    the file cannot be written."""
    if profile is None:
        as_json(vars(issue()))
        return
    with private_file(profile, settings.home) as partial:
        partial.write_text(json.dumps(admin.profile(issue(), f"{settings.url}/delta-sharing")), "utf-8")
    typer.echo(str(profile))


def _span(text: str) -> timedelta:
    """Days or hours as one writes them: `7d`, `12h`. Raises CitylakeError."""
    found = re.fullmatch(r"([0-9]{1,4})([dh])", text)
    if found is None:
        raise CitylakeError("token.bad_overlap")
    return int(found[1]) * (timedelta(days=1) if found[2] == "d" else timedelta(hours=1))


def _open() -> tuple[Settings, Register]:
    settings = Settings.from_environment()
    return settings, opened_register(settings)
