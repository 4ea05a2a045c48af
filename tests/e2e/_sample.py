"""Every page of a server by name, and a small world to see on them: a study, reviews, ratings, a choice, a link."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import httpx

ADA, BEN = "Ada Lovelace", "Ben Okri"
PANELS = ("subgroups", "parallel", "intersections", "audit", "roc", "history")
TABS = ("comparison", "ratings", "history", "members")
STUDY: dict[str, Any] = {
    "name": "Privacy and fairness on Adult, in small",
    "dataset": {"name": "adult", "params": {"limit": 3000}, "subgroups": ["sex", "race", ["sex", "race"]]},
    "model": {"name": "mlp", "params": {"hidden": [4]}},
    "methods": [
        {"name": "sgd"},
        {"name": "dp_sgd", "params": {"epsilon": [1, 4]}},
        {"name": "soft_ada_clip", "params": {"epsilon": [1, 4]}},
    ],
    "training": {"epochs": 3, "learning_rate": 0.3},
    "seeds": 2,
    "evaluation": {
        "attacks": [
            {"name": "loss_threshold"},
            {"name": "one_run_audit", "params": {"canaries": 100, "guesses": 20}},
        ]
    },
    "tags": ["sample"],
    "preset": "quickstart",
}


class Api:
    """What the sample asks of a server, in somebody's name."""

    def __init__(self, base: str) -> None:
        self._http = httpx.Client(base_url=base, timeout=30.0)

    def get(self, path: str, **params: Any) -> Any:
        return self._done(self._http.get(path, params=params))

    def post(self, path: str, body: Any, who: str = ADA) -> Any:
        return self._done(self._http.post(path, json=body, headers={"Equipoise-Person": quote(who)}))

    @staticmethod
    def _done(answer: httpx.Response) -> Any:
        assert answer.is_success, f"{answer.request.url}: {answer.text}"
        return answer.json()


def fill(base: str) -> None:
    """Runs the study and makes of it what people make: reviews with comments and ratings, a choice, a short link."""
    api = Api(base)
    job = api.post("/api/jobs", STUDY)
    while (job := api.get(f"/api/jobs/{job['id']}"))["status"] in ("queued", "running"):
        time.sleep(0.2)
    assert job["status"] == "succeeded", job["problem"]
    runs = api.get(f"/api/jobs/{job['id']}/runs")["items"]
    settings = list(dict.fromkeys(run["setting_id"] for run in runs))
    review = api.post(
        "/api/reviews",
        {
            "title": "Which ε do we ship",
            "question": "Is the loss for the smallest groups at ε = 1 acceptable, or do we need ε = 4?",
            "job_ids": [job["id"]],
            "setting_ids": settings[:4],
            "members": [{"name": BEN, "role": "approver"}],
        },
    )["id"]
    api.post(f"/api/reviews/{review}/comments", {"text": f"@{BEN} please look at the smallest groups."})
    api.post(
        f"/api/reviews/{review}/comments",
        {"text": "The intervals overlap.", "anchor": {"kind": "setting", "setting_ids": [settings[1]]}},
        BEN,
    )
    scale = {"points": [{"value": 0, "label": "harmless"}, {"value": 1, "label": "harmful"}]}
    items = [
        {"content": f"A text to be judged, number {i}.", "hidden": {"method": "dp_sgd" if i % 2 else "sgd"}}
        for i in range(4)
    ]
    for title in ("Are these texts harmful", "Were these texts harmful"):
        task = {"title": title, "items": items, "scale": scale, "raters": [ADA, BEN]}
        task = api.post(f"/api/reviews/{review}/tasks", task)["id"]
        if title.startswith("Were"):
            for who in (ADA, BEN):
                ratings = [{"item": i + 1, "value": (i + (who == BEN and i == 0)) % 2} for i in range(4)]
                api.post(f"/api/reviews/{review}/tasks/{task}/ratings", {"ratings": ratings}, who)
            api.post(f"/api/reviews/{review}/tasks/{task}/close", {})
    api.post(
        "/api/operating-points",
        {
            "job_ids": [job["id"]],
            "setting_id": settings[1],
            "reason": "The strictest setting that still learns.",
            "although": True,
        },
    )
    api.post("/api/links", {"path": "/explore", "search": {"jobs": job["id"], "panel": "intersections"}})


def pages(base: str) -> dict[str, str]:
    """Every page by name; those of a study, a run, a review and a task only where there is one."""
    api = Api(base)
    found = {
        "studies": "/studies",
        "studies-none-fits": "/studies?text=nothing-is-called-so",
        "new": "/new",
        "new-json": "/new?as=json",
        "new-code": "/new?as=code",
        "new-preset": "/new?preset=softadaclip-adult",
        "explore": "/explore",
        "reviews": "/reviews",
        "calculator": "/calculator",
        "gaussian": "/gaussian",
        "data": "/data",
        "workers": "/workers",
        "unknown": "/nowhere",
        "study-gone": "/studies/nothere",
        "link-gone": "/l/0000000000",
    }
    for job in api.get("/api/jobs")["items"]:
        if job["finished"] and "run" not in found:
            found |= _of_study(api, job["id"])
        found.setdefault(f"study-{job['status']}", f"/studies/{job['id']}")
    for review in api.get("/api/reviews")["items"][:1]:
        path = f"/reviews/{review['id']}"
        found |= {f"review-{tab}": f"{path}?tab={tab}" for tab in TABS}
        for task in api.get(f"/api{path}")["tasks"]:
            found.setdefault(f"task-{'closed' if task['closed'] else 'open'}", f"{path}/tasks/{task['id']}")
    return found


def _of_study(api: Api, job: str) -> dict[str, str]:
    runs = [run for run in api.get(f"/api/jobs/{job}/runs")["items"] if run["status"] == "succeeded"]
    run = next((run for run in runs if run["epsilon"]), runs[0])
    settings = list(dict.fromkeys(run["setting_id"] for run in runs))[:3]
    chosen = ",".join(map(str, settings))
    link = api.post("/api/links", {"path": "/explore", "search": {"jobs": job, "panel": "parallel"}})["id"]
    return {
        "run": f"/runs/{run['id']}",
        "drawer": f"/studies/{job}?run={run['id']}",
        "duplicate": f"/new?from={job}",
        **{f"explore-{panel}": f"/explore?jobs={job}&panel={panel}" for panel in PANELS},
        "explore-selected": f"/explore?jobs={job}&x=accuracy&y=loss&select={chosen}",
        "operating": f"/explore?jobs={job}&c={quote('epsilon<=2;accuracy>=0.1~0.8')}&o=accuracy&ill=1",
        "new-review": f"/reviews/new?jobs={job}&settings={','.join(map(str, settings[:2]))}",
        "link": f"/l/{link}",
    }
