"""A scrub answers row by row what ``decide`` answers, whatever is on record (contract section 3)."""

import csv
from pathlib import Path
from typing import Any

from prefs.domain.terms import Channel
from prefs.services.decisions import Asked
from prefs.services.scrub import Order, Report
from tests.make import ADA, World

OFFERS = Asked(channel=Channel.EMAIL, topic="product-offers")


def scrub(world: World, folder: Path, text: str | bytes, asked: Asked = OFFERS, **more: Any) -> Report:
    audience = folder / "audience.csv"
    audience.write_bytes(text.encode() if isinstance(text, str) else text)
    order = Order(audience=audience, asked=asked, kept=folder / "kept.csv", blocked=folder / "blocked.csv", **more)
    return world.services.scrub.run(order)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_people_who_said_no_are_taken_out_and_the_reason_stands_beside_them(world: World, tmp_path: Path) -> None:
    world.client.post(world.link())

    report = scrub(world, tmp_path, f'name,email\nAda,{ADA}\n"Ben, the other",ben@example.com\nNobody,nobody\n')

    assert (tmp_path / "kept.csv").read_text() == 'name,email\n"Ben, the other",ben@example.com\n'
    assert (tmp_path / "blocked.csv").read_text() == (
        f"name,email,prefs_outcome,prefs_reason,prefs_column,prefs_not_before\nAda,{ADA},blocked,unsubscribed,email,\n"
    )
    assert rows(tmp_path / "kept.rejected.csv") == [
        {"line": "4", "reason": "no_at_sign", "column": "email", "row": "Nobody,nobody"}
    ]
    assert (report.rows, report.kept, report.blocked, report.rejected) == (3, 1, 1, 1)
    assert report.reasons == {"unsubscribed": 1, "no_at_sign": 1}
