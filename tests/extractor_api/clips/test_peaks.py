"""POST /peaks: the envelope is that of the samples, however it is asked for."""

from itertools import pairwise

import httpx
import numpy as np
import pytest

from extractor_api.envelope import Envelope
from tests.extractor_api.clips import clock


async def peaks(client: httpx.AsyncClient, **fields: object) -> dict[str, object]:
    response = await client.post("/peaks", json={"savepath": "clock.mkv", **fields})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_each_point_is_the_lowest_and_the_highest_sample_of_its_stretch(clips: httpx.AsyncClient) -> None:
    answer = await peaks(clips, per_second=50)
    stretches = clock.noise().reshape(-1, 960)
    assert (answer["min"], answer["max"]) == (stretches.min(axis=1).tolist(), stretches.max(axis=1).tolist())
    assert (answer["sample_rate"], answer["channels"], answer["per_second"], answer["seconds"]) == (
        48_000,
        1,
        50.0,
        8.0,
    )
    assert answer["state"] == "complete"
    kept = (await clips.get(f"/extractions/{answer['extraction_id']}")).json()
    assert (kept["kind"], kept["samples"], kept["seconds"]) == ("peaks", 384_000, 8.0)


async def test_a_part_begins_at_its_sample(clips: httpx.AsyncClient) -> None:
    answer = await peaks(clips, start=2.5, duration=1.0, points=10)
    stretches = clock.noise()[120_000:168_000].reshape(10, 4800)
    low, high = np.array(answer["min"]), np.array(answer["max"])
    assert len(low) == 10 and (low <= stretches.min(axis=1)).all() and (high >= stretches.max(axis=1)).all()
    assert low.min() == stretches.min() and high.max() == stretches.max()


@pytest.mark.parametrize("chunk", [1, 7, 4096])
@pytest.mark.parametrize(("points", "per_second"), [(100, None), (None, 30)])
def test_the_envelope_does_not_depend_on_how_the_sound_arrives(
    chunk: int, points: int | None, per_second: int | None
) -> None:
    samples = np.random.default_rng(2).integers(-30_000, 30_000, (3_000, 2)).astype("<i2")
    content, envelope = samples.tobytes(), Envelope(2, 1000, points, per_second)
    for first in range(0, len(content), chunk):
        envelope.add(content[first : first + chunk])
    low, high = envelope.result()
    edges = (
        [3_000 * number // 100 for number in range(101)]
        if points
        else [-(-number * 1000 // 30) for number in range(91)]
    )
    for number, (begin, end) in enumerate(pairwise(edges)):
        assert low[number] == samples[begin:end].min() and high[number] == samples[begin:end].max()
    assert len(low) == len(edges) - 1


def test_memory_is_bounded_whatever_the_length() -> None:
    envelope = Envelope(1, 48_000, 100, None)
    for _ in range(200):
        envelope.add(bytes(96_000))
    assert sum(low.nbytes + high.nbytes for low, high in envelope._pieces) <= 2 * 2 * 2 * 16 * 100
    assert envelope.result() == ([0] * 100, [0] * 100)


async def test_too_many_points_are_refused(clips: httpx.AsyncClient) -> None:
    response = await clips.post("/peaks", json={"savepath": "clock.mkv", "points": 10, "per_second": 10})
    assert response.json()["error"]["code"] == "bad_request"


async def test_a_cut_recording_is_refused(clips: httpx.AsyncClient) -> None:
    response = await clips.post("/peaks", json={"savepath": "half.mp4"})
    assert response.json()["error"]["code"] == "incomplete_recording"
    allowed = await peaks(clips, savepath="half.mp4", allow_incomplete=True)
    assert allowed["state"] == "incomplete" and 3 < float(str(allowed["seconds"])) < 5
