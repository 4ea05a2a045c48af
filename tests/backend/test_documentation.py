"""Documentation that can be checked is checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name):
    text = (ROOT / "docs" / "settings.md").read_text()
    assert f"`EQUIPOISE_{name.upper()}`" in text
    assert Settings.model_fields[name].description in text


def test_links_between_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_verb_of_the_makefile_is_described():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M).group(1).split()
    for verb in ("setup", "run", "test", "lint", "web", "client", "e2e", "bench"):
        assert verb in phony
        assert re.search(rf"^{verb}:.*## ", makefile, re.M), verb


def test_every_address_in_the_readme_exists(client):
    for address in set(re.findall(r"/api/[a-z./]+[a-z]", (ROOT / "README.md").read_text())):
        # 405 and 422 are answers of a route that is there.
        assert client.get(address).status_code != 404, address
