"""How items are put into shards: none is much larger than it was asked to be, and none holds very many items."""

from itertools import pairwise
from typing import Any

import pytest

from orchestrator.exports.dataset.plan import FramesSettings, Item, PairsSettings, PlanSettings, SpeechSettings
from orchestrator.exports.dataset.planner import MOST_ITEMS, Planner


def plan(kind: Any, settings, shard_mb: float = 256) -> PlanSettings:
    return PlanSettings(
        kind=kind, selection={}, settings=settings.model_dump(mode="json"), default_bucket="videos", shard_mb=shard_mb
    )


def item(**values) -> Item:
    return Item(id="a.mp4", key="a", bucket="videos", savepath="a.mp4", **values)


def shards(planner: Planner, *items: Item) -> list[list[Item]]:
    return [part for one in items for _, part in planner.add("all", one)] + [part for _, part in planner.rest()]


def test_rows_that_give_no_sample_do_not_all_come_into_one_shard():
    wrong = item(code="bad_row", mistake="line 1: it names no recording")
    made = shards(Planner(plan("speech", SpeechSettings())), *[wrong] * (2 * MOST_ITEMS + 1))
    assert [len(part) for part in made] == [MOST_ITEMS, MOST_ITEMS, 1]


def test_ten_hours_of_pairs_are_in_many_shards_and_each_moment_in_one():
    made = shards(Planner(plan("pairs", PairsSettings())), item(seconds=36_000.0))
    assert 30 < len(made) < 60
    parts = [part for [part] in made]
    assert parts[0].start == 0.0
    for before, after in pairwise(parts):
        assert before.start + before.duration == after.start
        assert after.start == int(after.start), "a moment of two per second"
    assert parts[-1].duration is None, "to the end, wherever that is"


@pytest.mark.parametrize(
    ("fps", "step"),
    [(0.5, 2), (29.97, 100), (3.0, 1)],
)
def test_a_part_begins_at_a_moment_that_the_whole_has_too(fps, step):
    made = shards(Planner(plan("frames", FramesSettings(fps=fps), shard_mb=1)), item(start=0.25, duration=5000.5))
    parts = [part for [part] in made]
    assert len(parts) > 3
    assert all((part.start - 0.25) % step == 0 for part in parts)
    assert sum(part.duration for part in parts) == 5000.5


@pytest.mark.parametrize("values", [{}, {"seconds": 60.0}, {"duration": 60.0}, {"seconds": 9e4, "mistake": "wrong"}])
def test_what_is_short_or_of_unknown_length_stays_as_it_is(values):
    one = item(**values)
    assert shards(Planner(plan("frames", FramesSettings())), one) == [[one]]
