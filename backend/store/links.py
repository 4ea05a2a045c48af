"""Short links: a view of the page that was kept, with the moment as of which its results are drawn."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from backend.contracts.runs import canonical_hash
from backend.errors import NotFound
from backend.store import people
from backend.store._sql import insert_ignore
from backend.store.tables import Base, LinkRow

#: Characters of a link's id: 50 bits of the hash of what it names.
LENGTH = 10
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def keep(session: Session, path: str, search: dict[str, str], as_of: datetime, person: str | None) -> LinkRow:
    """The link of that view at that moment; keeping the same again gives the same. Needs a session that writes."""
    digest = int(canonical_hash({"path": path, "search": search, "as_of": as_of.isoformat()}), 16)
    id_ = "".join(_ALPHABET[(digest >> (5 * place)) % 32] for place in range(LENGTH))
    who = people.named(session, person).id if person is not None else None
    row = {"id": id_, "path": path, "search": search, "as_of": as_of, "person_id": who, "created_at": as_of}
    insert_ignore(session, Base.metadata.tables["links"], [row])
    return get(session, id_)


def get(session: Session, id_: str) -> LinkRow:
    """The link, or `NotFound`."""
    row = session.get(LinkRow, id_)
    if row is None:
        raise NotFound(f"There is no link {id_!r}.", fix="Check that the address was copied whole.")
    return row
