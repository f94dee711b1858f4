"""What moved behind a ledger position, for all that hand out deltas: snapshots and exports.

A position that was handed out is settled (``facts.settled_position``) and was taken before the
reading began. So what came in between may be in the list and is in the next delta again, and
nothing is in neither (invariant I18).
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection

from prefs.domain.terms import Act, Channel
from prefs.errors import InvalidInput
from prefs.storage import facts, ledger
from prefs.storage.tables import EPOCH


def check_since(since: int, position: int) -> None:
    """Refuse a position that no earlier list can have named.

    Raises:
        InvalidInput: It lies ahead of the ledger: of another ledger, or of one that was set back.
    """
    if not 0 <= since <= position:
        raise InvalidInput(f"The ledger ends at {position}. Name the position of an earlier list.", field="since")


def earliest(connection: Connection, since: int) -> datetime:
    """Return a moment that no list which names this position is older than: its entry's, or a little before."""
    entry = ledger.entry_numbered(connection, since)
    return entry.recorded_at - timedelta(seconds=1) if entry else EPOCH


def moved(
    connection: Connection, channels: Collection[Channel], since: int, at: datetime, acts: Collection[Act] = ()
) -> set[bytes]:
    """Return the key of every address whose answer may differ from what it was at a position.

    Its entries or its contact's are newer (with ``acts``: entries of these kinds), it was restated,
    or something about it ended by itself since.
    """
    return {
        *facts.changed_since(connection, since, acts),
        *facts.ended_between(connection, channels, earliest(connection, since), at),
    }
