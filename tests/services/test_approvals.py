"""A second person's yes (reliability.md item 24)."""

import pytest

from prefs.domain.roles import Role
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services.approvals import GOOD_FOR, NeedsSecondPerson
from prefs.storage.staff import StaffUser
from tests.make import World
from tests.staff import staff


@pytest.fixture
def asker(world: World) -> StaffUser:
    return world.services.team.create("asker@staff.example", Role.PRIVACY, by="tests")


@pytest.fixture
def other(world: World) -> StaffUser:
    return world.services.team.create("other@staff.example", Role.PRIVACY, by="tests")


def use(world: World) -> dict[str, object]:
    with world.services.kit.store.write() as connection:
        return world.services.approvals.use(connection, "erasure", "PR-0001").what


def test_a_yes_is_to_exactly_what_was_asked_and_is_used_once(world: World, asker: StaffUser, other: StaffUser) -> None:
    number = world.services.approvals.ask(asker, "erasure", "PR-0001", {"subject": 7})
    with pytest.raises(NeedsSecondPerson):
        use(world)

    world.services.approvals.decide(other, number, yes=True)

    assert use(world) == {"subject": 7}
    with pytest.raises(NeedsSecondPerson):
        use(world)


def test_nobody_approves_what_they_asked_for(world: World, asker: StaffUser) -> None:
    number = world.services.approvals.ask(asker, "erasure", "PR-0001", {})

    with pytest.raises(Conflict, match="Somebody else"):
        world.services.approvals.decide(asker, number, yes=True)
    with pytest.raises(NeedsSecondPerson):
        use(world)


def test_a_no_or_a_question_taken_back_opens_nothing(world: World, asker: StaffUser, other: StaffUser) -> None:
    approvals = world.services.approvals
    approvals.decide(other, approvals.ask(asker, "erasure", "PR-0001", {}), yes=False)
    with pytest.raises(NeedsSecondPerson):
        use(world)

    number = approvals.ask(asker, "erasure", "PR-0001", {})
    with pytest.raises(Conflict):
        approvals.withdraw(other, number)
    approvals.withdraw(asker, number)

    with pytest.raises(Conflict):
        approvals.decide(other, number, yes=True)
    with pytest.raises(NeedsSecondPerson):
        use(world)


def test_asking_again_takes_back_the_earlier_yes(world: World, asker: StaffUser, other: StaffUser) -> None:
    approvals = world.services.approvals
    approvals.decide(other, approvals.ask(asker, "erasure", "PR-0001", {"rows": 3}), yes=True)

    approvals.ask(asker, "erasure", "PR-0001", {"rows": 3_000})

    with pytest.raises(NeedsSecondPerson):
        use(world)


def test_question_and_yes_are_good_for_seven_days(world: World, asker: StaffUser, other: StaffUser) -> None:
    approvals = world.services.approvals
    number = approvals.ask(asker, "erasure", "PR-0001", {})
    world.clock.forward(seconds=GOOD_FOR.total_seconds())
    assert approvals.waiting(other) == []
    with pytest.raises(Conflict):
        approvals.decide(other, number, yes=True)

    approvals.decide(other, approvals.ask(asker, "erasure", "PR-0001", {}), yes=True)
    world.clock.forward(seconds=GOOD_FOR.total_seconds())
    with pytest.raises(NeedsSecondPerson):
        use(world)


def test_only_roles_with_the_right_ask_decide_and_see(world: World, asker: StaffUser) -> None:
    marketing = world.services.team.create("m@staff.example", Role.MARKETING, by="tests")
    number = world.services.approvals.ask(asker, "erasure", "PR-0001", {})

    with pytest.raises(InvalidInput):
        world.services.approvals.ask(marketing, "erasure", "PR-0002", {})
    with pytest.raises(InvalidInput):
        world.services.approvals.decide(marketing, number, yes=True)
    with pytest.raises(InvalidInput):
        world.services.approvals.ask(asker, "dancing", "PR-0002", {})
    with pytest.raises(NotFound):
        world.services.approvals.decide(asker, 999, yes=True)
    assert world.services.approvals.waiting(marketing) == []


def test_the_page_asks_the_right_person_and_says_what_happened(world: World, asker: StaffUser) -> None:
    person = staff(world, Role.PRIVACY)
    world.services.approvals.ask(asker, "erasure", "PR-0001", {})
    own = world.services.approvals.ask(person.user, "erasure", "PR-0002", {})

    page = person.page("/admin/approvals")
    assert "Delete a person’s data" in page
    assert "You asked. Somebody else has to answer." in page
    assert person.post(f"/admin/approvals/{own}", answer="yes").status_code == 409
    assert "You approved it" in person.press("/admin/approvals/1", answer="yes")
    assert "You took your question back" in person.press(f"/admin/approvals/{own}", answer="withdraw")
    assert "Nothing waits for a second person." in person.page("/admin/approvals")
