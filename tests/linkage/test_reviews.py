"""What stewards are asked about a row and a person: the question stays, what it says is of now."""

from dataclasses import replace
from pathlib import Path

from pipelines.linkage.reviews import Question, Reviews
from pipelines.register import Register


def test_an_open_question_says_what_holds_now(tmp_path: Path) -> None:
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    reviews = Reviews(register)
    first = Question("hc/health_record", "k1", "1:7", None, "p" * 32, "uncertain", 1.5, "model 1")
    reviews.ask([first, replace(first, row_key="k2")])
    asked = reviews.open()[0]
    again = replace(first, place="2:9", why="shared", weight=-0.5, model="model 2")
    assert reviews.ask([again]) == 1
    (now,) = reviews.open()
    assert (now["id"], now["asked"]) == (asked["id"], asked["asked"]), "the same question"
    assert {name: now[name] for name in vars(again)} == vars(again)
    reviews.decide(now["id"], "reject", "张专员", "不是同一人")
    (answer,) = reviews.answers()
    assert answer.question == again
    register.close()
