"""All deliveries of city.yaml by their names, whatever each writes into."""

import json
from collections.abc import Iterator

from catalog.delivery.desk import Desk, Refused
from catalog.delivery.files import returned
from catalog.delivery.files.deliver import FileTask
from catalog.delivery.files.deliver import deliver as deliver_files
from catalog.delivery.files.returned import Account
from catalog.delivery.push import BY_CONTRACT, Delivered
from catalog.delivery.tables.deliver import deliver as deliver_table
from catalog.policy.decision import Reason
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.deliveries import DeliveryForm, FileDeliveryForm, PackagesForm, ReturnForm, ReturnTo
from pipelines.contracts.texts import LANGUAGES
from pipelines.messages import CitylakeError, translate
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage

Form = DeliveryForm | FileTask | ReturnForm
_OF_RECIPIENT = {Reason.GRANT_REQUIRED: "deliver.no_grant", Reason.TOKEN_INVALID: "deliver.no_recipient"}
"""What to do where it is not the contract alone. A delivery shows no token: whose token is not valid, is not
registered."""


def all_deliveries(city: CityForm) -> dict[str, Form]:
    """Every delivery; the parts of a return come before the return itself, whose account they are needed for."""
    return dict(pair for name, form in sorted(city.deliveries.items()) for pair in _expanded(name, form))


def named(city: CityForm, name: str) -> list[str]:
    """The delivery of this name, of a return all its parts too. Raises CitylakeError for an unknown name."""
    if isinstance(form := city.deliveries.get(name), ReturnForm):
        return [one for one, _ in _expanded(name, form)]
    if name not in all_deliveries(city):
        raise CitylakeError("deliver.unknown", name=name, known="、".join(all_deliveries(city)) or "—")
    return [name]


def deliver(desk: Desk, name: str, run: str, anew: bool = False) -> Delivered | Account | None:
    """Bring one delivery up to date; `anew`: files by all rows, whatever was delivered before. Of a return itself the
    account of its rows, None if its product is not published.

    Raises CitylakeError for an unknown name, and what its kind of delivery raises.
    """
    forms = all_deliveries(desk.listing.snapshot().contracts.city)
    if name not in forms:
        raise CitylakeError("deliver.unknown", name=name, known="、".join(forms) or "—")
    form = forms[name]
    if isinstance(form, DeliveryForm):
        return deliver_table(desk, name, form, run)
    if isinstance(form, FileTask):
        return deliver_files(desk, name, form, run, anew)
    return returned.account(desk, name, form, run)


def refusal(register: Register, name: str, refused: Refused) -> dict[str, str]:
    """Why a delivery was refused, where it only stops until contracts say otherwise, what to do, and what else failed
    when it stopped; by language."""
    rule = _OF_RECIPIENT.get(refused.reason)
    if rule is None and refused.reason in BY_CONTRACT:
        rule = "deliver.by_contract_ended" if _has_ended(register, name) else "deliver.by_contract"
    return _told(name, refused, rule, behind=True)


def refusal_shown(register: Register, name: str, refused: Refused, behind: bool) -> dict[str, str]:
    """The same for the recipient, who can mend no contract; with `behind`, what else failed."""
    rule = None
    if refused.reason in BY_CONTRACT:
        rule = "deliver.stopped_ended" if _has_ended(register, name) else "deliver.stopped"
    return _told(name, refused, rule, behind)


def _told(name: str, refused: Refused, rule: str | None, behind: bool) -> dict[str, str]:
    told = dict[str, str]()
    for language in LANGUAGES:
        reason = translate(f"web.reason.{refused.reason.value}", language)
        texts = [translate("deliver.refused", language, name=name, reason=reason)]
        if rule is not None:
            texts.append(translate(rule, language, name=name, product=refused.product))
        if behind and isinstance(refused.__cause__, CitylakeError):
            texts.append(refused.__cause__.text(language))
        told[language] = "\n".join(texts)
    return told


def _has_ended(register: Register, name: str) -> bool:
    """Whether the last receipt of a delivery tells its end."""
    last = Receipts(register, "").last(Stage.DELIVERY, name)
    return last is not None and json.loads(last.body["statement"]).get("how") == "ended"


def _expanded(name: str, form: DeliveryForm | FileDeliveryForm | ReturnForm) -> Iterator[tuple[str, Form]]:
    if isinstance(form, DeliveryForm):
        yield name, form
    elif isinstance(form, FileDeliveryForm):
        yield name, _task(form, form)
    else:
        for code, to in sorted(form.to.items()):
            yield returned.part(name, code), _task(form, to, code)
        yield name, form


def _task(form: PackagesForm, to: FileDeliveryForm | ReturnTo, division: str | None = None) -> FileTask:
    return FileTask(
        recipient=to.recipient,
        product=form.product,
        connection=to.connection,
        folder=to.folder,
        formats=tuple(dict.fromkeys(form.formats)),
        content=form.content,
        when_ended=form.whenEnded,
        division=division,
    )
