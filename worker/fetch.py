"""Downloads published data sets: `equipoise fetch NAME` becomes `python -m worker.fetch NAME`.

Nothing is ever downloaded unasked: a worker may stand where no network should be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from backend.errors import EquipoiseError, InvalidRequest
from worker.datasets._fetch import fetch
from worker.datasets._files import folder_of
from worker.datasets._labelled import Labelled
from worker.registry import registry


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetches the data sets named on the command line; answers the exit status."""
    there = fetchable()
    parser = argparse.ArgumentParser(
        prog="equipoise fetch", description="Download published data sets, checked by hash."
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"One or more of: {', '.join(there)}")
    parser.add_argument("--from", dest="base", metavar="URL", help="Folder of a copy that has files of the same names")
    chosen = parser.parse_args(arguments)
    try:
        for name in chosen.names:
            if name not in there:
                raise InvalidRequest(
                    f"{name}: there is no such data set to fetch.", fix=f"Choose of {', '.join(there)}."
                )
        for name in chosen.names:
            written = fetch(there[name].downloads, folder_of(name), chosen.base, _say)
            _say(f"{there[name].title}: {len(written)} files in {folder_of(name)}. Workers find them when they start.")
    except EquipoiseError as error:
        sys.stderr.write(f"{error.sentence()}\n")
        return 1
    return 0


def fetchable() -> dict[str, Labelled]:  # type: ignore[type-arg]
    """Data sets that can be downloaded, by name."""
    plugins = [found.plugin for found in registry().all("dataset")]
    return {one.name: one for one in plugins if isinstance(one, Labelled) and one.downloads}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
