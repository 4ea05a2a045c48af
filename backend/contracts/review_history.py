"""A review's history: its hash chain, and what the review is now, folded from its entries. Pure functions.

An entry's hash is SHA-256 over the canonical JSON of everything in it and of the hash before it; the first entry
stands on the hash of the snapshot. Whoever can write to the database can compute a whole new chain, so the chain shows
tampering to those who noted a hash before; see docs/reviews.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backend.contracts.reviews import (
    Anchor,
    Comment,
    Decision,
    Member,
    NewItem,
    NewRating,
    ReviewStatus,
    Role,
    Scale,
    Thread,
    Verdict,
    Verification,
)
from backend.contracts.runs import canonical_hash


@dataclass(frozen=True)
class Entry:
    """One event as it is stored."""

    number: int
    type: str
    person: str
    created_at: datetime
    data: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class Header:
    """What the review's row says besides the snapshot itself."""

    id: str
    title: str
    author: str
    created_at: datetime
    status: str
    snapshot_hash: str
    events: int
    head_hash: str


def moment(value: datetime) -> str:
    """A moment as it is hashed: UTC, microseconds.

    >>> moment(datetime(2026, 1, 2, tzinfo=UTC))
    '2026-01-02T00:00:00.000000+00:00'
    """
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def entry_hash(
    review_id: str, number: int, type: str, person: str, created_at: datetime, data: Any, previous: str
) -> str:
    """The hash of an entry: 64 hex digits."""
    return canonical_hash(
        {
            "review": review_id,
            "number": number,
            "type": type,
            "person": person,
            "moment": moment(created_at),
            "data": data,
            "previous": previous,
        }
    )


def verify(header: Header, snapshot: Any, entries: Sequence[Entry], head: str | None = None) -> Verification:
    """What is wrong, precisely; nothing where snapshot, entries and header fit. `head` is a hash noted earlier."""
    wrong: list[str] = []
    found = _hash(snapshot)
    if found != header.snapshot_hash or not isinstance(snapshot, dict):
        wrong.append("The snapshot was edited: its numbers are not those that were frozen.")
    else:
        for field_, kept, said in (
            ("id", header.id, snapshot.get("review_id")),
            ("title", header.title, snapshot.get("title")),
            ("author", header.author, snapshot.get("author")),
            ("moment", moment(header.created_at), moment(datetime.fromisoformat(snapshot["moment"]))),
        ):
            if kept != said:
                wrong.append(f"The header was edited: its {field_} is not the one in the snapshot.")
    wrong += _chain(header, entries)
    if not wrong:
        state = fold(entries)
        wrong += [f"Entry {number} cannot be read by this release." for number in state.unreadable]
        if state.status() != header.status:
            wrong.append(f"The header was edited: it says {header.status}, the history says {state.status()}.")
    if head is not None and head != header.snapshot_hash and head not in {entry.hash for entry in entries}:
        wrong.append("The entry that you noted is not in the history: it was rewritten since.")
    last = entries[-1].hash if entries else header.snapshot_hash
    count = f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"
    sentence = f"History intact, {count}." if not wrong else "This review was altered outside of it. " + " ".join(wrong)
    return Verification(intact=not wrong, events=len(entries), head=last, problems=wrong, sentence=sentence)


def _hash(value: Any) -> str | None:
    try:
        return canonical_hash(value)
    except (ValueError, TypeError):
        return None


def _chain(header: Header, entries: Sequence[Entry]) -> list[str]:
    """What is wrong with the entries among themselves and with the header's count and head."""
    wrong = []
    numbers = [entry.number for entry in entries]
    last = max([header.events, *numbers], default=0)
    gone = sorted(set(range(1, last + 1)) - set(numbers))
    wrong += [f"Entry {number} is missing." for number in gone if number <= header.events]
    hashes = {entry.hash: entry.number for entry in entries}
    before: Entry | None = None
    for entry in entries:
        own = _entry_hash(header.id, entry)
        expected = header.snapshot_hash if entry.number == 1 else None
        if before is not None and before.number == entry.number - 1:
            expected = before.hash
        if own != entry.hash:
            was = _written_as(header.id, entry, last)
            what = f"was moved: it was written as entry {was}" if was is not None else "was edited"
            wrong.append(f"Entry {entry.number} ({entry.type} by {entry.person}) {what}.")
        elif expected is not None and entry.previous != expected:
            at = hashes.get(entry.previous)
            where = f"; it was written after what is now entry {at}" if at is not None else ""
            wrong.append(f"Entry {entry.number} does not follow the one before it{where}: the order was changed.")
        before = entry
    if numbers and header.events < max(numbers):
        wrong.append(f"The header was edited: it counts {header.events} entries, there are {max(numbers)}.")
    if entries and numbers[-1] == header.events and entries[-1].hash != header.head_hash:
        wrong.append("The header was edited: it names another last entry than the one that is there.")
    if not entries and not gone:
        wrong.append("The history is empty: the first entry is missing.")
    return wrong


