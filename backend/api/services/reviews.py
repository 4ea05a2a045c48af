"""Reviews: who may do what, and what each entry says. Every action is one transaction on a verified history."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from backend.analysis.side_by_side import compare
from backend.api.context import Context
from backend.api.services import ratings, review_figures
from backend.api.services.review_snapshot import take
from backend.contracts.public import Figure
from backend.contracts.results import Problem, Split
from backend.contracts.review_history import Entry, State, redacted
from backend.contracts.reviews import (
    Anchor,
    Comparison,
    MemberChange,
    NewComment,
    NewDecision,
    Newer,
    NewRatings,
    NewReview,
    NewTask,
    ReviewDetail,
    ReviewEvent,
    ReviewExport,
    ReviewSummary,
    Snapshot,
    SnapshotJob,
    SnapshotPoint,
    SnapshotSetting,
    Task,
    Tested,
    Verification,
    You,
)
from backend.errors import Conflict, InvalidRequest, NotFound
from backend.figures.theme import THEMES, ThemeName
from backend.store import notifications, people, reviews
from backend.store.reviews import Draft, Loaded

WORDS = {"approve": "approved", "request_changes": "asks for changes in", "reject": "rejected"}


def create(context: Context, person: str, new: NewReview) -> ReviewDetail:
    """Takes the snapshot and opens the review; whoever is named is told."""
    _require_roles(person, new)
    with context.database.write() as session:
        snapshot = take(session, person, new)
        members = [{"name": person, "role": "author"}, *(m.model_dump() for m in new.members if m.name != person)]
        data = {
            "question": new.question,
            "required_approvals": new.required_approvals,
            "job_ids": new.job_ids,
            "setting_ids": new.setting_ids,
            "members": members,
        }
        reviews.create(session, person, snapshot, Draft("opened", data))
        asks = {"approver": "approve or object", "reviewer": "look at it", "author": "see it through"}
        for member in members:
            if member["name"] != person:
                role = member["role"]
                text = f"{person} made you {_a(role)} of the review {new.title!r}: please {asks[role]}."
                _tell(session, str(member["name"]), "review_asked", text, snapshot.review_id)
        return _detail(session, person, reviews.load(session, snapshot.review_id))


def _a(role: str) -> str:
    return f"an {role}" if role[0] in "ao" else f"a {role}"


def _require_roles(person: str, new: NewReview) -> None:
    for place, member in enumerate(new.members):
        if member.name == person and member.role != "author":
            problem = Problem(
                field=f"members.{place}.role",
                expected="author, since you make the review",
                got=member.role,
                fix="Leave yourself out, or let somebody else make the review.",
            )
            raise InvalidRequest("The author of a review cannot also review or approve it.", problems=[problem])


def _tell(session: Session, name: str, kind: str, text: str, review_id: str) -> None:
    notifications.add(session, people.named(session, name).id, kind, text, reviews.href(review_id))


# --- reading ----------------------------------------------------------------------------------------------------------


def listed(
    context: Context, person: str | None, *, status: Sequence[str], text: str | None, limit: int, cursor: str | None
) -> tuple[list[ReviewSummary], str | None]:
    """A page of reviews."""
    with context.database.read() as session:
        rows, following = reviews.page(session, status=status, text=text, limit=limit, cursor=cursor)
    return [ReviewSummary.model_validate(_summary(header, state, person)) for header, state in rows], following


def _summary(header: Any, state: State, person: str | None) -> dict[str, Any]:
    return {
        "id": header.id,
        "title": header.title,
        "question": state.question,
        "status": header.status,
        "author": header.author,
        "created_at": header.created_at,
        "events": header.events,
        "settings": len(state.setting_ids),
        "members": state.member_list(),
        "approvals": state.approvals(),
        "required_approvals": state.required_approvals,
        "asked": _asked(state, person),
    }


def _asked(state: State, person: str | None) -> list[str]:
    """What the review wants of a person now."""
    if person is None:
        return []
    asked = []
    role = state.members.get(person)
    if state.must_decide(person):
        asked.append("Approve, ask for changes or reject.")
    if role == "author" and state.status() == "changes_requested":
        asked.append("Answer the changes that were asked for.")
    for task in state.tasks.values():
        left = len(task.items) - len(task.ratings.get(person, {}))
        if person in task.raters and not task.closed and left:
            asked.append(f"Rate {left} of {len(task.items)} items of {task.title!r}.")
    return asked


def detail(context: Context, person: str | None, review_id: str) -> ReviewDetail:
    """The review as it is now."""
    with context.database.read() as session:
        return _detail(session, person, reviews.load(session, review_id))


def _detail(session: Session, person: str | None, loaded: Loaded) -> ReviewDetail:
    header, state = loaded.header, loaded.state
    body = loaded.snapshot if isinstance(loaded.snapshot, dict) else {}
    verification = loaded.verification()
    try:
        compared = [SnapshotSetting.model_validate(one) for one in body.get("settings", [])]
        jobs = [SnapshotJob.model_validate(one) for one in body.get("jobs", [])]
        point = body.get("operating_point")
        chosen = SnapshotPoint.model_validate(point) if point is not None else None
    except ValueError:
        # Altered so far that it cannot be read: the verification says so.
        compared, jobs, chosen = [], [], None
    return ReviewDetail.model_validate(
        {
            **_summary(header, state, person),
            "status": header.status if verification.intact else state.status(),
            "missing": _missing(state, intact=verification.intact),
            "moment": header.created_at,
            "jobs": jobs,
            "view": body.get("view") if isinstance(body.get("view"), dict) else {},
            "compared": compared,
            "operating_point": chosen,
            "cut": body.get("cut") if isinstance(body.get("cut"), str) else None,
            "alarms": list(dict.fromkeys(alarm for one in compared for alarm in one.alarms)),
            "threads": list(state.threads.values()),
            "decisions": state.decisions(),
            "tasks": [ratings.summary(task) for task in state.tasks.values()],
            "verification": verification,
            "newer": _newer(session, loaded, compared, jobs),
            "you": _you(state, person, intact=verification.intact),
        }
    )


def _missing(state: State, *, intact: bool) -> str:
    if not intact:
        return "It was altered outside of the review: no decision counts until that is explained."
    approvals = f"{state.approvals()} of {state.required_approvals} approvals"
    objections = [one for one in state.decisions() if one.decision != "approve"]
    if objections:
        said = ", ".join(
            f"{one.person} {'rejected it' if one.decision == 'reject' else 'asks for changes'}" for one in objections
        )
        return f"{said}; {approvals}."
    if state.approvals() >= state.required_approvals:
        return f"Approved: {approvals}."
    can = [name for name, role in state.members.items() if role == "approver" and _refusal(state, name) is None]
    if len(can) < state.required_approvals:
        return f"{approvals}; only {len(can)} of its members may approve. An author can add approvers."
    return f"{approvals}."


def _newer(session: Session, loaded: Loaded, compared: list[SnapshotSetting], jobs: list[SnapshotJob]) -> Newer:
    total, matching, keys = reviews.newer_runs(
        session, loaded.state.job_ids, [one.hash for one in compared], loaded.header.created_at
    )
    there = reviews.existing_jobs(session, [job.id for job in jobs])
    deleted = [job for job in jobs if job.id not in there]
    said = []
    if total:
        runs = "1 run has" if total == 1 else f"{total} runs have"
        said.append(
            f"{runs} ended since the snapshot, {matching} of the compared settings. The review does not change."
        )
    else:
        said.append("No run has ended since the snapshot.")
    if deleted:
        names = ", ".join(repr(job.name) for job in deleted)
        one = len(deleted) == 1
        said.append(
            f"The {'study' if one else 'studies'} {names} {'was' if one else 'were'} deleted; the numbers stay here."
        )
    return Newer(runs=total, run_ids=keys, of_settings=matching, deleted_jobs=deleted, sentence=" ".join(said))


def _you(state: State, person: str | None, *, intact: bool) -> You | None:
    if person is None:
        return None
    role = state.members.get(person)
    refusal = _refusal(state, person) if intact else "The review was altered outside of it."
    return You(
        name=person,
        role=role,
        asked=_asked(state, person) if intact else [],
        may_decide=intact and role in ("approver", "reviewer"),
        may_manage=intact and role == "author",
        refusal=refusal,
    )


def _refusal(state: State, person: str) -> str | None:
    """Why an approval of this person would not count."""
    if person in state.authors_ever:
        return "Whoever is or was an author of a review cannot approve it."
    role = state.members.get(person)
    if role is None:
        return "Only members decide; an author can make you one."
    return None if role == "approver" else "You are a reviewer: your approval is shown but does not count."


def snapshot(context: Context, review_id: str) -> Snapshot:
    """What was frozen. Raises `Conflict` where it was altered so far that it cannot be read."""
    with context.database.read() as session:
        return _snapshot(reviews.load(session, review_id))


def _snapshot(loaded: Loaded) -> Snapshot:
    try:
        return Snapshot.model_validate(loaded.snapshot)
    except ValueError as error:
        raise Conflict(
            "The snapshot was altered and can no longer be read.", fix="Restore it from a backup."
        ) from error


def tradeoff(context: Context, review_id: str, theme: ThemeName, width: int | None) -> Figure:
    """The trade-off that the settings were chosen from, from the snapshot alone."""
    return review_figures.frozen_tradeoff(snapshot(context, review_id), THEMES[theme], width)


def comparison(
    context: Context,
    review_id: str,
    split: Split,
    metrics: Sequence[str],
    subgroups: Sequence[str],
    tests: Tested = "primary",
) -> Comparison:
    """The settings side by side, from the snapshot alone."""
    return compare(snapshot(context, review_id), split, metrics, subgroups, tests)


def events(
    context: Context, person: str | None, review_id: str, *, limit: int, cursor: str | None
) -> tuple[list[ReviewEvent], str | None]:
    """A page of the history as `person` may see it."""
    with context.database.read() as session:
        state = reviews.load(session, review_id).state
        rows, following = reviews.events(session, review_id, limit=limit, cursor=cursor)
    return [_event(row, state, person) for row in rows], following


def _event(entry: Entry, state: State, person: str | None) -> ReviewEvent:
    data, hidden = redacted(entry, state, person)
    return ReviewEvent(
        number=entry.number,
        type=entry.type,
        person=entry.person,
        created_at=entry.created_at,
        data=data,
        previous=entry.previous,
        hash=entry.hash,
        redacted=hidden,
    )


def verification(context: Context, review_id: str, head: str | None) -> Verification:
    """Whether anything was altered."""
    with context.database.read() as session:
        return reviews.load(session, review_id).verification(head)


def export(context: Context, person: str | None, review_id: str) -> ReviewExport:
    """The review as one document."""
    with context.database.read() as session:
        loaded = reviews.load(session, review_id)
        return ReviewExport(
            review=_detail(session, person, loaded),
            snapshot=_snapshot(loaded),
            history=[_event(entry, loaded.state, person) for entry in loaded.entries],
        )


# --- acting -----------------------------------------------------------------------------------------------------------


def _act(
    context: Context,
    person: str,
    review_id: str,
    command: Callable[[Session, Loaded], Draft],
    after: Callable[[Session, Loaded], None] | None = None,
) -> ReviewDetail:
    with context.database.write() as session:
        loaded = reviews.append(session, review_id, person, lambda now: command(session, now))
        if after is not None:
            after(session, loaded)
        return _detail(session, person, loaded)


def mentions(session: Session, text: str) -> list[str]:
    """People known here whom a text names as `@Name`, the longest name first where one begins like another."""
    known = sorted({row.name for row in people.everybody(session)}, key=len, reverse=True)
    if not known or "@" not in text:
        return []
    pattern = re.compile(r"(?<!\w)@(" + "|".join(map(re.escape, known)) + r")(?!\w)", re.IGNORECASE)
    names = {name.casefold(): name for name in reversed(known)}
    return list(dict.fromkeys(names[found.casefold()] for found in pattern.findall(text) if found.casefold() in names))


def _mention(session: Session, person: str, loaded: Loaded, named: Sequence[str]) -> None:
    for name in named:
        if name != person:
            text = f"{person} mentions you in the review {loaded.header.title!r}."
            _tell(session, name, "review_mention", text, loaded.header.id)


def comment(context: Context, person: str, review_id: str, new: NewComment) -> ReviewDetail:
    """Begins a thread or answers in one."""
    named: list[str] = []

    def command(session: Session, loaded: Loaded) -> Draft:
        named.extend(mentions(session, new.text))
        if new.thread is None:
            _require_anchor(loaded.snapshot, new.anchor)
        else:
            _thread(loaded.state, new.thread)
        data = {
            "thread": new.thread,
            "anchor": new.anchor.model_dump(mode="json") if new.thread is None else None,
            "text": new.text,
            "mentions": list(named),
        }
        return Draft("commented", data)

    def after(session: Session, loaded: Loaded) -> None:
        _mention(session, person, loaded, named)
        if new.thread is not None:
            first = loaded.state.threads[new.thread].comments[0].person
            if first != person and first not in named:
                text = f"{person} answered you in the review {loaded.header.title!r}."
                _tell(session, first, "review_answer", text, review_id)

    return _act(context, person, review_id, command, after)


def _require_anchor(body: dict[str, Any], anchor: Anchor) -> None:
    settings = {one["setting_id"]: {run["id"] for run in one["runs"]} for one in body["settings"]}
    runs = set().union(*settings.values())
    wrong = [("setting_ids", str(one)) for one in anchor.setting_ids if one not in settings]
    wrong += [("run_ids", one) for one in anchor.run_ids if one not in runs]
    if anchor.subgroup is not None and anchor.subgroup not in {one["subgroup"] for one in body["series"]}:
        wrong.append(("subgroup", anchor.subgroup))
    if anchor.metric is not None and anchor.metric not in {one["metric"] for one in body["series"]}:
        wrong.append(("metric", anchor.metric))
    if wrong:
        found = [
            Problem(
                field=f"anchor.{name}",
                expected="one of the snapshot's",
                got=got[:40],
                fix="Choose one of the review's.",
            )
            for name, got in wrong
        ]
        raise InvalidRequest("The comment is about something that is not in the review.", problems=found)


def _thread(state: State, number: int) -> Any:
    thread = state.threads.get(number)
    if thread is None:
        raise NotFound(f"There is no thread {number} in this review.", fix="See its threads.")
    return thread


def edit(context: Context, person: str, review_id: str, number: int, text: str) -> ReviewDetail:
    """Changes one's own comment; the old text stays in the history."""
    fresh: list[str] = []

    def command(session: Session, loaded: Loaded) -> Draft:
        thread = loaded.state.thread_of.get(number)
        if thread is None:
            raise NotFound(f"There is no comment {number} in this review.", fix="See its threads.")
        old = next(one for one in loaded.state.threads[thread].comments if one.id == number)
        if old.person != person:
            raise Conflict(f"Only {old.person} can edit this comment.", fix="Answer it instead.")
        if old.text == text:
            raise Conflict("The comment says that already.", fix="Change the text, or leave it.")
        named = mentions(session, text)
        fresh.extend(name for name in named if name not in old.mentions)
        return Draft("edited", {"comment": number, "text": text, "mentions": named})

    return _act(context, person, review_id, command, lambda s, loaded: _mention(s, person, loaded, fresh))


