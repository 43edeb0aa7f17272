"""The ``transcriber`` command: its arguments; :mod:`transcriber.command` has what it does."""

from collections.abc import Callable

from reelscribe.stop_signals import leave_on_signals


def main() -> None:
    """Run the command line."""
    leave_on_signals()
    from reelscribe.program import run_program

    run_program("transcriber", _load)


def _load() -> Callable[[], object]:
    from transcriber.arguments import cli

    return cli


if __name__ == "__main__":
    main()
