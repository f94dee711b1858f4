"""DuckDB as we open it."""

from pathlib import Path

from prefs.services.engine import Engine, opened


def held(engine: Engine) -> int:
    return int(engine.value("SELECT sum(memory_usage_bytes) FROM duckdb_memory()"))


def test_an_engine_that_rests_holds_little_memory_and_loses_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "work.duckdb", memory="512MB") as engine:
        engine.run("CREATE TABLE audience AS SELECT random() AS number FROM range(12_000_000)")
        engine.rows("SELECT max(number) FROM audience")
        limit = engine.value("SELECT current_setting('memory_limit')")
        assert held(engine) > 80_000_000

        with engine.resting():
            assert held(engine) <= 64_000_000

        assert engine.value("SELECT current_setting('memory_limit')") == limit
        assert engine.value("SELECT count(*) FROM audience") == 12_000_000
