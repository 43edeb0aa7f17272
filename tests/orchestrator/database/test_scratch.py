"""A PostgreSQL for a few minutes."""

import tempfile
from pathlib import Path

import psycopg
import pytest

from orchestrator.database import scratch
from orchestrator.errors import DatabaseUnavailable


def test_why_it_does_not_start_is_said_and_not_what_it_says_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "SETTINGS", (*scratch.SETTINGS, "shared_preload_libraries=missing"))
    with pytest.raises(DatabaseUnavailable) as refused, scratch.running():
        pass
    assert 'FATAL: could not access file "missing"' in refused.value.message
    assert "is shut down" not in refused.value.message


def test_the_temporary_folder_may_have_a_space_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="reelscribe tests, 100%") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with scratch.running() as url, psycopg.connect(url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
