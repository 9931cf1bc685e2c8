"""回流: one entry of city.yaml that returns the rows of each division to a recipient of that division, and the account
of where all rows of the product went.

Each part is a delivery of its own, named `<entry>.<division>`, asked for on behalf of its own recipient: no grant is
spread over several (decision 0051).
"""

import json
from dataclasses import dataclass

from catalog.delivery.desk import Desk
from catalog.delivery.files.deliver import CURRENT
from catalog.delivery.receipt import signed
from catalog.policy.decision import Allowed
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.forms.deliveries import ReturnForm
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.release import publicity
from pipelines.release.signing import signer_of


@dataclass(frozen=True)
class Account:
    """Where the rows of a version went. `rows`: all of the product; `placed`: in a division that the entry names;
    `elsewhere`: in another division of the city; `unknown`: in none, so that nobody receives them. `divisions`: rows of
    each named division, and how many of them its recipient has now by this version, None if none of it was delivered.
    """

    delivery: str
    how: str
    version: int
    rows: int
    placed: int
    elsewhere: int
    unknown: int
    divisions: dict[str, dict[str, int | None]]


def account(desk: Desk, name: str, form: ReturnForm, run: str) -> Account | None:
    """Count the rows of the published version by division, and keep that as a signed receipt when it is new.

    It stays with the city: no county is told of rows that are not its own. None for a product that is not published.
    Raises LakeError.
    """
    whole = counted(desk, form)
    if whole is None:
        return None
    told = _count(desk, whole, form)
    receipts = Receipts(desk.register, run)
    divisions: dict[str, dict[str, int | None]] = {}
    for code in form.to:
        last = receipts.last(Stage.DELIVERY, part(name, code))
        said = json.loads(last.body["statement"]) if last else {}
        current = (said.get("state"), said.get("version")) == (CURRENT, whole.version)
        divisions[code] = {"rows": told.pop(code), "delivered": said["rows"] if current else None}
    made = Account(name, "account", whole.version, **told, divisions=divisions)
    facts = {key: value for key, value in vars(made).items() if key != "delivery"}
    kept = receipts.last(Stage.DELIVERY, name)
    before = json.loads(kept.body["statement"]) if kept else {}
    if any(before.get(key) != value for key, value in facts.items()):
        city = desk.listing.city()
        about = {"delivery": name, "from": city.operator, "product": form.product}
        signer = signer_of(desk.settings, city)
        statement, signature = signed(signer, **about, **facts)
        receipts.add(Stage.DELIVERY, name, {"statement": statement, "signature": signature})
    return made


def counted(desk: Desk, form: ReturnForm) -> Allowed | None:
    """What the rows of the published version are counted by, None for a product that is not published: nobody is given
    it."""
    snapshot = desk.listing.snapshot()
    offering = snapshot.find(form.product)
    assert offering is not None  # the contract check saw it
    offer = offering.offer
    if offer.version is None or offer.rows is None:
        return None
    until = offer.shown_until
    return Allowed(
        product=offer.product,
        version=offer.version,
        columns=(offer.rows,),
        rows=offer.rows,
        divisions=None,
        pseudonyms=(),
        recipient=None,
        grant=None,
        purpose=None,
        shown_until=until.column if until else None,
        day=publicity.today(snapshot.contracts) if until else None,
    )


def part(name: str, code: str) -> str:
    """What the delivery to one division is called."""
    return f"{name}.{code}"


def _count(desk: Desk, allowed: Allowed, form: ReturnForm) -> dict[str, int]:
    """All rows, those of each division by its code, those placed in any, and those elsewhere and nowhere.

    Raises CitylakeError if they do not add up."""
    city = desk.listing.snapshot().contracts
    counties = [code for code, row in city.codes["divisions"].rows.items() if row["level"] == "county"]
    column = identifier(allowed.rows or "")

    def inside(codes: list[str]) -> str:
        return " OR ".join(f"coalesce(starts_with({column}, {literal(code)}), false)" for code in codes)

    placed, known = inside(list(form.to)), inside(counties)
    counts = {
        "rows": "count(*)",
        "placed": f"count(*) FILTER (WHERE {placed})",
        "elsewhere": f"count(*) FILTER (WHERE ({known}) AND NOT ({placed}))",
        "unknown": f"count(*) FILTER (WHERE NOT ({known}) AND NOT ({placed}))",
        **{code: f"count(*) FILTER (WHERE {inside([code])})" for code in form.to},
    }
    listed = ", ".join(f"{count} AS {identifier(name)}" for name, count in counts.items())
    extract = desk.views.extract(allowed)
    with desk.views.folders.connection() as con:
        found = con.execute(f"SELECT {listed} FROM {extract.relation}").fetchone() or ()
    told = dict(zip(counts, map(int, found), strict=True))
    if told["rows"] != told["placed"] + told["elsewhere"] + told["unknown"]:
        raise CitylakeError("deliver.account", name=form.product)
    return told
