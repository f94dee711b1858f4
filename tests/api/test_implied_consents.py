"""Soft opt-in and implied consent: with evidence, where they count, until they end (rules.md G-6, K-1, K-2)."""

from typing import Any

import pytest

from tests.make import ADA, World

SOFT = {"sale_reference": "O-17", "product_family": "scans", "refusal_offered_at": "2026-01-05"}


def give(world: World, kind: str, evidence: dict[str, Any] | None, **more: Any) -> Any:
    return world.consent("email", ADA, "events", kind=kind, evidence=evidence, **more)


def test_k1_a_purchase_lasts_two_years_and_an_inquiry_six_months(world: World) -> None:
    world.know(country="CA")
    answer = give(world, "implied", {"basis": "inquiry", "basis_date": "2026-11-01"})
    assert answer.json["expires_at"] == "2027-05-01T00:00:00Z"
    assert world.decide(topic="events")["allowed"] is True

    world.clock.forward(days=160)
    assert world.decide(topic="events")["reason"] == "consent_expired"
    give(world, "implied", {"basis": "purchase", "basis_date": "2027-01-31"})

    assert world.decide(topic="events")["allowed"] is True
    world.clock.forward(days=640)
    assert world.decide(topic="events")["reason"] == "consent_expired"


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        {},
        {"basis": "purchase"},
        {"basis": "a feeling", "basis_date": "2026-01-01"},
        {"basis": "purchase", "basis_date": "soon"},
    ],
)
def test_k1_without_a_basis_and_its_date_there_is_no_implied_consent(world: World, evidence: Any) -> None:
    answer = give(world, "implied", evidence)

    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "evidence")


def test_k2_an_opt_out_ends_it_and_a_later_purchase_does_not_revive_it(world: World) -> None:
    world.know(country="CA")
    give(world, "implied", {"basis": "purchase", "basis_date": "2026-11-01"})
    world.client.post(world.link(topic="events"))
    world.clock.forward(days=3)

    answer = give(
        world, "implied", {"basis": "purchase", "basis_date": "2026-11-26"}, occurred_at="2026-11-26T00:00:00Z"
    )

    assert answer.json["code"] == "later_opt_out"
    assert world.decide(topic="events")["allowed"] is False


@pytest.mark.parametrize("missing", list(SOFT))
def test_g6_a_soft_opt_in_needs_all_three_proofs(world: World, missing: str) -> None:
    evidence = {name: value for name, value in SOFT.items() if name != missing}

    assert give(world, "soft_opt_in", evidence).status_code == 422


@pytest.mark.parametrize(("country", "allowed"), [("DE", True), ("GB", True), ("CA", False)])
def test_d12_a_soft_opt_in_counts_in_europe_alone(world: World, country: str, allowed: bool) -> None:
    world.know(country=country)
    give(world, "soft_opt_in", SOFT)

    assert world.decide(topic="events")["allowed"] is allowed
