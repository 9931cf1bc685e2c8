"""Makes the font of documents: Noto Sans CJK SC, cut down to what reports of a Chinese city need.

    python -m pipelines.documents.subset /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

Pages that load nothing bring along what they need of it (`with_glyphs`).

The characters: ASCII and Latin-1, all of GB 2312, whatever the contracts, the messages and the demo city write, and
rare ones of place and personal names. The same font file gives the same subset; see fonts/README.md.
"""

import io
import sys
from base64 import b64encode
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

HERE = Path(__file__).parent
FONT = HERE / "fonts" / "NotoSansCJKsc-Regular-subset.otf"
FAMILY = "Noto Sans CJK SC"
CARRIED = "citylake CJK"
"""How pages call the font that they bring along: after those of the machine, which may have none for Chinese."""
REPOSITORY = HERE.parents[1]
WRITTEN = (("data_contracts", "*.yaml"), ("data_contracts", "*.csv"), ("pipelines/messages", "*.yaml"))
NAMES = (
    "䃥㙍淠沣浉汲埠堽堨墩圩埂埕塝垱垸塆畈峃嶅嵖岈淝泂瀍滍溇湉漈潕濉灈灞㳇㵐堌喆昇玥珺琦瑀瑄瑭璟皓祎祺禛琛"
    "甯翀翊芃茜莀菡蔺彧怡恺悰懿旻昕昫晞晟晢暄暐暕曈柃栩桉梣椤槿樾橦炅炜炘焜焯煊煜熠燚犇垚堃塬淼渼湲湜溍滢"
    "漪潆澍濛烜玟珏珣珩珵琇琎琤琬琰瑗瑢瑾璆璘璠嬿妍娅娜婕婧媛嫄嫣嬅䶮㛃㛹㬎㬚㭎㸆㺷䎃䜣䝙䢺䣘䥽䴖㐂㑇㑊㕮"
    "㘎㙘㛚㟃㠇㠓㤘㥄㧐㧑㧟㫰㬊㮾㰀㳘㴔㶲㶽㸌㺄㻬㽏㿠䁖䂮䃅䃎䅟䌹䎖䏝䏡䏲䓖䓛䓨䓫䓬䗖䗛䗪䗴䝔䠀䢼䦃䲟䲠䲢"
    "䴓䴔䴕䴗䴘䴙"
)
"""Rare characters of places (䃥 of 六安, 圩, 畈) and names; the letters of extension A are those of the official table
of standard characters."""
PUNCTUATION = "—–…‘’“”·×÷≤≥≠±→←↑↓Σ∑√∞‰℃㎡№①②③④⑤⑥⑦⑧⑨⑩〔〕【】《》〈〉「」『』、。！？；：（）％／＝＋－～￥■□▲△●○◆◇★☆✓"


def characters() -> set[int]:
    """The code points that the subset holds, as far as the font has them."""
    found = {*range(0x20, 0x7F), *range(0xA0, 0x100), *map(ord, NAMES + PUNCTUATION)}
    found |= {ord(character) for character in _gb2312()}
    for folder, pattern in WRITTEN:
        for file in (REPOSITORY / folder).rglob(pattern):
            found |= {ord(character) for character in file.read_text("utf-8") if character.isprintable()}
    return found


def _gb2312() -> Iterator[str]:
    for row in range(0xA1, 0xF8):
        for cell in range(0xA1, 0xFF):
            yield from bytes([row, cell]).decode("gb2312", errors="ignore")


def cut(collection: Path) -> TTFont:
    """The subset, of a collection that has the family."""
    fonts = TTCollection(str(collection), lazy=True).fonts
    font = next(one for one in fonts if one["name"].getDebugName(4) == FAMILY)
    options = subset.Options(layout_features=[], hinting=False, name_IDs=["*"], notdef_outline=True)
    font.recalcTimestamp = False
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=characters())
    cutter.subset(font)
    return font


def with_glyphs(page: str) -> str:
    """A page of HTML with the glyphs of its text, as a font inside its first style sheet. What it shows by another name
    than `CARRIED`, and what the font lacks, is left to the machine. The same page gives the same bytes."""
    font = TTFont(FONT, lazy=True, recalcTimestamp=False)
    cutter = subset.Subsetter(subset.Options(layout_features=[], hinting=False, name_IDs=[], notdef_outline=True))
    cutter.populate(text=unescape(page))
    cutter.subset(font)
    font.flavor, file = "woff", io.BytesIO()
    font.save(file)
    source = f"data:font/woff;base64,{b64encode(file.getvalue()).decode()}"
    rule = f'@font-face {{ font-family: "{CARRIED}"; src: url("{source}") format("woff"); }}'
    return page.replace("</style>", f"{rule}\n</style>", 1)


if __name__ == "__main__":
    cut(Path(sys.argv[1])).save(FONT)
