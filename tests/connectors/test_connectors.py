"""Connectors: what they write, and what they tell when a source cannot be read. Passwords are told to nobody."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from pipelines.connectors.base import ColumnsMissing, Request, connectors, require_columns
from pipelines.messages import CitylakeError

SECRETS = [
    "postgresql://reader:p%40ss%20w@127.0.0.1:1/psb",
    "postgresql://reader:simple-secret@127.0.0.1:1/psb?connect_timeout=1",
    "host=127.0.0.1 port=1 user=reader password='my secret pw' dbname=psb",
    "host=127.0.0.1 port=1 user=reader password = spaced-secret",
    "only-a-password-was-pasted",
    "postgres:/reader:wrong-slash@127.0.0.1/psb",
    "postgresql://reader:not@en/co#ded-secret@127.0.0.1:1/psb",
    "mysql://reader:p%40ss%20w@127.0.0.1:1/psb",
    "mysql://reader:not@en/co#ded-secret@127.0.0.1:1/psb",
    "mysql+pymysql://reader:simple-secret@127.0.0.1:1/psb",
    "oracle+oracledb://reader:simple-secret@127.0.0.1:1/psb",
]


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., Request]:
    def make(secret: str = "", expected: tuple[str, ...] = ("code",)) -> Request:
        return Request(
            target=tmp_path / "rows.parquet",
            root=tmp_path,
            secret=lambda _: secret,
            owner="市公安局",
            expected=expected,
            ignored=(),
            scratch=tmp_path / "scratch",
        )

    return make


@pytest.mark.server
@pytest.mark.parametrize("secret", SECRETS)
def test_a_message_never_holds_a_secret(request_for: Callable[..., Request], secret: str) -> None:
    with pytest.raises(CitylakeError) as caught:
        connectors["database"].function(request_for(secret), connection="psb", table="hzgl.T")
    text = str(caught.value)
    assert "市公安局" in text or "oracledb" in text
    for part in (
        "p%40ss",
        "p@ss",
        "simple-secret",
        "my secret pw",
        "spaced-secret",
        "only-a-password",
        "wrong-slash",
        "ded-secret",
    ):
        assert part not in text


def test_reference_csv_keeps_texts_as_they_are(request_for: Callable[..., Request], tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("code,name\n007,甲\n010,乙\n", "utf-8")
    pulled = connectors["reference"].function(request_for(), file="list.csv")
    assert (pulled.rows, pulled.columns) == (2, ("code", "name"))
    assert pl.read_parquet(tmp_path / "rows.parquet")["code"].to_list() == ["007", "010"]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("broken.geojson", '{"features": [', "pull.unreadable"),
        ("point.geojson", '{"features": [{"properties": {}, "geometry": {"type": "Point"}}]}', "pull.unreadable"),
        ("other.csv", "name\n甲\n", "pull.columns_missing"),
        ("../outside.csv", "", "pull.no_file"),
        ("nowhere.csv", None, "pull.no_file"),
    ],
)
def test_what_cannot_be_read_is_said(
    request_for: Callable[..., Request], tmp_path: Path, name: str, text: str | None, code: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(CitylakeError) as caught:
        connectors["reference"].function(request_for(), file=name)
    assert caught.value.code == code


@pytest.mark.parametrize("unreadable", [False, True])
def test_values_of_new_columns_are_at_hand_when_one_is_missing(tmp_path: Path, unreadable: bool) -> None:
    """They tell what was renamed; where no row can be read the missing column is still what is told."""
    request = Request(tmp_path / "x", tmp_path, str, "市公安局", ("code", "name"), ("note",), tmp_path)

    def rows() -> Iterator[list[str]]:
        yield ["1", "甲", "x", ""]
        if unreadable:
            raise CitylakeError("pull.csv_broken", file="f", line=3, owner="o")
        yield ["2", "乙", "y", ""]

    with pytest.raises(ColumnsMissing) as caught:
        require_columns(request, ("code", "names", "note"), "f", rows)
    assert caught.value.missing == ("name",)
    assert caught.value.sample == {"names": ["甲"] if unreadable else ["甲", "乙"]}
    assert "甲" not in str(caught.value)