def settle(context: Context, person: str, review_id: str, number: int, *, resolved: bool) -> ReviewDetail:
    """Resolves a thread or opens it again."""

    def command(session: Session, loaded: Loaded) -> Draft:
        thread = _thread(loaded.state, number)
        if person not in loaded.state.members and person != thread.comments[0].person:
            raise Conflict("Only members and whoever began a thread can settle it.", fix="Answer in it instead.")
        if thread.resolved == resolved:
            raise Conflict(
                f"The thread is {'resolved' if resolved else 'open'} already.", fix="Nothing needs to be done."
            )
        return Draft("resolved" if resolved else "reopened", {"thread": number})

    return _act(context, person, review_id, command)


def _require_author(state: State, person: str, what: str) -> None:
    if state.members.get(person) != "author":
        names = ", ".join(name for name, role in state.members.items() if role == "author")
        raise Conflict(f"Only an author of the review can {what}.", fix=f"Ask {names}.")


def set_member(context: Context, person: str, review_id: str, change: MemberChange) -> ReviewDetail:
    """Gives or takes a role."""

    def command(session: Session, loaded: Loaded) -> Draft:
        state, name = loaded.state, change.name
        _require_author(state, person, "change its members")
        if name == loaded.header.author:
            raise Conflict(f"{name} made the review and stays its author.", fix="Make another review.")
        if state.members.get(name) == change.role:
            said = f"is {_a(change.role)}" if change.role else "is no member"
            raise Conflict(f"{name} {said} already.", fix="Nothing needs to be done.")
        if state.objection(name) is not None:
            raise Conflict(
                f"{name} objects, and keeps their role until the objection is withdrawn.",
                fix="Answer it, and ask them to withdraw or replace it.",
            )
        if change.role == "approver" and name in state.authors_ever:
            raise Conflict(f"{name} was an author of this review and cannot approve it.", fix="Name somebody else.")
        if change.role is None:
            return Draft("member_removed", {"name": name})
        people.named(session, name)
        return Draft("member_set", {"name": name, "role": change.role})

    def after(session: Session, loaded: Loaded) -> None:
        if change.role is not None and change.name != person:
            text = f"{person} made you {_a(change.role)} of the review {loaded.header.title!r}."
            _tell(session, change.name, "review_asked", text, review_id)

    return _act(context, person, review_id, command, after)


