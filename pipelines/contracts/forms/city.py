"""The written form of city.yaml: connections, levels, channels, calendars, who signs.

What is delivered to recipients is in `deliveries`, what callers may ask of the catalogue in `limits`.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pipelines.contracts.forms.deliveries import AnyDelivery
from pipelines.contracts.forms.limits import AnomaliesForm, LimitsForm, SignInForm
from pipelines.contracts.forms.products import Approval
from pipelines.contracts.forms.words import Day, Level, Name, OrganisationName, SourceName, Strict, Text


class ConnectionForm(Strict):
    """Where a source lives; `secret` names the environment variable or file that holds the connection string.
    `sessions`: how many pulls may ask a database at a time, each over one session."""

    description: Text
    secret: Name
    sessions: Annotated[int, Field(ge=1, le=64)] | None = None


class LevelForm(Strict):
    """A sensitivity level's names; `approval`: a grant that shows a column of it needs a second person's approval."""

    name: Text
    nameEn: Text
    approval: bool = False


class ChannelPolicy(Strict):
    """A channel's names and the highest level it may show; `maxPseudonymised` for values that a keyed mask replaced.

    `approval`: the release of a product that shows a column of this level or a higher one waits for two persons.
    """

    name: Text
    nameEn: Text
    maxLevel: Level
    maxPseudonymised: Level | None = None
    approval: dict[Level, Approval] = {}

    def asks(self, level: int) -> Approval | None:
        """How often two persons release what shows a column of this level: the strictest of all levels up to it."""
        wanted = {approval for lowest, approval in self.approval.items() if lowest <= level}
        return "each" if "each" in wanted else "standing" if "standing" in wanted else None

    def limit(self, pseudonymised: bool) -> int:
        """The highest level of a column, which is higher for one that shows pseudonyms only."""
        return max(self.maxLevel, self.maxPseudonymised or 0) if pseudonymised else self.maxLevel


class AddressBookForm(Strict):
    """What addresses are matched with: the sources of standard addresses, divisions and boundaries of counties."""

    standard: SourceName
    divisions: SourceName
    boundaries: SourceName


MonthDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]


class WorkYear(Strict):
    """A year as announced: weekdays that are off, weekend days that are worked, and who says so."""

    off: list[Day]
    worked: list[Day] = []
    source: Text


class WorkCalendarForm(Strict):
    """Years that are announced; `statutory`: the days (MM-DD) that are off in every year, by law."""

    years: dict[Annotated[int, Field(ge=2000, le=2199)], WorkYear]
    statutory: list[MonthDay]


Duty = Literal["verification", "acknowledgement", "correction", "delivery", "recall"]
"""What somebody has to do about an issue by a day: verify what was raised, say that a correction was taken over,
correct what runs found, deliver what is late, answer a withdrawal."""


class DeadlineForm(Strict):
    """So many working days for a duty, where that is said and how far this was checked."""

    days: Annotated[int, Field(ge=1, le=250)]
    basis: Text
    confidence: Text


class TimeStampForm(Strict):
    """Who puts time stamps (RFC 3161) on the heads of ledger and audit: `address`, over HTTP, and the `certificate`
    (PEM) of the authority, or of who issued its."""

    address: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s]+$")]
    certificate: Annotated[str, StringConstraints(pattern=r"^-----BEGIN CERTIFICATE-----\n")]


class HeadsAwayForm(Strict):
    """Where each signed head of ledger and audit goes when a run ends: a `folder` outside of this system, mounted."""

    folder: Annotated[str, StringConstraints(pattern=r"^/")]


class DeviceForm(Strict):
    """A key that is not kept here: `command` is run in the folder `secrets/signing`, gets a message on its standard
    input and writes the signature in DER to its standard output (GB/T 32918.2, SM3, user 1234567812345678)."""

    algorithm: Literal["sm2"]
    publicKey: Annotated[
        str, StringConstraints(pattern=r"^-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAE")
    ]
    command: Annotated[list[Text], Field(min_length=1)]


class SigningForm(Strict):
    """Who signs heads and receipts: a `device`, or the Ed25519 key of the installation. `former`: devices of before,
    which hand over to it and whose receipts still count."""

    device: DeviceForm | None = None
    former: list[DeviceForm] = []


class CityForm(Strict):
    """data_contracts/city.yaml"""

    name: Text
    nameEn: Text
    division: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
    timezone: Text
    operator: OrganisationName
    connections: dict[Name, ConnectionForm]
    deliveries: dict[Name, AnyDelivery] = {}
    addressBook: AddressBookForm | None = None
    workCalendar: WorkCalendarForm | None = None
    deadlines: dict[Duty, DeadlineForm] = {}
    levels: dict[Level, LevelForm]
    channels: dict[Literal["open", "sharing", "analyst"], ChannelPolicy]
    anomalies: AnomaliesForm | None = None
    signIn: SignInForm = SignInForm()
    limits: LimitsForm = LimitsForm()
    timeStamps: TimeStampForm | None = None
    headsAway: HeadsAwayForm | None = None
    signing: SigningForm | None = None
