"""Line charts as inline SVG. Colours and fonts are the style sheet's; nothing here needs a script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 520, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 20, 26
_NOTHING = 1e-12
"""Values up to this one are drawn as 0."""


@dataclass(frozen=True)
class Series:
    """One line: a value for each place along the chart, None where there is none. tips: what pointing at it says."""

    name: str
    values: Sequence[float | None]
    tips: Sequence[str]


@dataclass(frozen=True)
class Scale:
    """Where values lie. logarithmic: in decades."""

    low: float
    high: float
    logarithmic: bool

    @staticmethod
    def of(values: Sequence[float], logarithmic: bool) -> Scale:
        """One that has room for some values, not all of which are the same."""
        if not logarithmic:
            return Scale(0.0, _round_up(max(values)), False)
        positive = [value for value in values if value > _NOTHING] or [1.0]
        low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
        return Scale(10.0**low, 10.0 ** max(high, low + 1), True)

    def place(self, value: float) -> float:
        """From 0 at the bottom to 1 at the top."""
        if not self.logarithmic:
            return value / self.high
        return math.log10(max(value, self.low) / self.low) / math.log10(self.high / self.low)

    def ticks(self) -> list[float]:
        """Values for lines across the chart: five at most."""
        if not self.logarithmic:
            return [self.high * step / 4 for step in range(5)]
        decades = round(math.log10(self.high / self.low))
        return [self.low * 10.0**step for step in range(0, decades + 1, -(-decades // 4))]


def line_chart(
    name: str,
    series: Sequence[Series],
    ends: tuple[str, str],
    written: Callable[[float], str],
    logarithmic: bool = False,
    limit: tuple[str, float] | None = None,
) -> str:
    """A chart called `name`, for readers of the screen too. ends: what stands below its first and its last place.

    written: how a value is written. limit: a value that is not to be passed, with its name.
    """
    known = [value for each in series for value in each.values if value is not None]
    if not known:
        return '<p class="none">Nothing to show yet.</p>'
    scale = Scale.of([*known, *([] if limit is None else [limit[1]])], logarithmic)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(_summary(name, series, written))}">',
        *(_tick(scale, value, written) for value in scale.ticks()),
        *(
            _text(x, HEIGHT - 6, word, kind)
            for x, word, kind in zip((_LEFT, WIDTH - _RIGHT), ends, ("", "end"), strict=True)
        ),
    ]
    if limit is not None:
        y = _y(scale, limit[1])
        parts.append(f'<line class="limit" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(_text(WIDTH - _RIGHT, y - 5, f"{limit[0]} {written(limit[1])}", "end limit"))
    parts += [_line(scale, each, number) for number, each in enumerate(series)]
    return "".join([*parts, "</svg>"]) + (_key(series) if len(series) > 1 else "")


def bar(part: float) -> str:
    """A bar that fills a share of its width, beside the number that it stands for."""
    drawn = f'<rect width="{100 * part:.1f}" height="8" rx="1"/>'
    return f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'


def _round_up(value: float) -> float:
    if value <= _NOTHING:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(value))
    return next(decade * step for step in (1, 2, 4, 5, 8, 10) if decade * step >= value * 0.9999)


def _summary(name: str, series: Sequence[Series], written: Callable[[float], str]) -> str:
    said = []
    for each in series:
        known = [value for value in each.values if value is not None]
        if known:
            said.append(
                f"{each.name}: newest {written(known[-1])}, between {written(min(known))} and {written(max(known))}"
            )
    return f"{name}. {'; '.join(said)}."


def _y(scale: Scale, value: float) -> float:
    return round(HEIGHT - _BOTTOM - scale.place(value) * (HEIGHT - _TOP - _BOTTOM), 1)


def _tick(scale: Scale, value: float, written: Callable[[float], str]) -> str:
    y = _y(scale, value)
    across = f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
    return across + _text(_LEFT - 8, y + 4, written(value), "end")


def _text(x: float, y: float, word: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(word)}</text>'


def _line(scale: Scale, series: Series, number: int) -> str:
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(series.values) - 1)
    points = [
        (round(_LEFT + place * step, 1), _y(scale, value), series.tips[place])
        for place, value in enumerate(series.values)
        if value is not None
    ]
    drawn = " ".join(f"{x},{y}" for x, y, _ in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="2.6"><title>{escape(tip)}</title></circle>' for x, y, tip in points)
    return f'<g class="series s{number}"><polyline points="{drawn}"/>{dots}</g>'


def _key(series: Sequence[Series]) -> str:
    names = "".join(f'<li class="s{number}">{escape(each.name)}</li>' for number, each in enumerate(series))
    return f'<ul class="key">{names}</ul>'
