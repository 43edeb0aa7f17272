"""The ``extractor-api`` command: its arguments; :mod:`extractor_api.command` has what it does."""

from collections.abc import Callable

from reelscribe.stop_signals import leave_on_signals


def main() -> None:
    """Run the command line."""
    leave_on_signals()
    from reelscribe.program import run_program

    run_program("extractor", _load)


def _load() -> Callable[[], object]:
    from extractor_api.arguments import cli

    return cli


if __name__ == "__main__":
    main()
