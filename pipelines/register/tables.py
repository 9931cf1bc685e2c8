"""The tables of the register. Times are UTC; bodies are JSON. Migrations must lead to exactly these tables."""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

receipt = sa.Table(
    "receipt",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("run", sa.String(36), nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(120), nullable=False),
    sa.Column("batch", sa.Integer),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Index("ix_receipt_subject_stage", "subject", "stage", "id"),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(120), nullable=False),
    sa.Column("edition", sa.String(64), nullable=False),
    sa.Column("version", sa.BigInteger),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Index("ix_ledger_subject_kind", "subject", "kind", "sequence"),
)


def _heads(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last", sa.Integer, nullable=False, unique=True),
        sa.Column("statement", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("leaves", sa.Text, nullable=False),
    )


head = _heads("head")
"""Signed heads of the ledger: each vouches for the rows after the head before it, up to row `last`."""

audit_head = _heads("audit_head")
"""The same of the audit."""

head_stamp = sa.Table(
    "head_stamp",
    metadata,
    sa.Column("chain", sa.String(16), primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token", sa.Text, nullable=False),
)
"""Time stamps (RFC 3161) of heads, DER in hex. `chain`: the name of the table whose rows the head signed."""

issue = sa.Table(
    "issue",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("subject", sa.String(120), nullable=False),
    sa.Column("code", sa.String(120), nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
    sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
    sa.Column("closed", sa.DateTime(timezone=True)),
    sa.Column("text", sa.JSON, nullable=False),
    sa.Index("ix_issue_subject_status", "subject", "status"),
)

issue_act = sa.Table(
    "issue_act",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("issue", sa.Integer, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("who", sa.String(120), nullable=False),
    sa.Column("act", sa.String(16), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("proof", sa.JSON, nullable=True),
    sa.Index("ix_issue_act_issue", "issue"),
)

recipient = sa.Table(
    "recipient",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("organisation", sa.String(16), nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)

account = sa.Table(
    "account",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("organisation", sa.String(16), nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(64)),
    sa.Column("ended", sa.DateTime(timezone=True)),
)
"""The people who administer (`user` is a reserved word in SQL). `created_by` is null for the first administrator."""

invitation = sa.Table(
    "invitation",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), nullable=False),
    sa.Column("hash", sa.String(200), nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
    sa.Column("used", sa.DateTime(timezone=True)),
)
"""What lets a person choose a password, once. `used` also where a later invitation took its place."""

credential = sa.Table(
    "credential",
    metadata,
    sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), primary_key=True),
    sa.Column("password", sa.String(200), nullable=False),
    sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
    sa.Column("totp", sa.Text),
    sa.Column("totp_since", sa.DateTime(timezone=True)),
    sa.Column("totp_step", sa.BigInteger),
    sa.Column("wrong", sa.Integer, nullable=False),
    sa.Column("locked", sa.DateTime(timezone=True)),
)
"""What a person signs in with. `totp`: the secret, sealed; it counts from `totp_since` on, `totp_step` is the last step
of time whose code was taken. `wrong`: tries since the last right one; until `locked` none is right."""

session = sa.Table(
    "session",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), nullable=False),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("began", sa.DateTime(timezone=True), nullable=False),
    sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended", sa.DateTime(timezone=True)),
    sa.Index("ix_session_account", "account"),
)
"""People who are signed in. `id` is a hash of what the cookie names; `method` how they signed in."""

identity = sa.Table(
    "identity",
    metadata,
    sa.Column("issuer", sa.String(255), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), nullable=False),
    sa.Column("bound", sa.DateTime(timezone=True), nullable=False),
    sa.Column("bound_by", sa.String(64), nullable=False),
    sa.Index("ix_identity_account", "account"),
)
"""Who an account is to an OpenID provider."""

