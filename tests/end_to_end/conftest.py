"""What the tests of all services together share, in addition to the installation of tests/conftest.py."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

TEXTS = Path(__file__).parent.parent / "speech"


@pytest.fixture(scope="session")
def ground_truth() -> Callable[[str], dict[str, Any]]:
    """The text of a file of tests/speech and the times of its sentences."""

    def read(speech: str) -> dict[str, Any]:
        truth: dict[str, Any] = json.loads((TEXTS / speech).with_suffix(".json").read_text())
        return truth

    return read


def normal(text: str) -> str:
    """Text as it is compared: without case and punctuation."""
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        yield client
