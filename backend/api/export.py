"""Writes the OpenAPI document that the page's client is generated from.

python -m backend.api.export            writes frontend/openapi.json
python -m backend.api.export --check    fails if it differs from what is there
python -m backend.api.export -          prints it
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from backend.main import create_app
from backend.settings import Settings

TARGET = Path(__file__).resolve().parent.parent.parent / "frontend" / "openapi.json"


def document() -> str:
    """The OpenAPI document as text, the same on every machine."""
    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """The command."""
    text = document()
    if arguments == ["-"]:
        sys.stdout.write(text)
        return 0
    if arguments == ["--check"]:
        if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write("frontend/openapi.json is not that of the API. Run `make client` and commit the result.\n")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
