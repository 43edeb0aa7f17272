"""The version of the installed package; it is written down in pyproject.toml and nowhere else."""


def version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of_package

    try:
        return of_package("reelscribe")
    except PackageNotFoundError:
        return "unknown (reelscribe is not installed)"
