"""Check digits: persons' identity numbers and unified social credit codes, against python-stdnum.

`python -m benchmarks.identifiers [NUMBERS]`. Random numbers, as good as all of them different, nine in ten with a right
check character: of numbers that repeat, DuckDB judges each once. What either says otherwise than the other is told by
the tests of the codecs, not here. `looked` is the road of large deliveries: whole columns before SQL, by the tables
that the functions in DuckDB have too.
"""

import random
import sys
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
from stdnum.cn import ric, uscc

from benchmarks.contender import Contender, one
from benchmarks.measure import table
from pipelines.codecs import functions, gb11643, gb32100
from pipelines.engine import connect

_BLOCK = 61_440
_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def _judged(where: str, folder: Path, predicate: str, column: str) -> int:
    with connect(folder) as con:
        row = con.execute(f"SELECT count(*) FILTER ({predicate}) FROM '{where}' WHERE {column} IS NOT NULL").fetchone()
        return int(row[0]) if row else 0


def _looked(where: str, function: str, column: str) -> int:
    judge, right = functions.judge(function), functions.right(function)
    with pq.ParquetFile(where) as file:
        blocks = file.iter_batches(_BLOCK, columns=[column], use_threads=False)
        return sum(int((judge.numbers(block[column]) == right).sum()) for block in blocks)


def _listed(where: str, column: str) -> list[str]:
    with duckdb.connect() as con:
        return [text for (text,) in con.execute(f"SELECT {column} FROM '{where}'").fetchall()]


def persons(where: str, folder: Path) -> int:
    """Form, check digit, province and date of every number. Returns the right ones."""
    return _judged(where, folder, gb11643.content_right("person"), "person")


def persons_looked(where: str, folder: Path) -> int:
    """The same on whole columns."""
    return _looked(where, gb11643.FUNCTION, "person")


def persons_stdnum(where: str, folder: Path) -> int:
    """The same with python-stdnum, which also asks for a known county of birth: old counties are wrong to it."""
    right = 0
    for number in _listed(where, "person"):
        try:
            right += ric.is_valid(number)
        except KeyError:  # what it does with some places of birth
            continue
    return right


def entities(where: str, folder: Path) -> int:
    """Form and both check characters of every code. Returns the right ones."""
    return _judged(where, folder, gb32100.check_digits_right("entity"), "entity")


def entities_looked(where: str, folder: Path) -> int:
    """The same on whole columns."""
    return _looked(where, gb32100.FUNCTION, "entity")


def entities_stdnum(where: str, folder: Path) -> int:
    """The same with python-stdnum, which does not look at the organisation code inside."""
    return sum(uscc.is_valid(code) for code in _listed(where, "entity"))


CONTENDERS: dict[str, Contender] = {
    "persons": persons,
    "persons_looked": persons_looked,
    "persons_stdnum": persons_stdnum,
    "entities": entities,
    "entities_looked": entities_looked,
    "entities_stdnum": entities_stdnum,
}


def _person(dice: random.Random) -> str:
    year, month, day = dice.randint(1930, 2025), dice.randint(1, 12), dice.randint(1, 28)
    return f"{dice.choice((341502, 341522, 341523))}{year}{month:02}{day:02}{dice.randint(1, 999):03}"


def _entity(dice: random.Random) -> str:
    body = "".join(dice.choice(_LETTERS) for _ in range(8))
    weighed = sum(int(sign, 36) * weight for sign, weight in zip(body, (3, 7, 9, 10, 5, 8, 4, 2), strict=True))
    return f"{dice.choice(('91', '92', '93', '12', '52'))}341502{body}{'0123456789X0'[(11 - weighed % 11) % 11]}"


def write(path: Path, numbers: int) -> None:
    """A Parquet file of numbers and codes, without a dictionary."""
    dice = random.Random()
    persons, entities = [], []
    for _ in range(numbers):
        person, entity, right = _person(dice), _entity(dice), dice.random() < 0.9
        persons.append(person + (ric.calc_check_digit(person + "0") if right else dice.choice("0123456789X")))
        entities.append(entity + (uscc.calc_check_digit(entity) if right else dice.choice(_LETTERS)))
    pq.write_table(pa.table({"person": persons, "entity": entities}), path, use_dictionary=False)


def main(numbers: int) -> None:
    """Make the numbers and run every contender on them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "numbers.parquet"
        write(path, numbers)
        print(f"{numbers} numbers")
        found = table("benchmarks.identifiers", CONTENDERS, str(path))
        for kind in ("persons", "entities"):
            for way in (kind, f"{kind}_looked"):
                print(f"{way}: python-stdnum takes {found[f'{kind}_stdnum'] / found[way]:.0f} times as long")


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
