"""Makes lists for import tests, and imports them."""

from pathlib import Path

from prefs.services.imports import ImportRequest
from prefs.storage.imports import Import
from tests.make import World

STAFF, OTHER = "cli:ana", "cli:bea"


def bring(world: World, folder: Path, text: str | bytes, **more: object) -> Import:
    """Import a list to its end."""
    path = folder / f"list-{len(list(folder.glob('list-*')))}.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    request = ImportRequest(path=path, actor=STAFF, **more)  # type: ignore[arg-type]
    return world.services.imports.advance(world.services.imports.begin(request).id)


def counts(found: Import) -> tuple[int, int, int, int]:
    return (found.added, found.already, found.invalid, found.ignored)
