"""What the status page shows, in which order, and to whom."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifrud.observe.admin import AdminServer, admin_app, bind
from ifrud.observe.page.charts import Scale
from ifrud.observe.page.health import findings
from ifrud.observe.page.older import Older
from ifrud.observe.page.style import STYLE
from ifrud.observe.page.words import share, span
from ifrud.observe.recent import KEPT, Point
from tests.daemon.page.scenes import NOW, SECRET, STALLED_AFTER, Scene, failing, healthy, request, starting
from tests.daemon.world import World, erase_user
from tests.deploy.deployed import DEPLOY


class Outline(HTMLParser):
    """Elements of a page, those that are open at its end, headings and visible text."""

    VOID = ("meta", "rect", "line", "circle", "polyline")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def test_a_daemon_that_works_says_so_first() -> None:
    page = Outline(healthy().page())
    assert findings(healthy().figures()) == []
    assert page.text[:6] == [
        "All is well – ifrud",
        "ifrud",
        "s3://models/movies",
        "2026-11-23 09:30:00 UTC, up for 6 d 3 h",
        "All is well",
        "Requests are taken and answered.",
    ]


def test_failures_come_before_warnings_and_both_before_all_else() -> None:
    page = failing().page()
    titles = [finding.title for finding in findings(failing().figures())]
    assert titles == [
        "The store does not answer",
        "A deadline has passed",
        "Requests wait, and none is answered",
        "2 requests wait for a decision",
        "Events went to the dead letters",
    ]
    places = [page.index(title) for title in [*titles, "Newest version"]]
    assert places == sorted(places)
    assert "<h2>3 failures, 2 warnings</h2>" in page


def silent(scene: Scene) -> None:
    scene.now[0] += STALLED_AFTER + 1


def away(scene: Scene, peer: str) -> None:
    contact = next(contact for name, contact in scene.board.contacts.items() if name == peer)
    scene.now[0] += 31
    contact.silent(0.0)
    scene.board.beat()


def due_soon(scene: Scene) -> None:
    scene.board.recent.open([request(1, 0.5)])


def behind(scene: Scene) -> None:
    scene.board.recent.lag(10_001, NOW - timedelta(minutes=11))
    scene.board.recent.waiting_since = None


def slow(scene: Scene) -> None:
    scene.board.recent.answered([1.0] * 50 + [31.0] * 80, 0, NOW)


def kept(scene: Scene) -> None:
    scene.board.update(residual_influence=0.02, last_version_time=NOW - timedelta(minutes=16))


def stored(scene: Scene) -> None:
    scene.metrics.oldest_erased.set(33 * 86400)


WRONG: list[tuple[Callable[[Scene], None], str]] = [
    (silent, "The engine gives no sign of life"),
    (lambda scene: away(scene, "source"), "The source of requests does not answer"),
    (lambda scene: away(scene, "receipts"), "Receipts cannot be sent"),
    (lambda scene: away(scene, "dead_letters"), "Dead letters cannot be sent"),
    (due_soon, "A deadline is less than a day away"),
    (behind, "The daemon is behind"),
    (slow, "Requests are answered slowly"),
    (kept, "The model keeps more of what it should have forgotten than the tolerance"),
    (stored, "Rows that were erased long ago are still stored"),
]


@pytest.mark.parametrize(("fault", "title"), WRONG, ids=[title for _, title in WRONG])
def test_each_fault_is_found_alone(fault: Callable[[Scene], None], title: str) -> None:
    scene = healthy()
    fault(scene)
    assert [finding.title for finding in findings(scene.figures())] == [title]


def test_each_fault_names_a_runbook_that_there_is() -> None:
    found = findings(failing().figures())
    for fault, _ in WRONG:
        scene = healthy()
        fault(scene)
        found += findings(scene.figures())
    books = {finding.runbook for finding in found}
    assert {book for book in books if not (DEPLOY / "runbooks" / f"{book}.md").is_file()} == set()
    # What only a Prometheus can see: nothing to scrape, restarts, and what several failures have in common.
    unseen = {"IfrudAbsent", "IfrudRestarting", "IfrudNotReady", "first-five-minutes"}
    assert books | unseen == {file.stem for file in (DEPLOY / "runbooks").glob("*.md")}


def test_runbooks_are_links_where_it_is_said_where_they_are() -> None:
    page = failing().page(runbooks="https://example.com/runbooks/")
    assert '<a href="https://example.com/runbooks/IfrudStoreAway.md">IfrudStoreAway</a>' in page
    assert "<code>deploy/runbooks/IfrudStoreAway.md</code>" in failing().page()


def test_a_daemon_that_loads_its_model_has_a_page_without_figures() -> None:
    page = starting().page()
    assert "<h2>Loading the model</h2>" in page
    assert findings(starting().figures()) == []


def test_while_events_come_the_bound_is_that_of_an_older_version_and_requests_have_their_own() -> None:
    scene = healthy()
    scene.metrics.rms_bound.set(0.0125)
    scene.metrics.proof_version.set(417)
    assert "of version 417" in scene.page()
    assert "Requests proven" not in scene.page()
    scene.metrics.proven_share.set(0.75)
    scene.metrics.worst_left.set(0.03)
    assert "Requests proven" in scene.page()
    assert f"at most {share(0.03)} is left of one" in scene.page()


def test_nobody_is_named() -> None:
    assert SECRET not in failing().page()


def test_what_comes_from_outside_is_text() -> None:
    scene = healthy()
    scene.board.update(store="file:///<script>alert(1)</script>", source='"><img src=x>', held=1, held_reason="<b>")
    page = scene.page()
    assert not re.search(r"<script|<img|<b>", page)


@pytest.mark.parametrize("scene", [starting, healthy, failing])
def test_readers_of_the_screen_find_their_way(scene: Callable[[], Scene]) -> None:
    page = Outline(scene().page())
    assert page.open == []
    assert page.elements[0] == ("html", {"lang": "en"})
    assert all(heading.get("scope") in ("row", "col") for heading in page.all("th"))
    drawings = page.all("svg")
    assert all(each.get("aria-hidden") or (each.get("role") == "img" and each.get("aria-label")) for each in drawings)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(theme: int) -> None:
    blocks = re.findall(r":root\{([^}]*)\}", STYLE)
    colours = {name: luminance(value) for name, value in re.findall(r"--([\w-]+):#([0-9a-f]+)", blocks[theme])}
    pairs = [(ink, paper) for ink in ("text", "soft", "accent", "bad") for paper in ("page", "card")]
    pairs += [("good", "card"), ("warn", "card"), ("busy", "card"), ("text", "bad-bg"), ("text", "warn-bg")]
    pairs += [("bad", "bad-bg"), ("warn", "warn-bg"), ("accent", "bad-bg"), ("accent", "warn-bg")]
    for pair in pairs:
        low, high = sorted(colours[name] for name in pair)
        assert (high + 0.05) / (low + 0.05) >= 4.5, pair


@contextmanager
def served(scene: Scene, token: str | None = None) -> Iterator[str]:
    app = admin_app(scene.board, scene.metrics.registry, STALLED_AFTER, token)
    server = AdminServer(app, bind("127.0.0.1", 0))
    server.start()
    yield server.url
    server.stop()


def test_the_page_is_there_while_the_daemon_starts() -> None:
    with served(starting()) as url:
        answer = httpx.get(f"{url}/")
    assert (answer.status_code, "Loading the model" in answer.text) == (200, True)


def test_browsers_load_nothing_run_nothing_and_keep_nothing() -> None:
    with served(healthy()) as url:
        answer = httpx.get(f"{url}/")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    expected = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'; "
    assert answer.headers["content-security-policy"].startswith(expected)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r'\sstyle=|<script|\son\w+=|src=|href="http', answer.text)


def test_the_page_renews_itself_unless_it_is_asked_not_to() -> None:
    with served(healthy()) as url:
        refreshed, still = httpx.get(f"{url}/").text, httpx.get(f"{url}/?refresh=0").text
        assert httpx.get(f"{url}/?refresh=-1").status_code == 422
    assert '<meta http-equiv="refresh" content="15">' in refreshed
    assert "http-equiv" not in still


def test_who_sets_a_token_shows_the_page_to_who_has_it_as_bearer_token_or_password() -> None:
    with served(healthy(), "s3cret") as url:
        refused = httpx.get(f"{url}/")
        assert (refused.status_code, "movies" in refused.text) == (401, False)
        assert refused.headers["www-authenticate"].startswith('Basic realm="ifrud"')
        assert refused.headers["cache-control"] == "no-store"
        for user, password, status in (("", "s3cret", 200), ("anyone", "s3cret", 200), ("s3cret", "", 401)):
            assert httpx.get(f"{url}/", auth=(user, password)).status_code == status
        for shown in ("Bearer s3cret", "bearer s3cret", "Basic s3cret", "Basic !", "s3cret", "Bearer s3cre\u00fc"):
            sent = {"Authorization": shown.encode()}
            assert httpx.get(f"{url}/", headers=sent).status_code == (200 if shown == "Bearer s3cret" else 401), shown
        assert httpx.get(f"{url}/readyz").status_code == 200


def test_versions_of_an_earlier_process_are_read_from_the_store(tmp_path: Path) -> None:
    world = World(tmp_path)
    for user in range(3):
        world.submit(erase_user(f"r{user}", user))
        world.drain()
    manifests = world.manifests()
    older = Older(lambda: world.store)
    assert older.read(manifests[-1].version) == ()
    older.join()
    found = older.read(manifests[-1].version)
    settled = [manifest.residual.settled for manifest in manifests[1:]]
    expected = [Point.of(manifest, exact) for manifest, exact in zip(manifests, [*settled, None], strict=True)]
    assert list(found) == expected[::-1]


def test_a_process_remembers_the_versions_and_batches_that_it_published(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.submit(erase_user("r1", 1), b"{}", erase_user("r2", 2))
    reporter = world.reporter()
    world.drain(reporter=reporter)
    recent = reporter.board.recent
    assert [point.version for point in recent.versions] == [manifest.version for manifest in world.manifests()[1:]]
    assert sum(batch.requests for batch in recent.answers) == 2
    assert recent.letter is not None
    assert recent.deadlines == ()


def test_what_is_remembered_is_bounded() -> None:
    scene = healthy()
    for _ in range(3 * KEPT):
        scene.board.recent.answered([1.0], 0, NOW)
    assert len(scene.board.recent.answers) == KEPT


SPANS = {0.25: "250 ms", 1.0: "1 s", 61.0: "1 min 1 s", 3600.0: "1 h", 3661.0: "1 h 1 min", 90061.0: "1 d 1 h"}


@pytest.mark.parametrize("seconds", SPANS)
def test_a_span_is_written_in_its_two_largest_units(seconds: float) -> None:
    assert span(seconds) == SPANS[seconds]


@given(st.lists(st.floats(0, 1e9), min_size=1), st.booleans())
def test_every_value_has_a_place_on_its_scale_and_larger_ones_a_higher(values: list[float], logarithmic: bool) -> None:
    scale = Scale.of(values, logarithmic)
    places = [scale.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 1.001 for place in places)
    assert 2 <= len(scale.ticks()) <= 6
