"""The pages in a real browser: no script or style is refused, Chinese is drawn with glyphs, at 1280 and 390 pixels."""

import re
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import httpx
import pytest
from fontTools import subset
from fontTools.ttLib import TTFont

from catalog.web import site
from pipelines.documents import html
from pipelines.documents.model import Document, Words
from pipelines.documents.subset import FONT
from tests.catalog.opening import open_page
from tests.catalog.serving import serving
from tests.catalog.small_city import AGE_MODEL, AGES, City

pytestmark = pytest.mark.server

NEW = ["/datasets?theme=population", "/indicators", "/indicators/map", "/marts"]
REPORTS = [f"/quality/{AGES}", "/quality/organisations/psb"]
PAGES = ["/", f"/datasets/{AGES}", f"/datasets/{AGES}/preview", "/quality", *REPORTS, "/decisions", "/issues", *NEW]

PHONE = 390
WAITING = "--virtual-time-budget=10000"
"""Until fonts are there."""


@pytest.fixture(scope="module")
def address(full_city: City) -> Iterator[str]:
    with serving(full_city.settings) as address:
        yield address


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_complaints(chromium: str, address: str, tmp_path: Path, page: str) -> None:
    opened = open_page(chromium, tmp_path, address + page, "--dump-dom")
    assert "CONSOLE" not in opened.stderr, opened.stderr
    assert len(re.findall("<h1", opened.stdout)) == 1
    assert re.search(r"[\u4e00-\u9fff]{4}", opened.stdout)


def test_chinese_has_glyphs(chromium: str, tmp_path: Path) -> None:
    """Missing glyphs are drawn as one and the same box; real ones differ."""
    drawn = [screenshot(chromium, tmp_path, f"data:text/html,<meta charset=utf-8><h1>{c}</h1>") for c in "户籍龄䃥"]
    assert len(set(drawn)) == 4


@pytest.fixture
def without_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose one font has Latin letters only: Chromium does not start without any."""
    empty = tmp_path / "fonts"
    empty.mkdir()
    font, latin = TTFont(str(FONT)), subset.Subsetter()
    latin.populate(unicodes=range(32, 127))
    latin.subset(font)
    for name in font["name"].names:  # no page is to ask for it
        name.string = "Latin letters"
    font.save(empty / "latin.otf")
    (empty / "fonts.conf").write_text(f"<fontconfig><dir>{empty}</dir><cachedir>{empty}/cache</cachedir></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(empty / "fonts.conf"))
    monkeypatch.setenv("XDG_DATA_HOME", str(empty))


@pytest.mark.long
def test_pages_bring_chinese_glyphs_along(chromium: str, address: str, tmp_path: Path, without_fonts: None) -> None:
    """On a machine without any Chinese font: the page as such draws all alike, ours each by its own glyph."""
    alone = {screenshot(chromium, tmp_path, f"data:text/html,<meta charset=utf-8><h1>{c}</h1>") for c in "户籍龄䃥"}
    assert len(alone) == 1, "no font of this machine takes part"
    drawn = [screenshot(chromium, tmp_path, f"{address}/datasets?q={c}", more=WAITING) for c in "户籍龄䃥"]
    assert len(set(drawn)) == 4


def test_files_bring_chinese_glyphs_along(chromium: str, tmp_path: Path, without_fonts: None) -> None:
    """A report kept as a file, where nothing can be asked for."""
    drawn, at = [], datetime(2026, 11, 1, tzinfo=UTC)
    for c in "户籍龄䃥":
        document = Document("zh", c, "", [], "", at, [], Words("{page}/{pages}", "{characters}"))
        (tmp_path / "report.html").write_text(html.render(document), "utf-8")
        drawn.append(screenshot(chromium, tmp_path, (tmp_path / "report.html").as_uri(), more=WAITING))
    assert len(set(drawn)) == 4


@pytest.mark.long
@pytest.mark.parametrize("size", ["1280,900", "390,900"])
def test_lists_and_drawings_are_drawn(chromium: str, address: str, tmp_path: Path, size: str) -> None:
    for page in NEW:
        width, rows = pixels(screenshot(chromium, tmp_path, address + page, size))
        assert f"{width},900" == size
        assert len(set(rows)) > 50, f"{page} is almost empty"


@pytest.mark.long
@pytest.mark.parametrize("page", [*PAGES, f"/quality/evidence/{AGE_MODEL}", "/docs/api", "/login", "/access"])
def test_pages_fit_a_phone(chromium: str, address: str, tmp_path: Path, page: str) -> None:
    """Wide tables move in a frame of their own, so that no page is wider than the screen."""
    asked = httpx.get(address + page, params={"lang": "zh"})
    assert asked.status_code == 200
    style = (Path(site.__file__).parent / "static" / "citylake.css").read_text("utf-8")
    shown = asked.text.replace("</head>", f"<style>{style}</style></head>", 1)
    frame = tmp_path / "phone.html"
    frame.write_text(
        f'<meta charset="utf-8"><iframe width="{PHONE}" height="844" style="border: 0" srcdoc="{escape(shown)}" '
        'onload="const page = this.contentDocument.documentElement; '
        'document.title = page.scrollWidth - page.clientWidth"></iframe>',
        "utf-8",
    )
    opened = open_page(chromium, tmp_path, frame.as_uri(), "--dump-dom", WAITING)
    assert "<title>0</title>" in opened.stdout


def screenshot(chromium: str, folder: Path, url: str, size: str = "1280,900", more: str = "--mute-audio") -> bytes:
    target = folder / "page.png"
    open_page(chromium, folder, url, f"--window-size={size}", f"--screenshot={target}", more)
    return target.read_bytes()


def pixels(png: bytes) -> tuple[int, list[bytes]]:
    """Width, and the filtered scan lines of a PNG."""
    width, height = struct.unpack(">II", png[16:24])
    data, place = b"", 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        data += png[place + 8 : place + 8 + length] if kind == b"IDAT" else b""
        place += length + 12
    raw = zlib.decompress(data)
    stride = len(raw) // height
    return width, [raw[row * stride : (row + 1) * stride] for row in range(height)]
