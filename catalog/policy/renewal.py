"""Recipients renew what they show: whoever holds a token or client, or a department's user, makes its successor.

It opens what the old one opened, lives no longer than that did, nor than the city lets (`limits.credentials`), and the
old one ends soon. Belongs here: those bounds and who may. Does not belong here: making it (administration).
"""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from catalog.policy import administration as admin
from catalog.policy import users
from catalog.policy.decision import Caller
from pipelines.contracts.models import CredentialsForm
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.tables import recipient, token
from pipelines.register.times import as_utc

ACT: Final = "token.renew"
Issued = admin.IssuedToken | admin.IssuedClient


def by_holder(register: Register, form: CredentialsForm, holder: Caller, hours: int, road: str) -> Issued:
    """A successor of the token or client that a caller without a problem showed; the old one ends after so many hours.

    Raises CitylakeError for more hours than the city lets, and for one that has a successor already.
    """
    assert holder.token is not None and holder.problem is None
    with register.begin() as connection:
        return _renewed(connection, form, holder.token, hours, {"road": road})


def by_user(register: Register, form: CredentialsForm, token_id: str, hours: int, road: str, *, actor: str) -> Issued:
    """The same of a token or client of the actor's own organisation, by its id. Raises NotAllowed for any other."""
    with users.acting(register, ACT, actor) as (connection, by):
        mine = sa.select(token.c.id).join(recipient).where(recipient.c.organisation == by.organisation)
        if connection.execute(mine.where(token.c.id == token_id)).first() is None:
            raise users.NotAllowed("token.other_organisation", actor=actor, organisation=by.organisation)
        return _renewed(connection, form, token_id, hours, {"road": road, "actor": actor})


def of_organisation(register: Register, organisation: str) -> list[admin.Token]:
    """The tokens and clients of an organisation's recipients, oldest first."""
    named = sa.select(recipient.c.name).where(recipient.c.organisation == organisation)
    names = {row["name"] for row in register.rows(named)}
    return [one for one in admin.list_tokens(register) if one.recipient in names]


def _renewed(
    connection: sa.Connection, form: CredentialsForm, token_id: str, hours: int, said: dict[str, str]
) -> Issued:
    if not 0 <= hours <= form.overlapHours:
        raise CitylakeError("token.overlap_too_long", hours=hours, most=form.overlapHours)
    old = admin.standing(connection, token_id)
    life = min(as_utc(old["expires"]) - as_utc(old["created"]), timedelta(days=form.renewDays))
    return admin.succeed(connection, old, timedelta(hours=hours), life, ACT, said)
