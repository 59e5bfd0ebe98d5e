"""Open requests by the time that is left to answer them."""

from __future__ import annotations

from datetime import datetime, timedelta

from ifrud.observe.page.charts import bar
from ifrud.observe.page.figures import Figures
from ifrud.observe.page.tables import Markup, table
from ifrud.observe.page.words import count, counted

_LEFT = (
    ("over", timedelta(0)),
    ("less than a day", timedelta(days=1)),
    ("less than a week", timedelta(days=7)),
    ("less than 30 days", timedelta(days=30)),
)
_LONGER, _NONE = "30 days or more", "no deadline"


def waiting_table(seen: Figures) -> str:
    """How many are open, by the time that is left until their deadlines."""
    counts = dict.fromkeys([*(name for name, _ in _LEFT), _LONGER, _NONE], 0)
    for deadline in seen.deadlines:
        counts[_left(deadline, seen.now)] += 1
    most = max(*counts.values(), 1)
    urgent = {name for name, _ in _LEFT[:2]}
    rows = [
        ("failure" if number and name in urgent else "", (name, count(number), Markup(bar(number / most))))
        for name, number in counts.items()
    ]
    caption = f"{counted(len(seen.deadlines), 'request')} read and not answered, or held, by the time that is left."
    more = f'<p class="soft">{counted(seen.status.in_hand, "event")} more in hand, not looked into yet.</p>'
    return table(caption, ("time left", "#open", ""), rows) + (more if seen.status.in_hand else "")


def _left(deadline: datetime | None, now: datetime) -> str:
    if deadline is None:
        return _NONE
    return next((name for name, most in _LEFT if deadline - now < most), _LONGER)
