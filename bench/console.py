"""How long the pages of the console take with a million contacts, on both databases: p50 and p95 of warm requests.

    python -m bench.console --contacts 1000000 --rounds 50

Rows are made inside the database: contacts, addresses, one opt-out in four as ledger entry and
standing, one message in five. The worker's adding-up is timed once; then each page is asked for in
turn through the whole application, without a network. Exits 1 where a page's p95 is over 300 ms.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from prefs.domain.roles import Role
from prefs.storage import migrate
from prefs.storage.tables import decision_count, to_microseconds
from tests.make import Clock, World, make_world
from tests.postgres import PostgresServer
from tests.staff import staff

PAGES = (
    "/admin/",
    "/admin/?days=90",
    "/admin/providers",
    "/admin/providers/outbox",
    "/admin/topics",
    "/admin/topics/events/retire",
    "/admin/channels",
    "/admin/words",
    "/admin/words/pages?language=de",
    "/admin/team",
    "/admin/audit",
    "/admin/keys",
)
_DAYS = 90
LIMIT_MS = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--database", choices=("sqlite", "postgres"), action="append")
    wanted, slow = parser.parse_args(), 0
    for database in wanted.database or ("sqlite", "postgres"):
        with tempfile.TemporaryDirectory() as folder, _server(database) as server:
            url = server.create_database("bench") if server else f"sqlite:///{folder}/prefs.db"
            migrate.upgrade(url)
            world = make_world(url, Clock(datetime.now(UTC)), Path(folder))
            _fill(world, wanted.contacts)
            slow += _measure(world, database, wanted)
            world.services.kit.store.dispose()
    return 1 if slow else 0


def _server(database: str) -> AbstractContextManager[Any]:
    return PostgresServer.launch() if database == "postgres" else nullcontext()


def _fill(world: World, number: int) -> None:
    store, now = world.services.kit.store, to_microseconds(world.clock.at)
    topic = world.services.kit.catalogue.topic("events").number
    sender = world.services.kit.catalogue.senders[0].number
    span = int(timedelta(days=_DAYS).total_seconds() * 1_000_000)
    with store.write() as connection:
        rows = _Rows(connection, now, span, topic)
        if not rows.sqlite:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        for table, columns, values, share in _TABLES:
            rows.insert(f"{table} ({columns})", values.replace("{sender}", str(sender)), round(share * number))
        _decisions(connection, world)
    if not store.is_sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))


# Table, columns, values for row number i, and how many rows for each contact.
_TABLES = (
    ("contact", "subject, external_id, last_entry, created_at", "i, 'p' || i, 0, {at}", 1),
    (
        "address",
        "subject, key, kind, contact, last_entry, created_at",
        "{far} + i, {key}, 'email', i, 0, {at}",
        1,
    ),
    (
        "ledger_entry",
        "entry_key, act_id, act, subject, channel, scope, reason, source, effective_at, occurred_at, recorded_at",
        "'key' || i, 'act' || i, 'opt_out', {far} + i * 4, 'email', {topic} * (i % 2), 'unsubscribed', {source}, "
        "{at}, {at}, {at}",
        0.25,
    ),
    (
        "standing",
        "address_key, channel, scope, fact, everywhere, entry_id, effective_at, source",
        "{key4}, 'email', {topic} * (i % 2), 'unsubscribed', {no}, i, {at}, {source}",
        0.25,
    ),
    (
        "message",
        "id, subject, channel, message_class, topic, sender, campaign, status, sealed, due_at, fence, attempts, "
        "created_at",
        "'msg_' || i, {far} + i * 4, 'email', 'marketing', {topic}, {sender}, 'campaign ' || (i % 40), 'sent', {key}, "
        "{at}, 0, 1, {at}",
        0.2,
    ),
    ("message_event", "message_id, status, detail, at", "'msg_' || i, 'sent', '{{}}', {at}", 0.2),
)


class _Rows:
    """Makes rows inside the database, spread evenly over the last ninety days."""

    def __init__(self, connection: Connection, now: int, span: int, topic: int) -> None:
        self.connection = connection
        self.sqlite = connection.dialect.name == "sqlite"
        self.now, self.span, self.topic = now, span, topic

    def insert(self, into: str, values: str, number: int) -> None:
        step = self.span // number
        said = values.format(
            at=f"({self.now - self.span} + i * CAST({step} AS BIGINT))",
            far=1_000_000_000,
            topic=self.topic,
            key="randomblob(16)" if self.sqlite else "decode(md5('a' || i), 'hex')",
            key4="randomblob(16)" if self.sqlite else "decode(md5('a' || i * 4), 'hex')",
            no="0" if self.sqlite else "false",
            source="CASE i % 3 WHEN 0 THEN 'one_click' WHEN 1 THEN 'unsubscribe_page' ELSE 'sms_keyword' END",
        )
        counted = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :number) "
        if self.sqlite:
            # SQLite wants the common table in front of the insert.
            self.connection.execute(text(f"{counted} INSERT INTO {into} SELECT {said} FROM n"), {"number": number})
        else:
            made = f"INSERT INTO {into} SELECT {said} FROM generate_series(1, :number) AS n(i)"
            self.connection.execute(text(made), {"number": number})


def _decisions(connection: Connection, world: World) -> None:
    """Counts as a busy year leaves them: six channels, nine topics, ten reasons a day."""
    today = world.clock.at.date()
    topics = [one.slug for one in world.services.kit.catalogue.topics]
    rows = [
        {
            "day": (today - timedelta(days=back)).isoformat(),
            "channel": channel,
            "topic": topic,
            "outcome": outcome,
            "reason": reason,
            "number": 1_000 + back,
        }
        for back in range(2 * _DAYS)
        for channel in ("email", "sms", "voice", "whatsapp", "push", "postal")
        for topic in topics
        for outcome, reason in (("allowed", ""), *(("blocked", f"reason {number}") for number in range(10)))
    ]
    connection.execute(decision_count.insert(), rows)


def _measure(world: World, database: str, wanted: argparse.Namespace) -> int:
    """Print what each page took, and return how many took too long."""
    while (sealed := world.services.sealing.seal()) and sealed.entries < wanted.contacts // 4:
        pass  # some thousand at once
    began = time.perf_counter()
    passed = world.services.figures.add_up()
    print(f"{database:9} adding up {passed:,} entries and sends took {time.perf_counter() - began:.1f} s", flush=True)
    person, slow = staff(world, Role.ADMIN), 0
    for page in PAGES:
        took = _times(person.client, page, wanted.rounds)
        p50, p95 = statistics.median(took), statistics.quantiles(took, n=20, method="inclusive")[-1]
        slow += p95 > LIMIT_MS
        print(f"{database:9} {page:34} p50 {p50:7.1f} ms   p95 {p95:7.1f} ms   max {max(took):7.1f} ms", flush=True)
    return slow


def _times(client: Any, page: str, rounds: int) -> list[float]:
    """Return the milliseconds of some requests of a page that was asked for once before."""
    took = []
    for asked in range(rounds + 1):
        began = time.perf_counter()
        assert client.get(page).status_code == 200, page
        if asked:
            took.append((time.perf_counter() - began) * 1000)
    return took


if __name__ == "__main__":
    sys.exit(main())