def decide(context: Context, person: str, review_id: str, new: NewDecision) -> ReviewDetail:
    """Approves, asks for changes or rejects."""

    def command(session: Session, loaded: Loaded) -> Draft:
        role = loaded.state.members.get(person)
        if role == "author" or (new.decision == "approve" and person in loaded.state.authors_ever):
            raise Conflict("Whoever is or was an author of a review cannot decide on it.", fix="Ask an approver.")
        if role is None:
            raise Conflict("Only members decide; you can comment.", fix="An author can make you a member.")
        return Draft("decided", {"decision": new.decision, "reason": new.reason, "role": role})

    def after(session: Session, loaded: Loaded) -> None:
        title, status = loaded.header.title, loaded.state.status().replace("_", " ")
        text = f"{person} {WORDS[new.decision]} the review {title!r}. It is now {status}."
        for name, role in loaded.state.members.items():
            if role == "author":
                _tell(session, name, "review_decision", text, review_id)

    return _act(context, person, review_id, command, after)


def withdraw(context: Context, person: str, review_id: str, reason: str) -> ReviewDetail:
    """Takes one's decision back."""

    def command(session: Session, loaded: Loaded) -> Draft:
        if person not in loaded.state.standing:
            raise Conflict("You have no decision that stands.", fix="Nothing needs to be withdrawn.")
        return Draft("withdrew", {"decision": loaded.state.standing[person].decision, "reason": reason})

    def after(session: Session, loaded: Loaded) -> None:
        text = f"{person} withdrew their decision on the review {loaded.header.title!r}."
        for name, role in loaded.state.members.items():
            if role == "author":
                _tell(session, name, "review_decision", text, review_id)

    return _act(context, person, review_id, command, after)


