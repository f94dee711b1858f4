"""Both databases, a clock that stands still, and the whole service around them."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.routing import Rule

from prefs.services.catalogue import Catalogues
from prefs.storage import migrate
from prefs.storage.base import Store
from tests.double.provider import ProviderDouble
from tests.make import Clock, World, make_world
from tests.postgres import MISSING, PostgresServer


def _compiled_when_used(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    made: list[Callable[..., Any]] = []

    def build(bound: Rule, **values: Any) -> Any:
        if not made:
            made.append(_compile_builder(rule, append_unknown))
        return made[0](bound, **values)

    return build


# Every test makes an app of its own, and most of that time went into code for URLs that it never
# builds: 150 rules of a millisecond each.
_compile_builder = Rule._compile_builder
Rule._compile_builder = _compiled_when_used  # type: ignore[method-assign,assignment]


def _migrated_with_catalogue(url: str) -> None:
    """Make a database that tests copy: the schema, and the catalogue every installation starts with."""
    migrate.upgrade(url)
    store = Store(url)
    Catalogues(store).ensure_default()
    store.dispose()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        with PostgresServer.launch() as server:
            name = f"template_{secrets.token_hex(4)}"
            _migrated_with_catalogue(server.create_database(name))
            server.template = name
            yield server
    except FileNotFoundError:
        if os.environ.get("CI") or os.environ.get("PREFS_REQUIRE") == "postgres":
            raise
        pytest.skip(MISSING)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "prefs.db"
    _migrated_with_catalogue(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.pg)])
def new_database(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """Makes migrated, empty databases of each kind; those of SQLite lie in the folder that is given."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        yield lambda folder: f"sqlite:///{shutil.copy(template, folder / 'prefs.db')}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    names: list[str] = []

    def make(_folder: Path) -> str:
        names.append(f"test_{secrets.token_hex(6)}")
        return server.create_database(names[-1], server.template)

    yield make
    for name in names:
        server.drop_database(name)


@pytest.fixture
def database_url(new_database: Callable[[Path], str], tmp_path: Path) -> str:
    """A migrated, empty database of each kind."""
    return new_database(tmp_path)


@pytest.fixture
def double() -> Iterator[ProviderDouble]:
    """Twilio and SendGrid on a loopback port."""
    with ProviderDouble() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build_world(database_url: str, clock: Clock, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes the whole service on a database, with other settings if a test names them."""
    made: list[World] = []

    def build(**settings: str) -> World:
        made.append(make_world(database_url, clock, tmp_path, **settings))
        return made[-1]

    yield build
    for one in made:
        one.services.kit.store.dispose()


@pytest.fixture
def world(build_world: Callable[..., World]) -> World:
    """The whole service on a database, with its web app and a clock that only tests move."""
    return build_world()