def _entry_hash(review_id: str, entry: Entry, number: int | None = None) -> str | None:
    at = entry.number if number is None else number
    try:
        return entry_hash(review_id, at, entry.type, entry.person, entry.created_at, entry.data, entry.previous)
    except (ValueError, TypeError):
        return None


#: Places at which an entry that does not fit its own is looked for.
_PLACES = 2000


def _written_as(review_id: str, entry: Entry, last: int) -> int | None:
    """The number under which an entry would be whole."""
    near = sorted(range(1, last + 2), key=lambda number: abs(number - entry.number))[:_PLACES]
    return next((number for number in near if _entry_hash(review_id, entry, number) == entry.hash), None)


# --- what the review is now -------------------------------------------------------------------------------------------


@dataclass
class TaskState:
    """A rating task: its items with what they hide, and the latest answer of each rater to each item."""

    id: int
    title: str
    person: str
    created_at: datetime
    instructions: str
    warning: str
    scale: Scale
    raters: list[str]
    seed: int
    sampled: str | None
    items: list[NewItem]
    ratings: dict[str, dict[int, NewRating]] = field(default_factory=dict)
    closed: bool = False

    def order(self, rater: str) -> list[int]:
        """Item ids (from 1) in this rater's own order: sorted by SHA-256 of seed, rater and item."""

        def key(item: int) -> str:
            return hashlib.sha256(f"{self.seed}\0{rater}\0{item}".encode()).hexdigest()

        return sorted(range(1, len(self.items) + 1), key=key)


@dataclass(frozen=True)
class Made:
    """A decision as it was made."""

    number: int
    decision: Verdict
    reason: str
    role: Role
    created_at: datetime


@dataclass
class State:
    """A review as its history makes it."""

    question: str = ""
    required_approvals: int = 1
    job_ids: list[str] = field(default_factory=list)
    setting_ids: list[int] = field(default_factory=list)
    members: dict[str, Role] = field(default_factory=dict)
    authors_ever: set[str] = field(default_factory=set)
    threads: dict[int, Thread] = field(default_factory=dict)
    thread_of: dict[int, int] = field(default_factory=dict)
    #: Each person's decision that stands.
    standing: dict[str, Made] = field(default_factory=dict)
    tasks: dict[int, TaskState] = field(default_factory=dict)
    unreadable: list[int] = field(default_factory=list)

    def decisions(self) -> list[Decision]:
        """Decisions that stand, oldest first."""
        return [
            Decision.model_validate(
                {
                    "person": person,
                    "role": self.members.get(person),
                    "given_as": made.role,
                    "decision": made.decision,
                    "reason": made.reason,
                    "created_at": made.created_at,
                    "counts": self._counts(person, made),
                }
            )
            for person, made in sorted(self.standing.items(), key=lambda one: one[1].number)
        ]

    def _counts(self, person: str, made: Made) -> bool:
        """An approval is one only of who was an approver then: an author cannot make an opinion into a signature."""
        if made.decision != "approve":
            return True
        return {made.role, self.members.get(person)} == {"approver"} and person not in self.authors_ever

    def must_decide(self, person: str) -> bool:
        """Whether an approver has not yet said anything that counts."""
        made = self.standing.get(person)
        return (
            self.members.get(person) == "approver"
            and person not in self.authors_ever
            and (made is None or not self._counts(person, made))
        )

    def approvals(self) -> int:
        """Approvals that count."""
        return sum(one.counts and one.decision == "approve" for one in self.decisions())

    def objection(self, person: str) -> str | None:
        """The rejection or request for changes of this person that stands."""
        made = self.standing.get(person)
        return made.decision if made is not None and made.decision != "approve" else None

    def status(self) -> ReviewStatus:
        """A rejection outweighs a request for changes, which outweighs approvals."""
        standing = {made.decision for made in self.standing.values()}
        if "reject" in standing:
            return "rejected"
        if "request_changes" in standing:
            return "changes_requested"
        return "approved" if self.approvals() >= self.required_approvals else "open"

    def member_list(self) -> list[Member]:
        """Members: authors, approvers, reviewers, each by name."""
        rank = {"author": 0, "approver": 1, "reviewer": 2}
        listed = sorted(self.members.items(), key=lambda one: (rank[one[1]], one[0]))
        return [Member(name=name, role=role) for name, role in listed]


