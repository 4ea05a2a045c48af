"""Takes pictures of every page, light and dark, wide and narrow, to be looked at.

python tests/e2e/screens.py http://127.0.0.1:8000 /tmp/screens [name ...]
"""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--disable-background-networking",
    "--no-first-run",
]


def pages(base: str) -> dict[str, str]:
    """Every page by name; those of a study and a run only where one exists."""
    found = {
        "studies": "/studies",
        "new": "/new",
        "new-json": "/new?as=json",
        "new-code": "/new?as=code",
        "explore": "/explore",
        "data": "/data",
        "calculator": "/calculator",
        "gaussian": "/gaussian",
        "workers": "/workers",
        "unknown": "/nowhere",
    }
    for job in _get(base, "/api/jobs")["items"]:
        found.setdefault(f"study-{job['status']}", f"/studies/{job['id']}")
        if job["finished"] and "run" not in found:
            runs = _get(base, f"/api/jobs/{job['id']}/runs")["items"]
            done = [run for run in runs if run["status"] == "succeeded"]
            if done:
                found["run"] = f"/runs/{done[-1]['id']}"
                found["drawer"] = f"/studies/{job['id']}?run={done[-1]['id']}"
    return found


def _get(base: str, path: str) -> dict:
    with urllib.request.urlopen(base + path, timeout=20) as answer:
        return json.load(answer)


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
                for name, path in pages(base).items():
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
                context.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]), sys.argv[3:])
