"""Alembic through its Python API, so that ``prefs db upgrade`` needs no file but the package."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from prefs.storage.base import Store

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent.parent / "migrations"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema of a database to a revision; doing it twice changes nothing."""
    from alembic import command  # noqa: PLC0415  half a second to import, and seldom needed

    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str = "base") -> None:
    """Take the schema back to a revision (tests prove that every step goes both ways)."""
    from alembic import command  # noqa: PLC0415  half a second to import, and seldom needed

    command.downgrade(_config(url), revision)


def head() -> str:
    """Return the newest revision this code knows; a revision is named by its file."""
    return max(path.stem for path in (_FOLDER / "versions").glob("0*.py"))


def current(store: Store) -> str | None:
    """Return the revision a database is at, or None for an empty one."""
    with store.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _config(url: str) -> "Config":
    from alembic.config import Config  # noqa: PLC0415  half a second to import, and seldom needed

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["url"] = url
    return config
