"""Recipients renew what they show: whoever holds a token or client, or a department's user, makes its successor.

It opens what the old one opened, lives no longer than that did, nor than the city lets (`limits.credentials`), and the
old one ends soon. Belongs here: those bounds and who may. Does not belong here: making it (administration).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from catalog.policy import administration as admin
from catalog.policy import audit, lineage, suspension, tokens, users
from catalog.policy.decision import Caller
from catalog.policy.logins import Person
from pipelines.contracts.forms.limits import CredentialsForm
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.register.tables import recipient, token
from pipelines.register.times import as_utc

ACT: Final = lineage.RENEW
TOLD: Final = timedelta(days=30)
"""How long the owner is told that a token was renewed, also after it has ended."""
Issued = admin.IssuedToken | admin.IssuedClient


def by_holder(register: Register, form: CredentialsForm, holder: Caller, hours: int, road: str) -> Issued:
    """A successor of the token or client that a caller without a problem showed; the old one ends after so many hours.

    Raises CitylakeError for an access token, more hours than the city lets, who is suspended, and one that has a
    successor already; audited, for whoever stole a token and renewed it is found out by its owner's own renewal.
    """
    assert holder.token is not None and holder.problem is None
    said = {"road": road}
    with _refusals_told(register, holder.token, said):
        if holder.exchanged:
            raise CitylakeError("token.no_secret")
        fresh = tokens.fresh()
        with register.begin() as connection:
            return _renewed(connection, form, holder.token, fresh, hours, said)


def by_user(register: Register, form: CredentialsForm, token_id: str, hours: int, road: str, by: Person) -> Issued:
    """The same of a token or client of somebody's own organisation, by its id.

    Raises NotAllowed for any other, and for who signed in without a second factor: a password alone makes no secrets.
    """
    actor = by.user.name
    fresh, said = tokens.fresh(), {"road": road, "actor": actor}
    with _refusals_told(register, token_id, said), users.acting(register, ACT, actor) as (connection, user):
        if not by.second_factor:
            raise users.NotAllowed("token.second_factor", actor=actor)
        mine = sa.select(token.c.id).join(recipient).where(recipient.c.organisation == user.organisation)
        if connection.execute(mine.where(token.c.id == token_id)).first() is None:
            raise users.NotAllowed("token.other_organisation", actor=actor, organisation=user.organisation)
        return _renewed(connection, form, token_id, fresh, hours, said)


def of_organisation(register: Register, organisation: str) -> list[admin.Token]:
    """The tokens and clients of an organisation's recipients, oldest first."""
    named = sa.select(recipient.c.name).where(recipient.c.organisation == organisation)
    names = {row["name"] for row in register.rows(named)}
    return [one for one in admin.list_tokens(register) if one.recipient in names]


def lately(owned: Sequence[admin.Token], moment: datetime) -> list[admin.Token]:
    """Those of all tokens of an owner whose successor is not older than `TOLD`."""
    made = {one.id: one.created for one in owned}
    return [one for one in owned if one.successor is not None and moment <= made[one.successor] + TOLD]


def _renewed(
    connection: sa.Connection,
    form: CredentialsForm,
    token_id: str,
    fresh: tokens.Fresh,
    hours: int,
    said: dict[str, str],
) -> Issued:
    if form.renewDays == 0:
        raise CitylakeError("token.renewal_off")
    if not 0 <= hours <= form.overlapHours:
        raise CitylakeError("token.overlap_too_long", hours=hours, most=form.overlapHours)
    old = admin.standing(connection, token_id)
    asked = recipient.alias()
    cut_off = sa.select(suspension.of_recipient(asked.c.name)).where(asked.c.name == old["recipient"])
    if connection.execute(cut_off).scalar_one():
        raise CitylakeError("token.suspended", recipient=old["recipient"])
    ends = as_utc(old["expires"])
    last = max(ends, lineage.given(connection, old) + timedelta(days=form.renewUntilDays))
    life = min(ends - as_utc(old["created"]), timedelta(days=form.renewDays), last - now())
    return admin.succeed(connection, old, fresh, timedelta(hours=hours), life, ACT, said)


@contextmanager
def _refusals_told(register: Register, token_id: str, said: dict[str, str]) -> Iterator[None]:
    """Every refusal is a row of the token's owner; of who may not act at all there is one already."""
    try:
        yield
    except users.NotAllowed:
        raise
    except CitylakeError as error:
        whose = sa.select(token.c.recipient, token.c.application).where(token.c.id == token_id)
        about: audit.About = dict(register.rows(whose)[0])  # type: ignore[assignment]
        audit.record(register, ACT, "denied", {**said, "token_id": token_id, "reason": error.code}, **about)
        raise