def fold(entries: Iterable[Entry]) -> State:
    """What the review is after these entries, which come in order; those that cannot be read are listed."""
    state = State()
    for entry in entries:
        try:
            _APPLY[entry.type](state, entry)
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
            # Somebody edited it. The chain says so; the rest is still shown.
            state.unreadable.append(entry.number)
    return state


def _opened(state: State, entry: Entry) -> None:
    data = entry.data
    state.question = data["question"]
    state.required_approvals = data["required_approvals"]
    state.job_ids, state.setting_ids = data["job_ids"], data["setting_ids"]
    for member in data["members"]:
        _give(state, member["name"], member["role"])


def _give(state: State, name: str, role: Role) -> None:
    state.members[name] = role
    if role == "author":
        state.authors_ever.add(name)


def _commented(state: State, entry: Entry) -> None:
    data = entry.data
    comment = Comment(
        id=entry.number,
        person=entry.person,
        text=data["text"],
        mentions=data["mentions"],
        created_at=entry.created_at,
    )
    if data["thread"] is None:
        state.threads[entry.number] = Thread(
            id=entry.number, anchor=Anchor.model_validate(data["anchor"]), resolved=False, comments=[comment]
        )
    else:
        state.threads[data["thread"]].comments.append(comment)
    state.thread_of[entry.number] = data["thread"] or entry.number


def _edited(state: State, entry: Entry) -> None:
    number = entry.data["comment"]
    comments = state.threads[state.thread_of[number]].comments
    place = next(i for i, comment in enumerate(comments) if comment.id == number)
    old = comments[place]
    comments[place] = old.model_copy(
        update={
            "text": entry.data["text"],
            "mentions": entry.data["mentions"],
            "edited_at": entry.created_at,
            "earlier": [*old.earlier, old.text],
        }
    )


def _settled(state: State, entry: Entry) -> None:
    thread = entry.data["thread"]
    done = entry.type == "resolved"
    state.threads[thread] = state.threads[thread].model_copy(
        update={"resolved": done, "resolved_by": entry.person if done else None}
    )


def _member_set(state: State, entry: Entry) -> None:
    _give(state, entry.data["name"], entry.data["role"])


def _member_removed(state: State, entry: Entry) -> None:
    state.members.pop(entry.data["name"], None)


def _decided(state: State, entry: Entry) -> None:
    data = entry.data
    state.standing[entry.person] = Made(entry.number, data["decision"], data["reason"], data["role"], entry.created_at)


def _withdrew(state: State, entry: Entry) -> None:
    state.standing.pop(entry.person, None)


def _task_created(state: State, entry: Entry) -> None:
    data = entry.data
    state.tasks[entry.number] = TaskState(
        id=entry.number,
        title=data["title"],
        person=entry.person,
        created_at=entry.created_at,
        instructions=data["instructions"],
        warning=data["warning"],
        scale=Scale.model_validate(data["scale"]),
        raters=data["raters"],
        seed=data["seed"],
        sampled=data["sampled"],
        items=[NewItem.model_validate(item) for item in data["items"]],
    )


def _rated(state: State, entry: Entry) -> None:
    answers = state.tasks[entry.data["task"]].ratings.setdefault(entry.person, {})
    for one in entry.data["ratings"]:
        answers[one["item"]] = NewRating.model_validate(one)


def _task_closed(state: State, entry: Entry) -> None:
    state.tasks[entry.data["task"]].closed = True


_APPLY = {
    "opened": _opened,
    "commented": _commented,
    "edited": _edited,
    "resolved": _settled,
    "reopened": _settled,
    "member_set": _member_set,
    "member_removed": _member_removed,
    "decided": _decided,
    "withdrew": _withdrew,
    "task_created": _task_created,
    "rated": _rated,
    "task_closed": _task_closed,
}


#: What nobody sees of a task before it is closed. The salt keeps a rating from being guessed from its hash.
_BLIND = {"task_created": ("items", "seed", "salt", "sampled"), "rated": ("ratings", "salt")}


def redacted(entry: Entry, state: State, person: str | None) -> tuple[dict[str, Any], bool]:
    """An entry's data as `person` may see it, and whether anything was left out."""
    if not isinstance(entry.data, dict):
        return {}, False  # Altered by hand: the verification says so.
    blind = _BLIND.get(entry.type)
    if blind is None:
        return entry.data, False
    task = state.tasks.get(entry.number if entry.type == "task_created" else entry.data.get("task", 0))
    if task is not None and task.closed:
        return entry.data, False
    shown = {name: value for name, value in entry.data.items() if name not in blind}
    if entry.type == "task_created" and task is not None:
        shown["items"] = [{"kind": item.kind, "content": item.content} for item in task.items]
    elif entry.person == person and "ratings" in entry.data:
        shown["ratings"] = entry.data["ratings"]
    return shown, True


def size(value: Any) -> int:
    """Bytes of a JSON value."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
