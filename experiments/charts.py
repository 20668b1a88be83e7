"""Line charts as inline SVG, for HTML pages.

Text scales and can be selected; there are no scripts; equal numbers give equal bytes.
"""

import html
import math
from collections.abc import Mapping, Sequence

Line = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 370, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 8, 10, 42
# Okabe and Ito's colours, which the colour-blind tell apart; after the last one they come again,
# dashed.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
_DASHES = ("", "5 3", "2 2")


def style(number: int) -> tuple[str, str]:
    """Colour and dash pattern of the series with that number."""
    return COLOURS[number % len(COLOURS)], _DASHES[number // len(COLOURS) % len(_DASHES)]


def line_chart(
    series: Mapping[str, Sequence[Line]], x_label: str, y_label: str, logarithmic: bool = False
) -> str:
    """A chart of named series, each of one or more lines (seeds) in one colour.

    Points that are not finite are left out.

    Args:
        series: name -> lines of (x, y). logarithmic: the y axis; values of 0 and below are left
            out.
    """
    lines = {name: [_usable(line, logarithmic) for line in group] for name, group in series.items()}
    points = [point for group in lines.values() for line in group for point in line]
    if not points:
        return ""
    x_ticks, x_low, x_high = _axis([x for x, _ in points], whole=True)
    y_ticks, y_low, y_high = (_log_axis if logarithmic else _axis)([y for _, y in points])
    scale = math.log if logarithmic else float

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low)
        up = (scale(y) - scale(y_low)) / (scale(y_high) - scale(y_low))
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (
            HEIGHT - _TOP - _BOTTOM
        )

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{html.escape(f"{y_label} against {x_label}")}">'
    ]
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    for tick in y_ticks:
        y = place(x_low, tick)[1]
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        )
    for tick in x_ticks:
        x = place(tick, y_low)[0]
        parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{_number(tick)}</text>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
    parts.append(
        f'<text x="{(_LEFT + right) / 2:g}" y="{HEIGHT - 4}"'
        f' text-anchor="middle">{html.escape(x_label)}</text>'
    )
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(12 {middle:g}) rotate(-90)"'
        f' text-anchor="middle">{html.escape(y_label)}</text>'
    )
    for number, (name, group) in enumerate(lines.items()):
        for line in group:
            parts.append(_path([place(*point) for point in line], name, *style(number)))
    return "\n".join([*parts, "</svg>"])


def legend(names: Sequence[str]) -> str:
    """The names of series with their line styles, as inline HTML."""
    keys = []
    for number, name in enumerate(names):
        colour, dash = style(number)
        line = (
            f'<svg class="key" viewBox="0 0 24 8"><path d="M1 4H23" stroke="{colour}"'
            f' stroke-dasharray="{dash}"/></svg>'
        )
        keys.append(f"<span>{line}{html.escape(name)}</span>")
    return f'<p class="legend">{" ".join(keys)}</p>'


def _path(points: Sequence[tuple[float, float]], name: str, colour: str, dash: str) -> str:
    title = f"<title>{html.escape(name)}</title>"
    if len(points) == 1:
        x, y = points[0]
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">{title}</circle>'
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return (
        f'<path class="line" d="M{steps}" stroke="{colour}"'
        f' stroke-dasharray="{dash}">{title}</path>'
        if points
        else ""
    )


def _usable(line: Line, logarithmic: bool) -> list[tuple[float, float]]:
    return [
        (x, y) for x, y in line if y is not None and math.isfinite(y) and (y > 0 or not logarithmic)
    ]


def _axis(values: Sequence[float], whole: bool = False) -> tuple[list[float], float, float]:
    """Ticks at round numbers, and the limits of a linear axis that includes all values."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    step = _round_step((high - low) / 5)
    step = max(step, 1) if whole else step
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [round(i * step, 10) for i in range(first, last + 1)]
    if whole:  # epochs: the axis ends where they do
        return [tick for tick in ticks if low <= tick <= high], low, high
    return ticks, ticks[0], ticks[-1]


def _log_axis(values: Sequence[float]) -> tuple[list[float], float, float]:
    """Ticks at 1, 2 and 5 times powers of ten, and the limits of a logarithmic axis."""
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    dense = high / low < 30
    ticks = [m * 10.0**power for power in powers for m in ((1, 1.5, 2, 3, 5, 7) if dense else (1,))]
    first = max(tick for tick in ticks if tick <= low)
    last = min(tick for tick in ticks if tick >= high)
    if first == last:
        last = ticks[ticks.index(last) + 1]
    return [tick for tick in ticks if first <= tick <= last], first, last


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)


def _number(value: float) -> str:
    return f"{value:.6g}"
