"""The rows of opt-outs, written by the driver alone: what the database takes for them, whoever writes them.

An opt-out by somebody nobody knew is an address, an entry, its reference, what stands, and the
sealed proofs beside it. They are made up here, as long as real ones are, and written in one
statement on PostgreSQL, row by row in one transaction on SQLite.
"""

import os
import secrets
from typing import Any

_POSTGRES = """
WITH made AS MATERIALIZED (
  SELECT nextval('ledger_entry_id_seq') AS id, (random() * 2 ^ 61)::bigint AS subject,
         (random() * 2 ^ 61)::bigint AS act, sha256(random()::text::bytea) AS noise
  FROM generate_series(1, {number})
), a AS (
  INSERT INTO address (subject, key, kind, sealed, created_at, last_entry)
  SELECT subject, substring(noise FOR 16), 'email', substring(noise || noise FOR 60), 1, id FROM made
), e AS (
  INSERT INTO ledger_entry (id, entry_key, act_id, act, subject, channel, scope, reason, source, evidence_hash,
                            effective_at, occurred_at, recorded_at)
  SELECT id, encode(noise, 'hex'), 'act_' || left(encode(noise, 'hex'), 24), 'opt_out', subject, 'email', 0,
         'unsubscribed', 'bench', encode(noise, 'hex'), 1, 1, 1 FROM made
), s AS (
  INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source)
  SELECT substring(noise FOR 16), 'email', 0, 'unsubscribed', false, id, 1, 'bench' FROM made
), r AS (
  INSERT INTO act_reference (number, entry_id) SELECT act, id FROM made
), v AS (
  INSERT INTO evidence (act_id, subject, sealed, created_at, part)
  SELECT 'act_' || left(encode(noise, 'hex'), 24), subject, noise || noise || noise || noise, 1, 'proof'
  FROM made, generate_series(1, {proofs})
)
SELECT count(*) FROM made
"""


def write(connection: Any, number: int, proofs: int) -> None:
    """Write the rows of so many opt-outs, each with so many proofs, and commit. The connection is in autocommit."""
    if not os.environ["DATABASE_URL"].startswith("sqlite"):
        connection.execute(_POSTGRES.format(number=number, proofs=proofs), prepare=True)
        return
    connection.execute("BEGIN IMMEDIATE")
    for _ in range(number):
        _write_one(connection.execute, proofs)
    connection.execute("COMMIT")


def _write_one(run: Any, proofs: int) -> None:
    subject, key, name = secrets.randbits(61), secrets.token_bytes(16), secrets.token_hex(32)
    act = f"act_{name[:24]}"
    entry = run(
        "INSERT INTO ledger_entry (entry_key, act_id, act, subject, channel, scope, reason, source, evidence_hash,"
        " effective_at, occurred_at, recorded_at) VALUES (?, ?, 'opt_out', ?, 'email', 0, 'unsubscribed', 'bench', ?,"
        " 1, 1, 1)",
        (name, act, subject, name),
    ).lastrowid
    run(
        "INSERT INTO address (subject, key, kind, sealed, created_at, last_entry) VALUES (?, ?, 'email', ?, 1, ?)",
        (subject, key, key * 4, entry),
    )
    run(
        "INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source)"
        " VALUES (?, 'email', 0, 'unsubscribed', 0, ?, 1, 'bench')",
        (key, entry),
    )
    run("INSERT INTO act_reference (number, entry_id) VALUES (?, ?)", (subject, entry))
    for _ in range(proofs):
        run(
            "INSERT INTO evidence (act_id, subject, sealed, created_at, part) VALUES (?, ?, ?, 1, 'proof')",
            (act, subject, key * 8),
        )
