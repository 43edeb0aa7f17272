"""Every test is in one tier, and unit tests start nothing."""

import subprocess
import sys

import pytest

from tests import tiers


@pytest.mark.parametrize("name", [*tiers.UNIT, *tiers.SYSTEM])
def test_what_the_table_names_exists(name: str) -> None:
    assert (tiers.TESTS / name).exists()


def test_the_longest_entry_decides() -> None:
    assert tiers.tier(tiers.TESTS / "bench/test_scores.py") == "unit"
    assert tiers.tier(tiers.TESTS / "bench/test_benches.py") == "system"
    assert tiers.tier(tiers.TESTS / "orchestrator/queue/test_rules.py") == "integration"


def test_each_tier_has_files_and_none_is_in_two() -> None:
    each = [set(tiers.files(name)) for name in tiers.TIERS]
    assert all(each) and sum(map(len, each)) == len(set().union(*each))


def test_a_unit_test_that_starts_a_process_fails() -> None:
    with pytest.raises(AssertionError, match=r"a unit test by tests/tiers\.py, and causes subprocess\.Popen"):
        subprocess.run([sys.executable, "-c", ""])
