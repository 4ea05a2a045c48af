"""What all browser tests share: one browser for the whole run, and what axe finds on a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.browser import browser

AXE = Path("frontend/node_modules/axe-core/axe.min.js")


@pytest.fixture(scope="session")
def chromium():
    """One browser; every test opens contexts of its own, which share nothing."""
    with browser() as one:
        yield one


@pytest.fixture(scope="session")
def axe():
    """Answers what axe finds on a page, all of its rules, as `rule: element`."""

    def violations(page: Page) -> list[str]:
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]

    return violations
