"""Documents as one HTML file: style, font and charts inside, nothing loaded from elsewhere, made to be printed."""

from collections.abc import Iterator
from html import escape
from itertools import pairwise

from pipelines.documents.model import Bars, Block, Cell, Chart, Document, Link, Paragraph, Table, shown
from pipelines.documents.subset import with_glyphs

WIDTH, HEIGHT, LEFT, BELOW = 680, 170, 46, 22
STYLE = """
:root { --ink: #1c2530; --quiet: #55606c; --line: #d3dae1; --accent: #0b5394; }
* { box-sizing: border-box; }
body { color: var(--ink); line-height: 1.6; max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem 3rem;
  font-family: "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "Noto Sans",
  "citylake CJK", sans-serif; }
h1 { color: var(--accent); font-size: 1.8rem; line-height: 1.3; margin: .6rem 0 .2rem; }
h2 { color: var(--accent); font-size: 1.2rem; margin: 1.8rem 0 .6rem;
  border-bottom: 1px solid var(--accent); break-after: avoid; }
.subtitle, .note, caption, figcaption, .running { color: var(--quiet); font-size: .9rem; }
.running { border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 9rem 1fr; margin: 1rem 0; }
dt, dd { border-bottom: 1px solid var(--line); padding: .3rem 0; margin: 0; overflow-wrap: anywhere; }
dt { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; font-size: .88rem; margin: .6rem 0 1rem; }
caption { text-align: left; padding: .2rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .5rem;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
thead th { background: #e6edf5; white-space: nowrap; }
thead { display: table-header-group; }
tr, figure, svg { break-inside: avoid; }
.number { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.bars { border: 0; } .bars td, .bars th { border: 0; padding: .15rem .5rem .15rem 0; font-weight: 400; }
.bars svg { display: block; }
figure { margin: .8rem 0; } figure svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: #55606c; }
pre { background: #f3f6f9; border: 1px solid var(--line); padding: .6rem 1rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
@page { size: A4; margin: 18mm 16mm 20mm;
  @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt; } }
@media print { body { max-width: none; padding: 0; font-size: 9.5pt; } }
"""


def render(document: Document) -> str:
    """The document as one file of text."""
    language = "zh-CN" if document.language == "zh" else "en"
    facts = "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in document.facts)
    parts = [
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(document.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        f'<p class="running">{escape(document.running)}</p>',
        f'<h1>{escape(document.title)}</h1>\n<p class="subtitle">{escape(document.subtitle)}</p>\n<dl>{facts}</dl>',
    ]
    for number, section in enumerate(document.sections, 1):
        parts.append(f"<section>\n<h2>{number} {escape(section.title)}</h2>")
        parts.extend(text for block in section.blocks for text in _block(block))
        parts.append("</section>")
    return with_glyphs("\n".join([*parts, "</main>\n</body>\n</html>\n"]))


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        tag = "pre" if block.kind == "code" else "p"
        yield f"<{tag}{' class=note' if block.kind == 'note' else ''}>{escape(block.text)}</{tag}>"
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Chart):
        yield f"<figure><figcaption>{escape(block.caption)}</figcaption>\n{_chart(block)}</figure>"
    else:
        yield from _bars(block)


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        yield f'<p class="note">{escape(table.caption)}</p>\n<p>{escape(table.empty)}</p>'
        return
    marks = [' class="number"' if column.number else "" for column in table.columns]
    yield f"<table><caption>{escape(table.caption)}</caption>\n<thead><tr>"
    yield "".join(
        f'<th scope="col"{mark}>{escape(column.heading)}</th>'
        for column, mark in zip(table.columns, marks, strict=True)
    )
    yield "</tr></thead>\n<tbody>"
    for row in table.rows:
        cells = (f"<td{mark}>{_cell(cell)}</td>" for cell, mark in zip(row, marks, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table>"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Link):
        return f'<a href="{escape(cell.address)}">{escape(cell.text)}</a>'
    return escape(shown(cell))


def _bars(bars: Bars) -> Iterator[str]:
    yield f'<table class="bars"><caption>{escape(bars.caption)}</caption><tbody>'
    for label, share, said in bars.bars:
        colour = (
            "#d3dae1" if share is None else "#1a6b35" if share >= 0.95 else "#b06200" if share >= 0.8 else "#a3191f"
        )
        bar = (
            f'<svg width="300" height="14" aria-hidden="true"><rect width="300" height="14" fill="#e8edf2"/>'
            f'<rect width="{300 * (share or 0):.1f}" height="14" fill="{colour}"/></svg>'
        )
        yield f'<tr><th scope="row">{escape(label)}</th><td>{bar}</td><td>{escape(said)}</td></tr>'
    yield "</tbody></table>"


def _chart(chart: Chart) -> str:
    """Points and the lines between neighbours; where nothing was measured the line is broken."""
    floor, inner, tall = chart.floor, WIDTH - LEFT - 10, HEIGHT - BELOW - 8
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">']
    for place in range(5):
        y = 8 + tall * (1 - place / 4)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 10}" stroke="#d3dae1"/>')
        said = f"{(floor + (1 - floor) * place / 4) * 100:g}%"
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{said}</text>')
    steps = max(1, len(chart.points) - 1)
    spots: list[tuple[float, float] | None] = []
    for place, (_, share) in enumerate(chart.points):
        x = LEFT + inner * (place / steps if len(chart.points) > 1 else 0.5)
        spots.append(None if share is None else (x, 8 + tall * (1 - (share - floor) / (1 - floor))))
    for before, after in pairwise(spots):
        if before and after:
            line = f"M{before[0]:.1f} {before[1]:.1f}L{after[0]:.1f} {after[1]:.1f}"
            parts.append(f'<path d="{line}" stroke="#0b5394" stroke-width="2" fill="none"/>')
    parts += [f'<circle cx="{spot[0]:.1f}" cy="{spot[1]:.1f}" r="2.5" fill="#0b5394"/>' for spot in spots if spot]
    last = len(chart.points) - 1
    for place in sorted({0, last // 2, last}) if chart.points else ():
        x = LEFT + inner * (place / steps if last else 0.5)
        anchor = "middle" if 0 < place < last or not last else "start" if place == 0 else "end"
        label = escape(chart.points[place][0])
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{label}</text>')
    return "\n".join([*parts, "</svg>"])
