"""Write the suppression list to a file: in full, in part, or as hashes for a partner; never unlogged.

Addresses of people who opted out leave this service only for suppression (rules.md C-5): each
export is put on record with who took it, for whom and why, before the file has its name.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection

from prefs.domain.address import Address, masked, parse_address
from prefs.domain.formats import HEX_DIGITS
from prefs.domain.listed import safe_cell
from prefs.domain.reasons import SUPPRESSION_REASONS
from prefs.domain.terms import CHANNELS_OF_KIND, AddressKind, Channel, Reason
from prefs.errors import InvalidInput
from prefs.services.kit import Kit
from prefs.services.listfile import written
from prefs.storage import imports, ledger
from prefs.storage.listing import Stands, standing_facts

log = logging.getLogger(__name__)

COLUMNS = ("channel", "to", "scope", "reason", "source", "since", "until")
NOTICE = "For suppression only: these people asked for no marketing. Do not contact them, match them or pass them on."
_TELL_EVERY = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What is taken, by whom, for whom and why. ``since`` is a ledger position: only what came behind it.

    ``masked`` hides the addresses; such a list cannot be imported again.
    """

    path: Path
    actor: str
    recipient: str
    purpose: str
    channel: Channel | None = None
    reasons: tuple[Reason, ...] = ()
    scope: str | None = None
    since: int = 0
    hashed: str | None = None
    masked: bool = False
    columns: tuple[str, ...] = COLUMNS


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. ``unnamed`` are facts about addresses of which only a key is kept: they are not in the file."""

    export: int
    rows: int
    unnamed: int
    sha256: str
    position: int
    recipient: str
    purpose: str
    notice: str = NOTICE


@dataclass(frozen=True, slots=True)
class Exports:
    """The use case of ``prefs export``."""

    kit: Kit

    def run(self, request: ExportRequest, progress: Callable[[int], None] | None = None) -> Exported:
        """Write the file and, beside it, ``FILE.json`` with the count and the checksum; put it on record.

        The file is whole or not there at all. Cells are safe in spreadsheets (V20) and
        ``prefs import`` reads them back to the same facts.

        Raises:
            InvalidInput: A filter that cannot be.
            StoreUnavailable: Nothing was written.
        """
        if request.hashed is not None and request.hashed not in HEX_DIGITS:
            raise InvalidInput(f"Hashes are: {', '.join(HEX_DIGITS)}.", field="hashed")
        if not request.columns or not set(request.columns) <= set(COLUMNS):
            raise InvalidInput(f"Columns are: {', '.join(COLUMNS)}.", field="columns")
        if not request.recipient.strip() or not request.purpose.strip():
            raise InvalidInput("Say who gets the list and what for.", field="recipient", code="missing")
        fresh = request.path.with_name(request.path.name + ".part")
        try:
            done = self._write(fresh, request, progress or (lambda rows: None))
            fresh.replace(request.path)
        finally:
            fresh.unlink(missing_ok=True)
        request.path.with_name(request.path.name + ".json").write_text(json.dumps(asdict(done), indent=2) + "\n")
        return done

    def _write(self, fresh: Path, request: ExportRequest, tell: Callable[[int], None]) -> Exported:
        rows = unnamed = 0
        digest = hashlib.sha256()
        fresh.touch(mode=0o600)
        with fresh.open("wb") as file, self.kit.store.snapshot() as connection:
            position = ledger.position(connection)

            def put(line: str) -> None:
                data = line.encode()
                digest.update(data)
                file.write(data)

            put(written([request.hashed] if request.hashed else request.columns))
            for line in self._lines(connection, request):
                if line is None:
                    unnamed += 1
                    continue
                put(line)
                rows += 1
                if rows % _TELL_EVERY == 0:
                    tell(rows)
        return self._on_record(request, Exported(0, rows, unnamed, digest.hexdigest(), position, *_why(request)))

    def _on_record(self, request: ExportRequest, done: Exported) -> Exported:
        options = {
            name: getattr(request, name) and str(getattr(request, name))
            for name in ("channel", "scope", "since", "hashed")
        }
        options |= {"masked": True} if request.masked else {}
        options |= {"columns": list(request.columns)} if request.columns != COLUMNS else {}
        values = {
            "actor": request.actor,
            "recipient": request.recipient[:200],
            "purpose": request.purpose[:200],
            "options": {**options, "reasons": [str(reason) for reason in request.reasons]},
            "number": done.rows,
            "unnamed": done.unnamed,
            "checksum": done.sha256,
            "position": done.position,
            "at": self.kit.now(),
        }
        with self.kit.store.write() as connection:
            number = imports.log_export(connection, values)
        log.warning(
            "list_exported",
            extra={"export": number, "actor": request.actor, "rows": done.rows, "hashed": request.hashed},
        )
        return Exported(**{**asdict(done), "export": number})

    def _lines(self, connection: Connection, request: ExportRequest) -> Iterator[str | None]:
        """Yield each row as text, None for one whose address we do not have."""
        scope = self.kit.catalogue.scope_number(request.scope) if request.scope else None
        reasons = request.reasons or tuple(SUPPRESSION_REASONS)
        facts = standing_facts(
            connection, self.kit.now(), reasons=reasons, channel=request.channel, scope=scope, after=request.since
        )
        subject, seen = -1, set[tuple[str, ...]]()
        places = [COLUMNS.index(name) for name in request.columns]
        for one in facts:
            if one.known.subject != subject:
                subject, seen = one.known.subject, set()
            row = self._row(one, one_channel=request.channel is not None, is_masked=request.masked)
            row = row and tuple(row[place] for place in places)
            # A fact about every channel stands on each, and is one row; an address has one hash.
            name = () if request.hashed else row or (one.fact, str(one.scope), str(one.everywhere or one.channel))
            if name in seen:
                continue
            seen.add(name)
            if row is None:
                yield None
            elif request.hashed:
                yield self._hash(one, request.hashed) + "\n"
            else:
                yield written([safe_cell(cell) for cell in row])

    def _row(self, one: Stands, *, one_channel: bool, is_masked: bool) -> tuple[str, ...] | None:
        clear = self.kit.clear(one.known)
        if clear is None:
            return None
        several = len(CHANNELS_OF_KIND[one.known.kind]) > 1 or one.known.kind is AddressKind.EMAIL
        channel = "any" if one.everywhere and several and not one_channel else str(one.channel)
        return (
            channel,
            masked(Address(one.known.kind, clear, clear)) if is_masked else clear,
            self.kit.catalogue.scope_name(one.scope),
            one.fact,
            one.source,
            one.since.isoformat().replace("+00:00", "Z"),
            one.until.isoformat().replace("+00:00", "Z") if one.until else "",
        )

    def _hash(self, one: Stands, name: str) -> str:
        """Return the hash of the canonical address: trimmed, lower-case, with ``+`` for numbers (rules.md A-3)."""
        clear = self.kit.clear(one.known) or ""
        value = parse_address(one.channel, clear, default_region=self.kit.default_region).value
        return hashlib.new(name, value.encode(), usedforsecurity=False).hexdigest()


def _why(request: ExportRequest) -> tuple[str, str]:
    return request.recipient, request.purpose