# --- rating -----------------------------------------------------------------------------------------------------------


def create_task(context: Context, person: str, review_id: str, new: NewTask) -> Task:
    """Draws and shuffles the items and asks the raters."""
    drawn = ratings.draw(new)

    def command(session: Session, loaded: Loaded) -> Draft:
        if person not in loaded.state.members:
            raise Conflict("Only members ask for ratings.", fix="An author can make you a member.")
        return Draft("task_created", {**drawn, "salt": secrets.token_hex(16)})

    with context.database.write() as session:
        loaded = reviews.append(session, review_id, person, lambda now: command(session, now))
        for name in new.raters:
            if name != person:
                text = f"{person} asks you to rate {len(drawn['items'])} items of {new.title!r}."
                _tell(session, name, "review_rating", text, review_id)
        return ratings.shown(loaded.state.tasks[loaded.header.events], person)


def task(context: Context, person: str | None, review_id: str, number: int) -> Task:
    """A task as `person` may see it."""
    with context.database.read() as session:
        return ratings.shown(ratings.of(reviews.load(session, review_id).state, number), person)


def rate(context: Context, person: str, review_id: str, number: int, new: NewRatings) -> Task:
    """Answers items."""

    def command(loaded: Loaded) -> Draft:
        answers = ratings.checked(ratings.of(loaded.state, number), person, new)
        return Draft("rated", {"task": number, "ratings": answers, "salt": secrets.token_hex(16)})

    with context.database.write() as session:
        return ratings.shown(reviews.append(session, review_id, person, command).state.tasks[number], person)


def close_task(context: Context, person: str, review_id: str, number: int) -> Task:
    """Uncovers what was hidden and computes the agreement."""

    def command(loaded: Loaded) -> Draft:
        task = ratings.of(loaded.state, number)
        if loaded.state.members.get(person) != "author" and person != task.person:
            raise Conflict("Only an author or whoever made the task can close it.", fix=f"Ask {task.person}.")
        if task.closed:
            raise Conflict("The task is closed already.", fix="See its results.")
        return Draft("task_closed", {"task": number})

    with context.database.write() as session:
        return ratings.shown(reviews.append(session, review_id, person, command).state.tasks[number], person)


def export_task(context: Context, person: str | None, review_id: str, number: int) -> str:
    """Items and answers as CSV, as far as `person` may see them."""
    with context.database.read() as session:
        return ratings.as_csv(ratings.of(reviews.load(session, review_id).state, number), person)
