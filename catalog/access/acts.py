"""The acts and lists of the API, each by its address: what is asked of the policy, which commands ask as well.

Belongs here: which act is where, and that the same request made twice does it once. Does not belong here: who asks
(`router`), whether they may and what it means (`catalog.policy`).
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from catalog.access.forms import Cut, Form, NewGrant, NewName, NewToken, Nothing, Rotation
from catalog.delivery import ahead
from catalog.delivery.desk import Desk
from catalog.policy import administration as admin
from catalog.policy import suspension
from catalog.policy.decision import Grant
from catalog.policy.limits import limited_in_vain
from catalog.policy.services import Service, services
from pipelines.contracts.resolved import Contracts
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.release.ledger import Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A request of a user. `place`: what the address names; `request`: what the user calls it, None for nothing."""

    desk: Desk
    actor: str
    form: Any
    place: str
    request: str | None

    @property
    def register(self) -> Register:
        """The register of the installation."""
        return self.desk.register


@dataclass(frozen=True)
class Done:
    """What became of a request: what there is now, and whether it is new. `further`: what is left to do once it is
    answered."""

    what: Any
    new: bool = False
    further: Callable[[], None] | None = None


@dataclass(frozen=True)
class Act:
    """An act at an address. `action`: its name in the audit; `form`: its body; `answers`: kinds of what there is then;
    `creates`: whether something new may come of it."""

    path: str
    action: str
    form: type[Form]
    answers: Sequence[type]
    do: Callable[[Asked], Done]
    creates: bool = False


@dataclass(frozen=True)
class List:
    """A list at an address, and by what it may be narrowed. `key`: what names one of it, by which pages go on; `holds`:
    what is true of one or not, by its name in the answer."""

    path: str
    of: type
    key: str
    find: Callable[[Desk, Mapping[str, str]], Sequence[Any]]
    narrowed: tuple[str, ...] = ()
    holds: Mapping[str, Callable[[Contracts, Any], bool]] = field(default_factory=dict)


def _new_recipient(asked: Asked) -> Done:
    name, organisation = asked.form.name, asked.form.organisation
    contracts = asked.desk.listing.snapshot().contracts
    try:
        return Done(admin.create_recipient(asked.register, contracts, name, organisation, actor=asked.actor), new=True)
    except CitylakeError as error:
        return _there(error, "web.policy.recipient_exists", admin.list_recipients(asked.register), asked.form)


def _new_application(asked: Asked) -> Done:
    name, organisation = asked.form.name, asked.form.organisation
    contracts = asked.desk.listing.snapshot().contracts
    try:
        return Done(
            admin.create_application(asked.register, contracts, name, organisation, actor=asked.actor), new=True
        )
    except CitylakeError as error:
        return _there(error, "application.exists", admin.list_applications(asked.register), asked.form)


def _there(error: CitylakeError, code: str, standing: Sequence[Any], form: NewName) -> Done:
    """What was entered before, of the same name and organisation. Raises the error for anything else."""
    for one in standing:
        if error.code == code and (one.name, one.organisation) == (form.name, form.organisation):
            return Done(one)
    raise error


def _new_token(asked: Asked) -> Done:
    form: NewToken = asked.form
    issue = admin.issue_client if form.kind == "client" else admin.issue_token
    about = (form.recipient, form.days, form.application)
    return Done(issue(asked.register, *about, actor=asked.actor, request=asked.request), new=True)


def _rotate(asked: Asked) -> Done:
    form: Rotation = asked.form
    overlap = timedelta(hours=form.overlap_hours)
    return Done(admin.rotate_token(asked.register, asked.place, overlap, form.days, actor=asked.actor), new=True)


def _new_grant(asked: Asked) -> Done:
    given, contracts = dict(asked.form), asked.desk.listing.snapshot().contracts
    name, product = given.pop("recipient"), given.pop("product")
    try:
        made = admin.grant(asked.register, contracts, name, product, **given, actor=asked.actor)
    except CitylakeError as error:
        for one in admin.list_grants(asked.register, name, product):
            same = error.code == "web.policy.overlap" and one.id == error.arguments["grant"]
            if same and admin.same_grant(asked.register, contracts, one, given, asked.actor):
                return Done(one)
        raise
    return Done(made, new=True, further=_granted(asked.desk, made))


