"""What a follower of a table may hold: by which policies a caller read a version of it, as the audit says.

A change feed is asked for without a word of what the follower has, so the audit is what knows. Belongs here: that one
question. Does not belong here: sums of reads (`reads`), who held a row (`receivers`).
"""

import sqlalchemy as sa

from catalog.policy import inquiry
from pipelines.register import Register
from pipelines.register.tables import audit as table
from pipelines.register.times import as_utc
from pipelines.release.ledger import Recorded

_WHOLE, _STEPS = "table.query", "table.changes"


def policies(register: Register, product: str, recipient: str | None, release: Recorded) -> frozenset[str]:
    """The names of the policies by which a recipient (None: anybody without a token) was shown the rows of a release,
    by the whole of it or by changes or files that lead to it or past it: whoever follows may stop at any step."""
    columns, version = table.c, release.version
    with register.engine.connect() as connection:
        start = sa.cast(inquiry.said(connection, "since"), sa.BigInteger)
        passed = columns.action.in_((_STEPS, _WHOLE)) & (columns.version >= version) & (start <= version)
        read = (columns.action == _WHOLE) & (columns.version == version)
        mine = (columns.product == product, columns.recipient == recipient, columns.outcome == "allowed")
        policy = inquiry.said(connection, "policy")
        query = sa.select(policy).distinct().where(*mine, columns.at >= as_utc(release.at), read | passed)
        return frozenset(connection.execute(query).scalars())
