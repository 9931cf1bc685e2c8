"""Where people stand by the population library and in truth: registered, away, come in, gone or dead."""

from collections import Counter
from dataclasses import dataclass

from citylake.compared.libraries.told import Libraries, doubtful_numbers
from simulator.standing import AT_HOME, AWAY, CAME_IN, DEAD, GONE, standings

PERSON = "lib_population__person"
MODELS = ("lib_geography__division", PERSON)
STATUSES = {AT_HOME: "registered", AWAY: "registered_away", CAME_IN: "floating", GONE: "moved_out", DEAD: "dead"}


@dataclass
class Share:
    """Of one residence status: persons who truly have it, who are said to have it, and both; `unknown`: of the first,
    those whom the library does not know at all, for every row of them was refused."""

    true: int = 0
    said: int = 0
    right: int = 0
    unknown: int = 0

    @property
    def recall(self) -> float:
        """Of those who truly have the status and are in the library, the share that is said to have it."""
        return self.right / max(self.true - self.unknown, 1)

    @property
    def precision(self) -> float:
        """Of those said to have the status the share that truly has it."""
        return self.right / max(self.said, 1)


def residence(libraries: Libraries) -> tuple[dict[str, Share], Counter[tuple[str, str, str]]]:
    """Shares by status, and how often one was said for the other on which evidence: true, said, evidence."""
    true, doubtful = standings(libraries.city), doubtful_numbers(libraries.city)
    found = {
        number: (status, evidence)
        for number, status, evidence in libraries.rows(
            PERSON, "id_number, residence_status, residence_evidence", "id_number is not null"
        )
        if number not in doubtful
    }
    shares, mixed = {status: Share() for status in STATUSES}, Counter[tuple[str, str, str]]()
    for number, one in true.items():
        if number not in doubtful:
            shares[one.status].true += 1
            shares[one.status].unknown += number not in found
    for number, (status, evidence) in found.items():
        shares[status].said += 1
        really = true[number].status if number in true else "nobody"
        shares[status].right += really == status
        if really != status:
            mixed[really, status, evidence] += 1
    return shares, mixed
