"""How far something was read: one mark a name, kept in ``meta``."""

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from prefs.storage.people import add_new, insert_new
from prefs.storage.tables import meta


def read(connection: Connection, name: str) -> datetime | None:
    """Return how far ``name`` was read, or None at first."""
    stored = connection.execute(select(meta.c.value).where(meta.c.name == f"mark:{name}")).scalar()
    return datetime.fromisoformat(stored) if stored else None


def write(connection: Connection, name: str, moment: datetime) -> None:
    """Note how far ``name`` was read."""
    key = f"mark:{name}"
    connection.execute(insert_new(connection, meta), {"name": key, "value": moment.isoformat()})
    connection.execute(update(meta).where(meta.c.name == key).values(value=moment.isoformat()))


def begin(connection: Connection, name: str, moment: datetime) -> bool:
    """Set a mark that is not set; False where it was. Of several processes one hears True."""
    return add_new(connection, meta, {"name": f"mark:{name}", "value": moment.isoformat()})


def end(connection: Connection, name: str) -> bool:
    """Take a mark away; False where there was none."""
    return connection.execute(delete(meta).where(meta.c.name == f"mark:{name}")).rowcount == 1


def read_position(connection: Connection, name: str) -> int:
    """Return the ledger position ``name`` has got to, 0 at first."""
    stored = connection.execute(select(meta.c.value).where(meta.c.name == f"position:{name}")).scalar()
    return int(stored) if stored else 0


def write_position(connection: Connection, name: str, position: int) -> None:
    """Note the ledger position ``name`` has got to."""
    key = f"position:{name}"
    connection.execute(insert_new(connection, meta), {"name": key, "value": str(position)})
    connection.execute(update(meta).where(meta.c.name == key).values(value=str(position)))
