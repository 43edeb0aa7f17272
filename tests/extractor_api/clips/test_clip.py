"""POST /extract-clip: the picture that is shown at start, and the sound of that sample."""

import io
import json
import tarfile
from pathlib import Path

import httpx
import pytest

from tests.extractor_api.clips import clock
from tests.extractor_api.clips.clock import FPS, KINDS, SAMPLE_RATE, place_in_noise, played, sound_of

START, DURATION = 3.35, 1.2


async def clip(client: httpx.AsyncClient, savepath: str, **fields: object) -> httpx.Response:
    body = {"savepath": savepath, "start": START, "duration": DURATION, **fields}
    response = await client.post("/extract-clip", json=body)
    assert response.status_code == 200, response.text
    return response


async def receipt(client: httpx.AsyncClient, response: httpx.Response) -> dict[str, object]:
    answer = await client.get(f"/extractions/{response.headers['X-Extraction-Id']}")
    return dict(answer.json())


def begins_at(content: bytes, source: Path) -> float:
    """When the sound of a clip begins, on the clock of the recording that it is of."""
    return (place_in_noise(sound_of(content)) - place_in_noise(sound_of(source), 3 * SAMPLE_RATE)) / SAMPLE_RATE


@pytest.mark.parametrize("name", KINDS)
async def test_an_exact_clip_begins_with_the_picture_and_the_sample_of_its_start(
    name: str, clips: httpx.AsyncClient, clock_bucket: Path
) -> None:
    response = await clip(clips, name)
    pictures, source = played(response.content), clock_bucket / name
    begins = begins_at(response.content, source)
    first = clock.at(source, begins)
    assert [shown.number for shown in pictures] == list(range(first, first + len(pictures)))
    assert pictures[0].seconds == 0 and len(pictures) in (30, 31)
    if name == "clock.mkv":  # FLAC has no delay, and the frames of the source are placed to the millisecond here
        assert abs(place_in_noise(sound_of(response.content)) - START * SAMPLE_RATE) <= 1.5
    else:
        off = abs(begins - START - clock.origin(source)) * SAMPLE_RATE
        assert off <= (48 if name == "clock.webm" else 1.5)
    kept = await receipt(clips, response)
    assert (kept["kind"], kept["state"], kept["frames"]) == ("clip", "complete", len(pictures))
    assert (kept["begins"], kept["seconds"], kept["samples"]) == (START, DURATION, DURATION * SAMPLE_RATE)
    assert kept["bytes"] == len(response.content)


@pytest.mark.parametrize("name", KINDS)
async def test_a_copy_begins_at_a_key_frame_and_plays_picture_and_sound_together(
    name: str, clips: httpx.AsyncClient, clock_bucket: Path
) -> None:
    response = await clip(clips, name, mode="copy")
    pictures, source = played(response.content), clock_bucket / name
    stored = {shown.number: float(shown.seconds) for shown in played(source)}
    group = 12 if name == "clock.mpg" else 50
    assert pictures[0].number % group == 0 and START - stored[pictures[0].number] + clock.origin(source) < group / FPS
    assert begins_at(response.content, source) == pytest.approx(
        stored[pictures[0].number] - float(pictures[0].seconds), abs=0.001
    )
    begins = float(response.headers["X-Begins-Seconds"])
    assert begins == pytest.approx(stored[pictures[0].number] - clock.origin(source), abs=0.0075)
    assert (await receipt(clips, response))["begins"] == pytest.approx(begins, abs=1e-6)


async def test_its_own_sound_file_is_that_of_extract_audio(clips: httpx.AsyncClient) -> None:
    for mode in ("exact", "copy"):
        response = await clip(clips, "clock.mp4", mode=mode, audio="wav", sample_rate=16_000)
        with tarfile.open(fileobj=io.BytesIO(response.content)) as tar:
            names = tar.getnames()
            files = {name.rpartition(".")[2]: tar.extractfile(name).read() for name in names}
        assert names == ["clock_000003350.mp4", "clock_000003350.wav", "clock_000003350.json"]
        record = json.loads(files["json"])
        part = {"start": record["begins"], "duration": START + DURATION - record["begins"], "sample_rate": 16_000}
        asked = {"savepath": "clock.mp4", "audio_format": "wav", "delivery": "file", "channels": "all", **part}
        assert files["wav"] == (await clips.post("/extract-audio", json=asked)).content
        assert record["audio_start_sample"] == round(record["begins"] * 16_000)
        assert record["audio_samples"] == round(part["duration"] * 16_000)
        assert len(played(files["mp4"])) == record["frames"]
        assert (await receipt(clips, response))["bytes"] == len(response.content)
