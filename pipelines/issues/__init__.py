"""Issues: problems as rows with an owner. Everything that is wrong lives here; other rooms only show it.

The same problem seen again is the same issue with a higher count. It closes when a run no longer finds it; where the
caller can prove what solved it, the closed issue says so. What people raise, and by when, is in `feedback`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from pipelines.messages import name_of, translate
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.register.tables import issue as table
from pipelines.register.times import as_utc

Severity = Literal["error", "warning"]
ANSWERED = ("recall", "feedback", "anomaly", "corrected")
"""Areas whose issues close by somebody's answer, never by a run."""
WATCHED = ("ending",)
"""Areas whose issues a job of their own opens and closes, also of what contracts no longer name."""
PUBLIC = ("admit", "release", "drift")
"""Areas whose texts hold only names of rules and counts, so that everybody may read them."""
GUARDED = ("anomaly",)
"""Areas whose issues are for those who may ask about them, not for pages and reports."""
REFUSED = "admit.refused"
"""The code of an issue about refused rows that wait for a correction; its key is the rule, its count these rows."""
Proof = Callable[[str, datetime], dict[str, Any] | None]
"""What solved the problem of this identity, open since then (UTC), as plain JSON; None if nobody knows."""


@dataclass(frozen=True)
class Finding:
    """One problem of one subject. `code` with `arguments` is a message; `rows` counts what is affected.

    `key` tells apart several problems of the same code, for instance the rule that failed. `owner`: who has to act, if
    that is another than the owner of the subject.
    """

    code: str
    arguments: dict[str, Any]
    severity: Severity
    key: str = ""
    rows: int = 1
    owner: str | None = None

    @property
    def identity(self) -> str:
        """What makes two findings of a subject the same problem."""
        return f"{self.code}:{self.key}" if self.key else self.code

    def text(self, language: str) -> str:
        """What is wrong, in one language, `zh` or `en`."""
        return translate(self.code, language, **self.arguments)

    def both(self) -> str:
        """What is wrong, in Chinese and on the next line in English."""
        return "\n".join(self.text(language) for language in ("zh", "en"))


def is_guarded(code: str) -> bool:
    """Whether an issue of this identity is for those who may ask about it only."""
    return code.partition(".")[0] in GUARDED


def public_text(issue: Mapping[str, Any], language: str) -> tuple[str, str]:
    """What everybody may read of an issue in `language`: its text; of others what it is about, and its code."""
    area = issue["code"].partition(".")[0]
    if area in PUBLIC:
        return issue["text"][language], ""
    return name_of(f"issue.area.{area}", language, ""), issue["code"]


class Issues:
    """The issues of the register."""

    def __init__(self, register: Register) -> None:
        self.register = register

    def report(
        self,
        subject: str,
        owner: str,
        area: str,
        findings: Collection[Finding],
        proof: Proof = lambda *_: None,
        unasked: Collection[str] = (),
    ) -> None:
        """Make the open issues of (subject, area) exactly these findings: open new ones, count seen ones, close others.

        `area` is the first part of the message codes the caller can find, so that areas do not close each other's.
        `proof` is asked about every issue that closes. `unasked`: identities that could not be looked for this time;
        open ones stay as they are.
        """
        found = {finding.identity: finding for finding in findings}
        with self.register.begin() as connection:
            mine = (table.c.subject == subject) & (table.c.status == "open") & table.c.code.startswith(f"{area}.")
            known = {row.code: row for row in connection.execute(sa.select(table).where(mine))}
            for identity, row in known.items():
                if identity not in found and identity not in unasked:
                    since = as_utc(row.first_seen)
                    proved = proof(identity, since)
                    text = row.text | ({"proof": proved} if proved else {})
                    closed = {"status": "closed", "closed": now(), "text": text}
                    connection.execute(sa.update(table).where(table.c.id == row.id).values(**closed))
            for identity, finding in found.items():
                self._see(connection, subject, owner, finding, known.get(identity))

    def close_others(self, subjects: Collection[str]) -> None:
        """Close the issues of subjects that no contract names any more: nobody would find them solved. What somebody
        has to answer stays, and what another job looks after."""
        asked = sa.or_(*(table.c.code.startswith(f"{area}.") for area in (*ANSWERED, *WATCHED)))
        gone = (table.c.status == "open") & table.c.subject.not_in(list(subjects)) & ~asked
        with self.register.begin() as connection:
            connection.execute(sa.update(table).where(gone).values(status="closed", closed=now()))

    def open(self, subject: str | None = None) -> list[dict[str, Any]]:
        """Open issues, the worst first."""
        query = sa.select(table).where(table.c.status == "open").order_by(table.c.severity, table.c.last_seen.desc())
        return self.register.rows(query if subject is None else query.where(table.c.subject == subject))

    def shown(self) -> list[dict[str, Any]]:
        """Open issues that pages may show, the worst first."""
        return [row for row in self.open() if not is_guarded(row["code"])]

    def refused(self, subject: str) -> dict[str, int]:
        """By rule the refused rows of a source that were neither corrected nor overtaken when it was last admitted."""
        found = {row["code"].partition(":"): int(row["count"]) for row in self.open(subject)}
        return {rule: rows for (code, _, rule), rows in sorted(found.items()) if code == REFUSED}

    def owner(self, number: int) -> str | None:
        """The organisation that has to answer an issue; None if there is no such issue."""
        rows = self.register.rows(sa.select(table.c.owner).where(table.c.id == number))
        return str(rows[0]["owner"]) if rows else None

    def proved(self, subject: str | None = None) -> list[dict[str, Any]]:
        """Closed issues whose solution is known, the newest first: `text` has it under `proof`."""
        query = sa.select(table).where(table.c.status == "closed").order_by(table.c.last_seen.desc(), table.c.id.desc())
        rows = self.register.rows(query if subject is None else query.where(table.c.subject == subject))
        return [row for row in rows if "proof" in row["text"]]

    @classmethod
    def _see(cls, connection: sa.Connection, subject: str, owner: str, finding: Finding, known: Any) -> None:
        if known is None:
            cls.open_one(connection, subject, owner, finding)
        else:
            connection.execute(sa.update(table).where(table.c.id == known.id).values(**_seen(finding)))

    @staticmethod
    def open_one(connection: sa.Connection, subject: str, owner: str, finding: Finding) -> int:
        """Open one issue inside the caller's writing transaction; returns its number."""
        whose = finding.owner or owner
        opened = {"subject": subject, "code": finding.identity, "owner": whose, "status": "open", "first_seen": now()}
        done = connection.execute(sa.insert(table).values(**_seen(finding), **opened).returning(table.c.id))
        return int(done.scalar_one())


def _seen(finding: Finding) -> dict[str, Any]:
    text = {language: finding.text(language) for language in ("zh", "en")}
    return {"last_seen": now(), "count": finding.rows, "severity": finding.severity, "text": text}
