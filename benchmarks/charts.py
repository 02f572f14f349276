"""Bar charts as SVG, for a page that shows pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import drawsvg

from benchmarks.contenders import AGAIN
from benchmarks.report import OWN, TITLES, Report
from benchmarks.results import DatabaseResults, Measurement
from benchmarks.workloads import WORKLOADS

WIDTH: Final = 760
MARGIN: Final = 16
NAMES: Final = 150
BARS: Final = 430
LINE: Final = 22
BAR: Final = 14
HEADING: Final = 34
FONT: Final = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"

BACKGROUND: Final = "#ffffff"
TEXT: Final = "#1f2328"
QUIET: Final = "#59636e"
OWN_BAR: Final = "#0969da"
OTHER_BAR: Final = "#afb8c1"


def save_charts(report: Report, folder: Path) -> None:
    """Draw a chart for each workload, named after it.

    Args:
        report: The run.
        folder: Where the files go.
    """
    for workload in WORKLOADS:
        measured = [each for each in report.databases if each.of(workload)]
        if measured:
            drawing = draw(workload, measured, report.caption)
            (folder / f"{workload}.svg").write_text(drawing.as_svg() + "\n")


def draw(workload: str, databases: Sequence[DatabaseResults], caption: str) -> drawsvg.Drawing:
    """Draw one workload: a bar for each contender, with a line from its worst to its best round.

    Args:
        workload: The workload.
        databases: Where it was measured.
        caption: Date and machine.
    """
    sections = [(TITLES[each.database], _shown(each.of(workload))) for each in databases]
    lines = sum(len(found) for _, found in sections)
    height = 2 * MARGIN + 2 * HEADING + HEADING * len(databases) + LINE * lines
    drawing = drawsvg.Drawing(WIDTH, height, font_family=FONT)
    drawing.append(drawsvg.Rectangle(0, 0, WIDTH, height, fill=BACKGROUND))
    chosen = WORKLOADS[workload]
    title = f"{chosen.title} ({chosen.per_second}, longer is faster)"
    drawing.append(label(title, MARGIN, MARGIN + 18, size=18, weight="bold"))
    top = MARGIN + HEADING
    for heading, found in sections:
        drawing.extend(_section(found, heading, top))
        top += HEADING + LINE * len(found)
    drawing.append(label(caption, MARGIN, height - MARGIN, size=11, fill=QUIET))
    return drawing


def _shown(found: dict[str, Measurement]) -> dict[str, Measurement]:
    """Leave out the second instances: the lines show well enough how much is chance."""
    return {name: each for name, each in found.items() if not name.endswith(AGAIN)}


def _section(
    found: dict[str, Measurement], title: str, top: float
) -> Iterator[drawsvg.DrawingElement]:
    yield label(title, MARGIN, top + 22, size=13, weight="bold", fill=QUIET)
    scale = BARS / max(each.rates.most for each in found.values())
    left = MARGIN + NAMES
    for number, (name, measurement) in enumerate(found.items()):
        line_top = top + HEADING + LINE * number
        middle = line_top + BAR / 2
        rates = measurement.rates
        color = OWN_BAR if name.startswith(OWN) else OTHER_BAR
        yield label(name, left - 8, middle + 4, size=12, anchor="end")
        yield drawsvg.Rectangle(left, line_top, round(rates.middle * scale, 1), BAR, fill=color)
        least, most = (round(left + rate * scale, 1) for rate in (rates.least, rates.most))
        yield drawsvg.Line(least, middle, most, middle, stroke=TEXT)
        yield label(f"{rates.middle:,.0f}", left + BARS + 8, middle + 4, size=12)


def label(
    text: str,
    x: float,
    y: float,
    *,
    size: int,
    weight: str = "normal",
    fill: str = TEXT,
    anchor: str = "start",
) -> drawsvg.Text:
    """Write a text."""
    return drawsvg.Text(text, size, x, y, fill=fill, font_weight=weight, text_anchor=anchor)
