"""SendGrid events at the door: rules.md M-1 to M-5, M-10; reliability.md V27, V30 to V32."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from prefs import simulate
from prefs.domain.events import CONSEQUENCES
from tests.make import ADA, SECRETS, World
from tests.webhooks.test_twilio import make_client
from webhooks.sendgrid import SIGNATURE, TIMESTAMP, is_authentic

VECTOR_KEY = "".join(
    (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF",
        "9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
    )
)
VECTOR_SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
VECTOR_BODY = (
    json.dumps(
        [
            {
                "email": "hello@world.com",
                "event": "dropped",
                "reason": "Bounced Address",
                "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
                "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
                "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
                "timestamp": 1600112492,
            }
        ],
        sort_keys=True,
        separators=(",", ":"),
    ).encode()
    + b"\r\n"
)


def test_m1_the_helper_librarys_own_vector_holds_byte_for_byte() -> None:
    assert is_authentic(VECTOR_KEY, VECTOR_SIGNATURE, "1600112502", VECTOR_BODY)
    assert not is_authentic(VECTOR_KEY, VECTOR_SIGNATURE, "1600112502", VECTOR_BODY.rstrip())
    assert not is_authentic(VECTOR_KEY, VECTOR_SIGNATURE, "1600112503", VECTOR_BODY)
    assert not is_authentic(VECTOR_KEY, VECTOR_SIGNATURE, "1600112502", VECTOR_BODY.replace(b"hello", b"jello"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {SIGNATURE: "not base64!", TIMESTAMP: "1"},
        {SIGNATURE: "AAAA", TIMESTAMP: "1"},
        {SIGNATURE: "A" * 1_000_000, TIMESTAMP: "1"},
        {SIGNATURE: VECTOR_SIGNATURE},
        {TIMESTAMP: "1600112502"},
    ],
)
def test_m1_anything_odd_is_403_and_stores_nothing(world: World, headers: dict[str, str]) -> None:
    answer = world.client.post(simulate.EVENTS_PATH, data=VECTOR_BODY, headers=headers)

    assert answer.status_code == 403
    assert world.entries() == []


def test_m2_the_same_batch_again_and_the_same_event_in_two_batches_count_once(world: World) -> None:
    event = world.event("unsubscribe")
    nameless = {name: value for name, value in world.event("spamreport").items() if name != "sg_event_id"}

    for _ in range(3):
        assert world.events(event, nameless).status_code == 204
    world.events(event)

    assert len(world.entries()) == 2


def test_m3_one_bad_item_never_loses_the_rest(world: World) -> None:
    spoilt: list[Any] = ["text", {"event": "unsubscribe"}, {**world.event("unsubscribe"), "timestamp": "soon"}, 7]
    unknown = world.event("something_new")

    answer = world.events(*spoilt, unknown, world.event("unsubscribe", "b@example.com"))

    assert answer.status_code == 204
    assert world.decide(to="b@example.com")["reason"] == "unsubscribed"
    assert len(world.entries()) == 1


def test_m3_what_cannot_be_read_at_all_is_kept_aside_and_not_sent_again(world: World) -> None:
    from sqlalchemy import func, select

    from prefs.storage.tables import quarantine

    body, headers = simulate.sign_events(SECRETS["SENDGRID_WEBHOOK_PRIVATE_KEY"], [])
    assert world.client.post(simulate.EVENTS_PATH, data=body, headers=headers).status_code == 204
    world.events(world.event("unsubscribe", "nobody"))

    with world.services.kit.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(quarantine)).scalar_one() == 1


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("unsubscribe", {}, "unsubscribed"),
        ("group_unsubscribe", {"asm_group_id": 99}, "unsubscribed"),
        ("spamreport", {}, "complaint"),
        ("bounce", {"type": "bounce"}, "hard_bounce"),
        ("bounce", {"type": "blocked"}, None),
        ("dropped", {"reason": "Unsubscribed Address"}, "unsubscribed"),
        ("dropped", {"reason": "Spam Reporting Address"}, "complaint"),
        ("dropped", {"reason": "Bounced Address"}, "hard_bounce"),
        ("dropped", {"reason": "Invalid"}, "invalid_address"),
        ("dropped", {"reason": "Spam Content"}, None),
        ("deferred", {}, None),
        ("processed", {}, None),
        ("delivered", {}, None),
        ("open", {}, None),
        ("click", {}, None),
    ],
)
def test_m5_every_row_of_the_event_table(world: World, name: str, more: dict[str, Any], reason: str | None) -> None:
    for _ in range(5):
        world.events(world.event(name, **more))

    assert world.decide()["reason"] == reason


def test_m5_a_dead_address_is_no_opt_out_and_stops_receipts_too(world: World) -> None:
    world.events(world.event("bounce", type="bounce"))

    assert world.get(f"/v1/suppressions?channel=email&to={ADA}").json["data"] == []
    assert world.decide(topic="activity")["reason"] == "hard_bounce"


def test_m4_a_resubscribe_on_the_providers_page_never_ends_what_came_otherwise(world: World) -> None:
    world.client.post(world.link())
    world.clock.forward(hours=1)
    world.events(world.event("group_resubscribe", asm_group_id=7))

    assert world.decide()["reason"] == "unsubscribed"


def test_m4_an_unsubscribe_that_arrives_after_an_older_resubscribe_still_counts(world: World) -> None:
    early = world.event("group_unsubscribe", asm_group_id=7)
    world.clock.forward(hours=1)
    later = world.event("group_resubscribe", asm_group_id=7)
    world.events(later)
    world.events(early)

    assert world.decide()["reason"] == "unsubscribed"


def test_v30_an_opt_out_that_is_20_hours_old_is_taken(world: World) -> None:
    event = world.event("unsubscribe")
    world.clock.forward(hours=20)

    world.events(event)

    assert world.decide()["reason"] == "unsubscribed"


def test_times_come_in_seconds_milliseconds_and_text(world: World) -> None:
    seconds = int(world.clock.at.timestamp())
    for number, stamp in enumerate((seconds, seconds * 1000, str(seconds), str(seconds * 1000))):
        world.events({**world.event("unsubscribe", f"p{number}@example.com"), "timestamp": stamp})

    assert {entry.occurred_at for entry in world.entries()} == {world.clock.at}


def test_i03_fifty_copies_at_once_are_one_entry(world: World) -> None:
    event = world.event("unsubscribe")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: make_client(world).events(event), range(50)))

    assert {answer.status_code for answer in answers} == {204}
    assert len(world.entries()) == 1


def test_the_event_table_names_only_kinds_the_reader_makes() -> None:
    assert {kind.partition(":")[0] for kind in CONSEQUENCES} == {
        "unsubscribe",
        "group_unsubscribe",
        "group_resubscribe",
        "spamreport",
        "bounce",
        "dropped",
    }


def test_a_group_that_the_catalogue_maps_stops_its_topic_only(world: World) -> None:
    world.services.kit.catalogues.apply(
        '[[sender]]\nslug = "news"\nchannel = "email"\nmessage_class = "marketing"\naddress = "N <n@n.example>"\n'
        'groups = {"7" = "surveys"}'
    )

    world.events(world.event("group_unsubscribe", asm_group_id=7))
    assert world.decide(topic="surveys")["reason"] == "unsubscribed"
    assert world.decide()["allowed"] is True

    world.clock.forward(hours=1)
    world.events(world.event("group_resubscribe", asm_group_id=7))
    assert world.decide(topic="surveys")["allowed"] is True
