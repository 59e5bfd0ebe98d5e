"""The status page in a browser, light and dark. IFRU_PICTURES=FOLDER keeps the pictures there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.page.scenes import Scene, failing, healthy

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
THEMES = {"dark": (0, (15, 18, 22)), "light": (1, (244, 245, 247))}
"""Chromium's number of a theme, and the colour of the page's background in it."""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium on the PATH (apt-get install chromium)")
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("scene", "height"), [(healthy, 1960), (failing, 2380)])
def test_a_browser_draws_the_page_in_the_theme_of_the_system(
    scene: Callable[[], Scene], height: int, theme: str, tmp_path: Path
) -> None:
    number, background = THEMES[theme]
    page, folder = tmp_path / "page.html", Path(os.environ.get("IFRU_PICTURES", tmp_path)).resolve()
    page.write_text(scene().page(), encoding="utf-8")
    picture = folder / f"status-{scene.__name__}-{theme}.png"
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--blink-settings=preferredColorScheme={number}",
        f"--window-size=1200,{height}",
        f"--screenshot={picture}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    drawn = Image.open(picture).convert("RGB")
    assert drawn.size == (1200, height)
    assert drawn.getpixel((2, 2)) == background
    colours = {colour for _, colour in drawn.getcolors(1 << 24) or []}
    assert len(colours) > 100, "nothing but a background was drawn"
    drawn.quantize(128).save(picture, optimize=True)
