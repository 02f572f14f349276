"""A dashboard of Grafana as a picture: its panels, drawn from what Prometheus answers to them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import drawsvg

from benchmarks.charts import FONT, QUIET, label
from benchmarks.recording import Recording, Series

COLUMN: Final = 36
"""The width of one of Grafana's twenty-four columns; a panel has some of them."""
ROW: Final = 26
PADDING: Final = 12
AXIS: Final = 52
LEGEND: Final = 13
SHOWN: Final = 4
"""How many lines of a panel are named: those that rise highest."""
BACKGROUND: Final = "#f4f5f5"
PANEL: Final = "#ffffff"
GRID: Final = "#d8dee4"
MARK: Final = "#cf222e"
LINES: Final = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#bf3989", "#57606a")


def draw(dashboard: Mapping[str, Any], recording: Recording, until: float) -> drawsvg.Drawing:
    """Draw all panels where the dashboard has them.

    Args:
        dashboard: The dashboard, as Grafana reads it.
        recording: What its queries were answered.
        until: Up to which second.
    """
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    width = COLUMN * max(place["x"] + place["w"] for place in places)
    height = ROW * max(place["y"] + place["h"] for place in places)
    drawing = drawsvg.Drawing(width, height, font_family=FONT)
    drawing.append(drawsvg.Rectangle(0, 0, width, height, fill=BACKGROUND))
    for panel in dashboard["panels"]:
        series = [
            Series(each.name, [point for point in each.points if point[0] <= until])
            for target in panel["targets"]
            for each in recording.answers[target["expr"]]
        ]
        drawing.extend(
            _Panel(panel, [each for each in series if each.points], recording, until).elements()
        )
    return drawing


class _Panel:
    """One panel.

    Args:
        panel: As the dashboard has it.
        series: Its lines.
        recording: Where they are from.
        until: Up to which second.
    """

    def __init__(
        self, panel: Mapping[str, Any], series: Sequence[Series], recording: Recording, until: float
    ) -> None:
        place = panel["gridPos"]
        self._title: str = panel["title"]
        self._unit: str = panel["fieldConfig"]["defaults"].get("unit", "short")
        self._series = sorted(series, key=_most_of, reverse=True)
        self._recording = recording
        self._until = until
        self._left = COLUMN * place["x"] + PADDING / 2
        self._top = ROW * place["y"] + PADDING / 2
        self._width = COLUMN * place["w"] - PADDING
        self._height = ROW * place["h"] - PADDING
        legend = LEGEND * min(len(series), SHOWN)
        self._axis_left = self._left + AXIS
        self._axis_right = self._left + self._width - PADDING
        self._axis_top = self._top + 34
        self._axis_bottom = self._top + self._height - legend - 26
        self._most = max(map(_most_of, series), default=0) or 1

    def elements(self) -> Iterator[drawsvg.DrawingElement]:
        """Yield what is drawn."""
        yield drawsvg.Rectangle(
            self._left, self._top, self._width, self._height, rx=3, fill=PANEL, stroke=GRID
        )
        yield label(self._title, self._left + PADDING, self._top + 20, size=12, weight="600")
        if not self._series:
            middle = self._left + self._width / 2, self._top + self._height / 2
            yield label("No data", *middle, size=12, fill=QUIET, anchor="middle")
            return
        yield from self._axes()
        for number, each in enumerate(self._series):
            color = LINES[number % len(LINES)]
            points = [(self._x(at), self._y(value)) for at, value in each.points]
            yield drawsvg.Lines(
                *[round(part, 1) for point in points for part in point],
                stroke=color,
                stroke_width=1.5,
                fill="none",
            )
            if number < SHOWN:
                yield from self._named(number, color, each)

    def _axes(self) -> Iterator[drawsvg.DrawingElement]:
        for part in (0, 0.5, 1):
            y = self._y(self._most * part)
            yield drawsvg.Line(self._axis_left, y, self._axis_right, y, stroke=GRID)
            text = _shown(self._most * part, self._unit)
            yield label(text, self._axis_left - 6, y + 4, size=10, fill=QUIET, anchor="end")
        for minute in range(int(self._until // 60) + 1):
            x, y = self._x(60 * minute), self._axis_bottom + 14
            yield label(f"{minute} min", x, y, size=10, fill=QUIET, anchor="middle")
        for happened, at in self._recording.marks.items():
            if at <= self._until:
                x = self._x(at)
                yield drawsvg.Line(
                    x, self._axis_top - 4, x, self._axis_bottom, stroke=MARK, stroke_dasharray="3 3"
                )
                yield label(happened, x + 3, self._axis_top + 4, size=9, fill=MARK)

    def _named(self, number: int, color: str, each: Series) -> Iterator[drawsvg.DrawingElement]:
        y = self._axis_bottom + 30 + LEGEND * number
        yield drawsvg.Line(
            self._axis_left, y - 4, self._axis_left + 14, y - 4, stroke=color, stroke_width=3
        )
        last, most = _shown(each.points[-1][1], self._unit), _shown(_most_of(each), self._unit)
        told = f"{each.name or 'value'}: {last}, at most {most}"
        yield label(told, self._axis_left + 20, y, size=10)

    def _x(self, at: float) -> float:
        part = at / (self._until or 1)
        return float(self._axis_left + part * (self._axis_right - self._axis_left))

    def _y(self, value: float) -> float:
        part = value / self._most
        return float(self._axis_bottom - part * (self._axis_bottom - self._axis_top))


def _most_of(series: Series) -> float:
    return max(value for _, value in series.points)


def _shown(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:,.3g} ms" if value < 1 else f"{value:,.3g} s"
    if unit == "ops":
        return f"{value:,.3g}/s"
    if unit == "bytes":
        return f"{value:,.0f} B"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 (three digits)
