"""A preset's claims put to the test on an empty folder: verdicts and tables as JSON and Markdown.

    python -m benchmarks.reproduction softadaclip-adult --out /tmp/reproduction
    python -m benchmarks.reproduction softadaclip-adult --seeds 8 --epsilons 1 --out ...     scaled down

The scaled-down study tests the page and the code, not the claim: it is not the planned one, and says so in its output.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.e2e._server import running

SCALED_DOWN = "Scaled down: not the planned study, no verdict on the claim."


def thinned(values: Any, every: int) -> Any:
    """Every k-th value of a sweep."""
    return values[::every] if isinstance(values, list) else values


def scaled(spec: dict[str, Any], seeds: int | None, epsilons: list[float] | None, every: int) -> dict[str, Any]:
    """The preset's study with fewer seeds, values of epsilon, and every k-th value of each other sweep."""
    out = {**spec, **({"seeds": seeds} if seeds else {})}
    out["methods"] = [
        {
            **method,
            "params": {
                name: (epsilons or values)
                if name == "epsilon"
                else values[::every]
                if isinstance(values, list)
                else values
                for name, values in method.get("params", {}).items()
            },
            "training": {k: thinned(v, every) for k, v in method.get("training", {}).items()},
        }
        for method in spec["methods"]
    ]
    return out


def markdown(answer: dict[str, Any]) -> str:
    """Verdicts, comparisons and rows as tables."""

    def cell(value: Any) -> str:
        return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)

    def table(rows: list[dict[str, Any]], names: list[str]) -> list[str]:
        lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
        return lines + ["| " + " | ".join(cell(row[n]) for n in names) + " |" for row in rows]

    parts = [f"# {answer['preset']}: {answer['runs']:,} runs in {answer['seconds']:.0f} s", ""]
    parts += [answer["scale"], ""]
    parts += [f"- {v['statement']}. **{v['sentence']}.**" for v in answer["verdicts"]]
    parts += ["", f"Rule: {answer['rule']}", "", *(f"- {note}" for note in answer["notes"]), "", "## Comparisons", ""]
    names = ["protocol", "subgroup", "epsilon", "reference", "reduction", "reduction_low", "reduction_high"]
    parts += table(answer["comparisons"], [*names, "p", "p_sign_flip", "corrected", "rank_biserial", "seeds_needed"])
    parts += ["", "## What stands beside the gap", ""]
    names = ["protocol", "subgroup", "epsilon", "label", "gap", "excess_gap", "loss", "accuracy", "auroc"]
    parts += table(answer["rows"], [*names, "calibration_error", "majority_share", "degenerate"])
    return "\n".join(parts) + "\n"


def main() -> None:
    """Runs the preset and writes what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", nargs="?", default="softadaclip-adult")
    parser.add_argument("--out", type=Path, required=True, help="An empty folder; the server's data stay in it.")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--epsilons", type=float, nargs="+")
    parser.add_argument("--every", type=int, default=1, help="Take every k-th value of each swept parameter.")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with running(arguments.out) as server:
        preset = next(p for p in server.get("/api/presets")["items"] if p["name"] == arguments.preset)
        spec = scaled(preset["spec"], arguments.seeds, arguments.epsilons, arguments.every)
        started = time.perf_counter()
        job = server.submit(spec)
        while job["status"] in ("queued", "running"):
            time.sleep(1)
            job = server.job(job["id"])
        if job["status"] != "succeeded":
            sys.exit(f"The study ended as {job['status']}: {job['problem']}")
        answer = server.get(f"/api/jobs/{job['id']}/reproduction")
        whole = spec == preset["spec"]
        answer |= {"runs": job["runs"], "seconds": time.perf_counter() - started, "spec": spec}
        answer["scale"] = "The planned study." if whole else SCALED_DOWN
    (arguments.out / "reproduction.json").write_text(json.dumps(answer, indent=1), encoding="utf-8")
    (arguments.out / "reproduction.md").write_text(markdown(answer), encoding="utf-8")
    for verdict in answer["verdicts"]:
        print(verdict["sentence"])
    print(answer["scale"], f"{answer['runs']:,} runs, {answer['seconds']:.0f} s")


if __name__ == "__main__":
    main()
