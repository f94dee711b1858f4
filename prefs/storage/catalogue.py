"""The catalogue at rest: items are added and retired, never deleted or renumbered (contract D16)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from prefs.domain.catalogue import Brand, Catalogue, Sender, Topic
from prefs.domain.terms import Channel, MessageClass, Need
from prefs.storage.people import insert_new
from prefs.storage.tables import catalogue_item, meta

REVISION = "catalogue_revision"


@dataclass(frozen=True, slots=True)
class Item:
    """A brand, topic or sender as a file or caller describes it; ``body`` holds all but its slug."""

    kind: str
    slug: str
    body: dict[str, Any]
    retired: bool = False


def load(connection: Connection) -> Catalogue:
    """Return the whole catalogue, in its own order."""
    rows = connection.execute(select(catalogue_item).order_by(catalogue_item.c.position, catalogue_item.c.number)).all()
    return Catalogue(
        brands=tuple(_brand(row) for row in rows if row.kind == "brand"),
        topics=tuple(_topic(row) for row in rows if row.kind == "topic"),
        senders=tuple(_sender(row) for row in rows if row.kind == "sender"),
        revision=revision(connection),
    )


def revision(connection: Connection) -> int:
    """Return how often the catalogue was changed."""
    stored = connection.execute(select(meta.c.value).where(meta.c.name == REVISION)).scalar()
    return int(stored or 0)


def apply(connection: Connection, items: Sequence[Item]) -> None:
    """Add or change these items and count a new revision; what is not named stays as it is."""
    for position, item in enumerate(items):
        values = {"position": position, "retired": item.retired, "body": item.body}
        key = (catalogue_item.c.kind == item.kind) & (catalogue_item.c.slug == item.slug)
        connection.execute(insert_new(connection, catalogue_item), {"kind": item.kind, "slug": item.slug, **values})
        connection.execute(update(catalogue_item).where(key).values(values))
    _count_revision(connection)


def change(connection: Connection, item: Item) -> None:
    """Add or change one item and count a new revision; its place among the others stays, a new one comes last."""
    last = connection.execute(select(func.coalesce(func.max(catalogue_item.c.position), 0))).scalar_one()
    values = {"retired": item.retired, "body": item.body}
    key = (catalogue_item.c.kind == item.kind) & (catalogue_item.c.slug == item.slug)
    new = {"kind": item.kind, "slug": item.slug, "position": last + 1, **values}
    connection.execute(insert_new(connection, catalogue_item), new)
    connection.execute(update(catalogue_item).where(key).values(values))
    _count_revision(connection)


def items(connection: Connection) -> list[Item]:
    """Return every item as it was described."""
    rows = connection.execute(select(catalogue_item).order_by(catalogue_item.c.position, catalogue_item.c.number))
    return [Item(row.kind, row.slug, row.body, row.retired) for row in rows]


def _count_revision(connection: Connection) -> None:
    connection.execute(insert_new(connection, meta), {"name": REVISION, "value": "0"})
    connection.execute(update(meta).where(meta.c.name == REVISION).values(value=str(revision(connection) + 1)))


def _brand(row: Any) -> Brand:
    return Brand(row.number, row.slug, row.body["name"], row.retired)


def _topic(row: Any) -> Topic:
    body = row.body
    return Topic(
        number=row.number,
        slug=row.slug,
        name=body["name"],
        message_class=MessageClass(body["message_class"]),
        needs={Channel(channel): Need(need) for channel, need in body["needs"].items()},
        description=body.get("description", ""),
        essential=body.get("essential", False),
        exempt=body.get("exempt", False),
        approved_by=body.get("approved_by"),
        retired=row.retired,
        translations={
            language: (said["name"], said.get("description", ""))
            for language, said in body.get("translations", {}).items()
        },
    )


def _sender(row: Any) -> Sender:
    body = row.body
    return Sender(
        number=row.number,
        slug=row.slug,
        channel=Channel(body["channel"]),
        message_class=MessageClass(body["message_class"]),
        address=body["address"],
        brand=body.get("brand", "default"),
        default=body.get("default", True),
        inbound=tuple(_texts(body.get("inbound", ()))),
        answers=body.get("answers", "service"),
        clarify=body.get("clarify", False),
        groups={int(group): topic for group, topic in body.get("groups", {}).items()},
        retired=row.retired,
    )


def _texts(values: Iterable[Any]) -> Iterable[str]:
    return (str(value) for value in values)
