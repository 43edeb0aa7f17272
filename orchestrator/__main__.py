"""The ``orchestrator`` command."""

from orchestrator.cli.main import cli


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
