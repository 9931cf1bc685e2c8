"""How deliveries stand: each try with what became of it, and for a recipient where theirs are.

Belongs here: keeping why a try failed until one succeeds, and telling it with the receipts. Does not belong here: what
is delivered (`deliveries`), pages.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from catalog.delivery.deliveries import Form, all_deliveries, deliver, refusal, refusal_shown
from catalog.delivery.desk import Desk, Refused
from catalog.delivery.files.deliver import FileTask
from catalog.delivery.files.returned import Account
from catalog.delivery.push import Delivered
from catalog.policy.audit import AuditUnavailable
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.deliveries import DeliveryForm
from pipelines.contracts.texts import LANGUAGES
from pipelines.messages import CitylakeError, translate
from pipelines.register import Register
from pipelines.register.receipts import Receipt, Receipts, Stage
from pipelines.register.times import as_utc

LATELY = 5
"""Receipts of a delivery that a recipient is shown."""
Texts = Mapping[str, str]
"""A text by language."""
_AT_RECIPIENT = frozenset(
    f"deliver.{code}"
    for code in ("unreachable", "database", "misfit", "not_ours", "counts", "store", "files", "not_our_folder")
)
"""Problems that a recipient can see to: of its database, its table, its folder."""


@dataclass(frozen=True)
class Tried:
    """What became of a try: what it did, None for a return whose product is not published; or its problem, whole for
    the operator, and what the recipient is shown of it."""

    done: Delivered | Account | None
    problem: Texts | None = None
    shown: Texts | None = None

    @property
    def told(self) -> str:
        """The problem in both languages."""
        return "\n".join((self.problem or {}).values())


@dataclass(frozen=True)
class Standing:
    """Where a delivery to a recipient is. `to`: the table or folder; `last`: what the last receipt says, empty before
    the first; `failed`: when the last try failed, None if it did not; `receipts`: ids and moments, newest first."""

    name: str
    product: str
    to: str
    last: Mapping[str, Any]
    failed: datetime | None
    problem: Texts | None
    receipts: tuple[tuple[int, datetime], ...]

    @property
    def ended(self) -> str | None:
        """The reason why it ended, None if it did not. Notices of tables and of folders name it each in its way."""
        return str(self.last.get("reason", self.last.get("state"))) if self.last.get("how") == "ended" else None

    @property
    def at(self) -> datetime:
        """When it last brought anything or ended."""
        return self.receipts[0][1]


def attempt(desk: Desk, name: str, run: str, anew: bool = False) -> Tried:
    """Deliver one, and keep what stopped it for whoever asks; `anew` as in `deliver`. Other deliveries go on."""
    tried = _try(desk, name, run, anew)
    receipts, recipient = Receipts(desk.register, run), _recipient(all_deliveries(desk.listing.city()).get(name))
    # of a register that cannot be written, that is the problem told; PostgreSQL and SQLite say it by different errors
    with contextlib.suppress(OperationalError, InternalError, InterfaceError):
        if tried.problem is not None or _failure(receipts, name, recipient) is not None:
            receipts.add(Stage.FAILURE, _subject(name), {"message": tried.shown, "recipient": recipient})
    return tried


def standing(register: Register, city: CityForm, recipient: str) -> list[Standing]:
    """All deliveries to one recipient, by name."""
    receipts = Receipts(register, "")
    return [
        _standing(receipts, name, form)
        for name, form in all_deliveries(city).items()
        if isinstance(form, DeliveryForm | FileTask) and form.recipient == recipient
    ]


def own_receipt(register: Register, delivery: str, number: int, recipient: str) -> Receipt | None:
    """One of the receipts that a recipient is shown of a delivery, None for any other."""
    if "\0" in delivery:  # PostgreSQL cannot even be asked for it
        return None
    kept = Receipts(register, "").of_stage(Stage.DELIVERY, delivery, LATELY)
    return next((one for one in kept if one.id == number and _said(one).get("recipient") == recipient), None)


def _try(desk: Desk, name: str, run: str, anew: bool) -> Tried:
    ours = _texts("deliver.by_platform", name=name)
    try:
        return Tried(deliver(desk, name, run, anew))
    except Refused as refused:
        shown = refusal_shown(desk.register, name, refused, behind=_is_theirs(refused.__cause__))
        return Tried(None, refusal(desk.register, name, refused), shown)
    except AuditUnavailable:
        return Tried(None, _texts("web.error.no_audit"), ours)
    except CitylakeError as error:
        problem = {language: error.text(language) for language in LANGUAGES}
        return Tried(None, problem, problem if _is_theirs(error) else ours)
    except Exception as error:  # the text of an error that nobody foresaw may quote rows
        return Tried(None, _texts("deliver.unforeseen", name=name, problem=type(error).__name__), ours)


def _is_theirs(error: BaseException | None) -> bool:
    """Whether a problem is the recipient's to see to. What a driver says of paths is of our machine: of certificates,
    keys and sockets."""
    if not isinstance(error, CitylakeError) or error.code not in _AT_RECIPIENT:
        return False
    return not {"/", "\\"} & set(str(error.arguments.get("problem", "")))


def _recipient(form: Form | None) -> str | None:
    """Whom a delivery is to; None for the account of a return, and for one that city.yaml does not name."""
    return form.recipient if isinstance(form, DeliveryForm | FileTask) else None


def _standing(receipts: Receipts, name: str, form: DeliveryForm | FileTask) -> Standing:
    kept = receipts.of_stage(Stage.DELIVERY, name, LATELY)
    mine = [(one, said) for one in kept if (said := _said(one)).get("recipient") == form.recipient]
    failure = _failure(receipts, name, form.recipient)
    return Standing(
        name=name,
        product=form.product,
        to=form.table if isinstance(form, DeliveryForm) else form.folder,
        last=mine[0][1] if mine else {},
        failed=None if failure is None else as_utc(failure.at),
        problem=None if failure is None else failure.body["message"],
        receipts=tuple((one.id, as_utc(one.at)) for one, _ in mine),
    )


def _failure(receipts: Receipts, name: str, recipient: str | None) -> Receipt | None:
    """The failure of a delivery to this recipient that no success followed; another had it before, perhaps."""
    last = receipts.last(Stage.FAILURE, _subject(name))
    if last is None or last.body["message"] is None or last.body.get("recipient") != recipient:
        return None
    return last


def _subject(name: str) -> str:
    """What failures of a delivery are kept under: a source may be called as it is."""
    return f"delivery:{name}"


def _said(kept: Receipt) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(kept.body["statement"])
    return said


def _texts(code: str, **arguments: object) -> Texts:
    return {language: translate(code, language, **arguments) for language in LANGUAGES}
