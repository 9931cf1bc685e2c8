"""The written form of what callers may ask of the catalogue, how people sign in, and which reads are unusual."""

from typing import Annotated

from pydantic import Field

from pipelines.contracts.forms.words import Strict, Text


class WorkForm(Strict):
    """Expensive work at once in one process of the catalogue: so many at work, so many waiting for so long."""

    places: Annotated[int, Field(ge=1, le=64)] = 2
    waiting: Annotated[int, Field(ge=0, le=32)] = 16
    seconds: Annotated[float, Field(gt=0, le=60)] = 5


class QuotaForm(Strict):
    """What one caller may have: questions a minute, rows and bytes of data a day."""

    perMinute: Annotated[int, Field(ge=1, le=1_000_000)]
    rowsPerDay: Annotated[int, Field(ge=1, le=10**15)]
    bytesPerDay: Annotated[int, Field(ge=1, le=10**18)]


class CallersForm(Strict):
    """Limits by class of caller: without a token by address, a token of an application, any other token."""

    anonymous: QuotaForm = QuotaForm(perMinute=1_200, rowsPerDay=10_000_000, bytesPerDay=10_000_000_000)
    application: QuotaForm = QuotaForm(perMinute=12_000, rowsPerDay=200_000_000, bytesPerDay=200_000_000_000)
    organisation: QuotaForm = QuotaForm(perMinute=12_000, rowsPerDay=200_000_000, bytesPerDay=200_000_000_000)


class CredentialsForm(Strict):
    """Tokens and client secrets. `perMinute`: wrong ones, from one network or naming one id, before more are refused;
    `renewDays`: how long at most a successor lives that a recipient makes itself, 0 for none, `overlapHours` the old
    one beside it; `renewUntilDays`: none lives longer than so many days from what an administrator issued.
    """

    perMinute: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    renewDays: Annotated[int, Field(ge=0, le=3660)] = 90
    renewUntilDays: Annotated[int, Field(ge=1, le=3660)] = 365
    overlapHours: Annotated[int, Field(ge=0, le=8760)] = 168


class SignInForm(Strict):
    """How people who administer sign in, and where that is said.

    `passwordLength`: characters at least; `passwordDays`: days after which a password is changed, none if it never has
    to; after `tries` wrong tries in a row an account is closed for `lockMinutes`, twice as long with each time;
    `idleMinutes` and `hours`: after so much time without a page, or since signing in, a session is over.
    """

    passwordLength: Annotated[int, Field(ge=8, le=64)] = 12
    passwordDays: Annotated[int, Field(ge=1, le=3660)] | None = None
    tries: Annotated[int, Field(ge=3, le=20)] = 5
    lockMinutes: Annotated[int, Field(ge=1, le=1440)] = 15
    idleMinutes: Annotated[int, Field(ge=1, le=1440)] = 30
    hours: Annotated[int, Field(ge=1, le=24)] = 8
    basis: Text = "—"
    confidence: Text = "—"


class LimitsForm(Strict):
    """How much callers may ask of the catalogue."""

    work: WorkForm = WorkForm()
    callers: CallersForm = CallersForm()
    credentials: CredentialsForm = CredentialsForm()


class AnomaliesForm(Strict):
    """When reads are not as those before, by grant (or recipient and product that needs none) and day of the city, and
    where that is said.

    A day is held against the days of the last `pastDays` on which there were reads, if these are `leastDays`: its rows
    are more than `floor`, than `times` their median, and than the median and `deviations` (1.4826 MAD). Before, they
    are more than `floor` and than `times` the rows of the product. Or there are reads before the hour `opens`, from the
    hour `closes` on, or when nobody works, and fewer than `leastDays` of the days before had such. `refusals`: so many
    tries of one recipient in a day of what no grant opens.
    """

    pastDays: Annotated[int, Field(ge=1, le=366)]
    leastDays: Annotated[int, Field(ge=1, le=366)]
    deviations: Annotated[float, Field(gt=0, le=1000)]
    times: Annotated[float, Field(ge=1, le=1000)]
    floor: Annotated[int, Field(ge=1, le=10**15)]
    opens: Annotated[int, Field(ge=0, le=24)]
    closes: Annotated[int, Field(ge=0, le=24)]
    refusals: Annotated[int, Field(ge=1, le=1_000_000)]
    basis: Text
    confidence: Text
