"""``dataset make clips``: parts of videos, with their sound as a file."""

import io
import json
import wave

import pytest
from pyarrow import parquet

from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.dataset.conftest import members


@pytest.fixture(scope="module")
def video(tmp_path_factory, run_ffmpeg):
    """Five seconds of pictures, ten per second, and of a tone."""
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=size=160x90:rate=10:duration=5"),
        *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=16000:duration=5"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", path),
    )
    return path.read_bytes()


@pytest.fixture
def make(commands, building, tmp_path, archive, video):
    (archive.data_path / BUCKET / "a.mp4").write_bytes(video)

    async def make(*arguments: str):
        async with building():
            outcome = await commands.run("dataset", "make", "clips", *arguments, "--output", str(tmp_path / "data"))
        assert outcome.code == 0, outcome.err
        return outcome, dict(members(tmp_path / "data"))

    return make


def records(found: dict[str, bytes]) -> list[dict]:
    return [json.loads(content) for name, content in found.items() if name.endswith(".json")]


async def test_a_recording_is_cut_into_clips_and_a_short_rest_is_none(make):
    _, found = await make("a.mp4", "--seconds", "2", "--size", "80")
    assert [(one["start"], one["duration"], one["width"]) for one in records(found)] == [
        (0.0, pytest.approx(2.0, abs=0.11), 80), (2.0, pytest.approx(2.0, abs=0.11), 80),
    ]  # fmt: skip
    for record in records(found):
        assert found[record["key"] + ".mp4"][4:8] == b"ftyp"
        with wave.open(io.BytesIO(found[record["key"] + ".wav"])) as sound:
            assert sound.getnframes() == record["audio_samples"]
        assert -25 < record["loudness"] < -15


@pytest.mark.parametrize("audio", ["none", "wav"])
async def test_copies_end_with_the_recording_and_a_short_rest_is_none(make, audio):
    _, found = await make("a.mp4", "--seconds", "2", "--mode", "copy", "--audio", audio)
    assert [(one["key"][-6:], one["start"], one["duration"]) for one in records(found)] == [
        ("000000", 0.0, pytest.approx(2.0, abs=0.11)), ("002000", 0.0, pytest.approx(4.0, abs=0.11)),
    ], "its only key frame is its first picture"  # fmt: skip


@pytest.mark.parametrize("mode", ["exact", "copy"])
async def test_a_row_after_the_end_is_no_clip_of_what_came_before(make, tmp_path, mode):
    (tmp_path / "list.csv").write_text("id,start,end\na,4,6\na,5,7\na,60,62\n")
    _, found = await make("--manifest", str(tmp_path / "list.csv"), "--mode", mode)
    [record] = records(found)
    assert record["start"] + record["duration"] == pytest.approx(5.0, abs=0.11)
    failed = parquet.read_table(tmp_path / "data" / "failed.parquet").to_pylist()
    assert [row["error_code"] for row in failed] == ["past_the_end", "past_the_end"]


async def test_clips_that_a_list_names_are_named_as_vggsound_does(make, tmp_path):
    (tmp_path / "list.csv").write_text('a,3,"dogs, barking",train\na,60,horn,test\n')
    outcome, found = await make("--manifest", str(tmp_path / "list.csv"), "--audio", "none")
    assert "1 without a sample (1 past_the_end)" in outcome.out
    assert [name for name in found] == ["a_000003.mp4", "a_000003.json"]
    [record] = records(found)
    assert (record["label"], record["split"], record["start"]) == ("dogs, barking", "train", 3.0)
    assert record["duration"] == pytest.approx(2.0, abs=0.11), "what there is of it, and its length"


async def test_a_damaged_clip_is_a_row_and_the_others_stay(make, tmp_path, archive, run_ffmpeg):
    path = archive.data_path / BUCKET / "odd.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=size=160x90:rate=10:duration=5"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-bf", "0", "-movflags", "faststart", path),
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)
    path.write_bytes(content[: len(content) * 9 // 10])
    outcome, found = await make("odd.mp4", "--seconds", "1", "--audio", "none")
    assert [one["start"] for one in records(found)] == [0.0, 1.0, 3.0], "the third is damaged, the last one cut"
    failed = parquet.read_table(tmp_path / "data" / "failed.parquet").to_pylist()
    assert [(row["start"], row["error_code"]) for row in failed] == [
        (2.0, "incomplete_recording"), (4.0, "incomplete_recording"),
    ]  # fmt: skip
    assert "2 without a sample (2 incomplete_recording)" in outcome.out