def _approve(asked: Asked) -> Done:
    made = admin.approve_grant(asked.register, int(asked.place), actor=asked.actor)
    return Done(made, further=_granted(asked.desk, made))


def _granted(desk: Desk, made: Grant) -> Callable[[], None]:
    return lambda: _make_ahead(lambda: [ahead.after_grant(desk, made.recipient, made.product)])


def _make_ahead(making: Callable[[], Iterable[ahead.Ahead]]) -> None:
    """So that the first reader does not wait. What cannot be made is logged; the act stands."""
    try:
        for finding in (finding for made in making() for finding in made.findings):
            log.warning("not all could be made ahead: %s", finding.arguments["problems"])
    except CitylakeError as error:
        log.warning("nothing could be made ahead: %s", error.code)
    except SQLAlchemyError as error:  # its text names the register and may hold values
        log.warning("nothing could be made ahead: %s", type(error).__name__)


def _suspend(asked: Asked) -> Done:
    form: Cut = asked.form
    contracts = asked.desk.listing.snapshot().contracts
    made = suspension.suspend(asked.register, contracts, form.whom, form.name, form.why, actor=asked.actor)
    return Done(made, new=True)


def _lift(asked: Asked) -> Done:
    form: Cut = asked.form
    made = suspension.lift(asked.register, form.whom, form.name, form.why, actor=asked.actor)
    return Done(made, further=lambda: _make_ahead(lambda: ahead.after_return(asked.desk, form.whom, form.name)))


def _services(desk: Desk, _: Mapping[str, str]) -> Sequence[Service]:
    return services(desk.register, desk.listing.snapshot().contracts, Ledger(desk.register).published(), now())


ISSUED: Final = (admin.IssuedToken, admin.IssuedClient)
LIMIT: Final = "limit"
AFTER: Final = "after"
PAGED: Final = (LIMIT, AFTER)
"""What every list may be asked by: how many at most, and behind which one (its key)."""
MOST_LISTED: Final = 500
NUMBER: Final = "number"
TOKEN: Final = "token"
ACTS: Final = (
    Act("/recipients", "recipient.create", NewName, (admin.Recipient,), _new_recipient, creates=True),
    Act("/applications", "application.create", NewName, (admin.Application,), _new_application, creates=True),
    Act("/tokens", "token.issue", NewToken, ISSUED, _new_token, creates=True),
    Act("/tokens/{token}/rotate", "token.rotate", Rotation, ISSUED, _rotate, creates=True),
    Act(
        "/tokens/{token}/revoke",
        "token.revoke",
        Nothing,
        (admin.Token,),
        lambda asked: Done(admin.revoke_token(asked.register, asked.place, actor=asked.actor)),
    ),
    Act("/grants", "grant.give", NewGrant, (Grant,), _new_grant, creates=True),
    Act("/grants/{number}/approve", "grant.approve", Nothing, (Grant,), _approve),
    Act(
        "/grants/{number}/revoke",
        "grant.revoke",
        Nothing,
        (Grant,),
        lambda asked: Done(admin.revoke_grant(asked.register, int(asked.place), actor=asked.actor)),
    ),
    Act("/suspensions", "recipient.suspend", Cut, (suspension.Suspension,), _suspend, creates=True),
    Act("/suspensions/lift", "recipient.lift", Cut, (suspension.Suspension,), _lift),
)
LISTS: Final = (
    List("/recipients", admin.Recipient, "name", lambda desk, _: admin.list_recipients(desk.register)),
    List("/applications", admin.Application, "name", lambda desk, _: admin.list_applications(desk.register)),
    List("/services", Service, "product", _services, holds={"live": lambda _, one: bool(one.live)}),
    List(
        "/tokens",
        admin.Token,
        "id",
        lambda desk, by: admin.list_tokens(desk.register, by.get("recipient")),
        ("recipient",),
    ),
    List(
        "/grants",
        Grant,
        "id",
        lambda desk, by: admin.list_grants(desk.register, by.get("recipient"), by.get("product")),
        ("recipient", "product"),
        {"limited_in_vain": lambda contracts, one: limited_in_vain(contracts, one.product, vars(one))},
    ),
    List("/suspensions", suspension.Suspension, "id", lambda desk, _: suspension.listed(desk.register)),
)
