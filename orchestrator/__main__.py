"""The ``orchestrator`` command."""

from collections.abc import Callable

from reelscribe.program import run_program


def main() -> None:
    """Run the command line."""
    run_program("orchestrator", _load)


def _load() -> Callable[[], object]:
    from orchestrator.cli.main import cli

    return cli


if __name__ == "__main__":
    main()
