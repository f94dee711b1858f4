"""Imports point one way (see ``prefs/__init__.py``)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "domain": {"domain", "errors"},
    "storage": {"storage", "domain", "errors"},
    "providers": {"providers", "domain", "errors", "storage", "crypto"},
    "services": {"services", "storage", "providers", "domain", "errors", "crypto", "links", "words"},
}
MODULES = [path for layer in MAY_IMPORT for path in sorted((ROOT / "prefs" / layer).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" if node.module == "prefs" else node.module for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_inner_layers_do_not_import_outward(path: Path) -> None:
    layers = {name.split(".")[1] for name in imported(path) if name.startswith("prefs.")}
    allowed = MAY_IMPORT[path.relative_to(ROOT / "prefs").parts[0]]

    assert layers <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_edges_import_flask_and_only_storage_the_database(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(path)}
    layer = path.relative_to(ROOT / "prefs").parts[0]

    assert "flask" not in tops
    assert layer != "domain" or "sqlalchemy" not in tops


def test_help_loads_no_sdk() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from prefs.cli import main;"
        "CliRunner().invoke(main, ['--help']);"
        "print([n for n in ('twilio', 'sendgrid', 'alembic', 'sqlalchemy', 'flask', 'duckdb') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_the_client_loads_nothing_of_the_server() -> None:
    """It runs in programs where only httpcore and anyio are installed."""
    code = (
        "import sys; before = set(sys.modules); import prefs.client;"
        "print(*sorted({n for n in sys.modules if n.startswith('prefs.') and not n.startswith('prefs.client')}"
        " | {n.partition('.')[0] for n in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)

    assert set(done.stdout.split()) <= {
        "prefs",
        "httpcore",
        "h11",
        "anyio",
        "certifi",
        "idna",
        "sniffio",
        "typing_extensions",
    }