application = sa.Table(
    "application",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("organisation", sa.String(16), nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
"""What consumes data: a system of an organisation. Its tokens are those of a recipient of the same organisation."""

token = sa.Table(
    "token",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("recipient", sa.String(64), sa.ForeignKey("recipient.name"), nullable=False),
    sa.Column("hash", sa.String(200), nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revoked", sa.DateTime(timezone=True)),
    sa.Column("application", sa.String(64)),
    sa.Column("client", sa.Boolean),
    sa.Column("succeeds", sa.String(16)),
)
"""What recipients show. `client`: OAuth client credentials, the id being the client's; not true: a bearer token.
`succeeds`: the id of the one in whose place it is."""

access = sa.Table(
    "access",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("recipient", sa.String(64), sa.ForeignKey("recipient.name"), nullable=False),
    sa.Column("product", sa.String(120), nullable=False),
    sa.Column("divisions", sa.JSON),
    sa.Column("columns", sa.JSON),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("case_number", sa.String(64)),
    sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
    sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revoked", sa.DateTime(timezone=True)),
    sa.Column("given_by", sa.String(64)),
    sa.Column("pending", sa.Boolean),
    sa.Column("approver", sa.String(64)),
    sa.Column("approved", sa.DateTime(timezone=True)),
    sa.Column("roads", sa.JSON),
    sa.Column("organisations", sa.JSON),
    sa.Index("ix_access_recipient_product", "recipient", "product"),
)
"""A grant (a reserved word in SQL): who may read which product, which rows and columns, for what, how long.

`given_by` is null in grants older than accounts; while `pending` is true it awaits a second person's approval."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("recipient", sa.String(64)),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("product", sa.String(120)),
    sa.Column("version", sa.BigInteger),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("grant", sa.Integer),
    sa.Column("application", sa.String(64)),
    sa.Column("level", sa.Integer),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Index("ix_audit_product_at", "product", "at"),
    sa.Index("ix_audit_recipient_at", "recipient", "at"),
    sa.Index("ix_audit_application_at", "application", "at"),
    sa.Index("ix_audit_at", "at"),
)
"""`level`: the highest of the columns that were read. What is null is not hashed: older rows stay as they are."""

suspension = sa.Table(
    "suspension",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("whom", sa.String(16), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("who", sa.String(120), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("lifted", sa.DateTime(timezone=True)),
    sa.Index("ix_suspension_name", "name", "whom"),
)
"""Who is cut off, at once and for all roads: `whom` is `recipient` or `organisation`. In force until `lifted`."""

pseudonym_epoch = sa.Table(
    "pseudonym_epoch",
    metadata,
    sa.Column("recipient", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("who", sa.String(120), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("compromised", sa.Boolean, nullable=False),
)
"""From when a recipient's pseudonyms are others; the first epoch has no row. In force is the last that has begun."""

basis = sa.Table(
    "basis",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
)
NUMBER = "SELECT number FROM basis WHERE id = 1"
"""Asked past SQLAlchemy: by every read."""
"""One row. Its number grows, by triggers, in every transaction that writes to a table which decisions about reads are
made from (token, recipient, access, suspension, pseudonym_epoch, ledger): while it is the same, so are they."""

usage = sa.Table(
    "usage",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)
"""What a caller had on a day of the city (ISO 8601): `kind` is `anonymous`, `application` or `organisation`; an
anonymous name is a keyed hash of day and address."""

linkage_review = sa.Table(
    "linkage_review",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("dataset", sa.String(120), nullable=False),
    sa.Column("row_key", sa.String(200), nullable=False),
    sa.Column("place", sa.String(40), nullable=False),
    sa.Column("own", sa.String(32)),
    sa.Column("person", sa.String(32), nullable=False),
    sa.Column("why", sa.String(16), nullable=False),
    sa.Column("weight", sa.Float),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
    sa.Column("closed", sa.DateTime(timezone=True)),
    sa.Column("word", sa.String(16)),
    sa.Column("who", sa.String(120)),
    sa.Column("reason", sa.Text),
    sa.Index("ix_linkage_review_row", "dataset", "row_key", "person"),
)
"""Pairs of a row and a person that a steward is asked about, and the steward's word. `closed` without a word: the
question is settled by what was delivered since. Persons are keyed hashes; a row is named by its key."""
