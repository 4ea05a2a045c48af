"""Finds a browser for the tests, in this order: the system's, Playwright's own download, the system's package manager.

`python -m tests.e2e.browser` makes sure that there is one, and says what to do where none can be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find() -> str | None:
    """Path of a browser that is there already, or None."""
    named = os.environ.get("EQUIPOISE_BROWSER")
    if named:
        return named
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def ensure() -> str:
    """Path of a browser, installed if need be; ends the program with a clear sentence where none can be had."""
    path = find()
    if path:
        return path
    attempts: list[list[list[str]]] = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        attempts.append([["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]])
    for commands in attempts:
        print("Installing a browser for the tests:", " && ".join(" ".join(c) for c in commands), flush=True)
        quiet = subprocess.DEVNULL
        if all(subprocess.run(c, check=False, stdout=quiet, timeout=900).returncode == 0 for c in commands):
            path = find()
            if path:
                return path
    sys.exit(
        "The browser tests need Chromium and none could be installed. Install one (Debian and Ubuntu: "
        "sudo apt install chromium) or name one with EQUIPOISE_BROWSER=/path/to/chromium."
    )


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=ensure(), args=ARGS)
        try:
            yield instance
        finally:
            instance.close()


if __name__ == "__main__":
    print(f"Browser for the tests: {ensure()}")
