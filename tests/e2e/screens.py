"""Takes pictures of every page, light and dark, wide and narrow, to be looked at.

python -m tests.e2e.screens http://127.0.0.1:8000 /tmp/screens [name ...]

A name is that of a page in `_sample.pages`, or `tour-1` and so on for the steps of the tour. On a server that has
nothing yet, `python -m tests.e2e.screens http://127.0.0.1:8000 --fill` makes a small world to see first.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.e2e import _sample
from tests.e2e.browser import ARGS


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def main(base: str, folder: Path, only: list[str]) -> None:
    """Visits every page in every look and saves what it sees."""
    folder.mkdir(parents=True, exist_ok=True)
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, args=ARGS)
        for width in (1440, 390):
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
                )
                page = context.new_page()
                page.on("pageerror", lambda error: print("page error:", error))
                page.on("response", lambda answer: print(answer.status, answer.url) if answer.status >= 400 else None)
                for name, path in _sample.pages(base).items():
                    if only and name not in only:
                        continue
                    page.goto(base + path)
                    page.wait_for_timeout(1500)
                    # The whole page in one window: figures would be caught halfway by a resize for the picture.
                    height = page.evaluate("document.documentElement.scrollHeight")
                    page.set_viewport_size({"width": width, "height": max(900, height)})
                    page.wait_for_timeout(1500)
                    page.screenshot(path=folder / f"{name}-{width}-{scheme}.png")
                    page.set_viewport_size({"width": width, "height": 900})
                    if (wide := overflow(page)) > 0:
                        print(f"{name} at {width}: {wide} pixels too wide")
                tour(page, base, folder, f"{width}-{scheme}", only)
                context.close()
        browser.close()


def tour(page: Page, base: str, folder: Path, look: str, only: list[str]) -> None:
    """Goes through the tour from where studies are."""
    if only and not any(name.startswith("tour") for name in only):
        return
    page.goto(f"{base}/studies")
    page.evaluate("""localStorage.setItem('equipoise-tour', '{"state": "open"}')""")
    page.reload()
    card = page.locator("#tour")
    for step in range(1, 20):
        page.wait_for_timeout(2500)
        page.screenshot(path=folder / f"tour-{step}-{look}.png")
        following = card.get_by_role("button", name="Next")
        if following.count() == 0:
            return
        following.click()


if __name__ == "__main__":
    if sys.argv[2] == "--fill":
        _sample.fill(sys.argv[1])
    else:
        main(sys.argv[1].rstrip("/"), Path(sys.argv[2]), sys.argv[3:])
