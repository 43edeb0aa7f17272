"""The ``extractor-api`` command: its arguments; :mod:`extractor_api.command` has what it does."""

from collections.abc import Callable

from reelscribe.program import run_program


def main() -> None:
    """Run the command line."""
    run_program("extractor", _load)


def _load() -> Callable[[], object]:
    from extractor_api.arguments import cli

    return cli


if __name__ == "__main__":
    main()
