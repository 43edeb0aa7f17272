"""``dataset make pairs`` and ``frames``: what the extractor makes, in shards of one form."""

import io
import json
import shutil
import wave

import pytest
from pyarrow import parquet

from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.dataset.conftest import RATE, members, said


@pytest.fixture(scope="module")
def video(tmp_path_factory, run_ffmpeg):
    """Three seconds of pictures, ten per second, and of a tone."""
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=size=160x90:rate=10:duration=3"),
        *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=16000:duration=3"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", path),
    )
    return path.read_bytes()


@pytest.fixture
def make(commands, building, tmp_path, archive, video):
    folder = archive.data_path / BUCKET
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(video)
    (folder / "broken.mp4").write_bytes(video[: len(video) // 3])

    async def make(kind: str, *arguments: str):
        async with building():
            outcome = await commands.run("dataset", "make", kind, *arguments, "--output", str(tmp_path / kind))
        assert outcome.code == 0, outcome.err
        return outcome, tmp_path / kind

    return make


async def test_pairs_of_a_bucket(make):
    outcome, folder = await make("pairs", "--all", "--fps", "2", "--size", "80")
    assert "1 without a sample" in outcome.out, "the broken one is a row, and stops nothing"
    found = dict(members(folder))
    records = [json.loads(content) for name, content in found.items() if name.endswith(".json")]
    assert [(one["savepath"], one["asked_seconds"]) for one in records] == [
        (name, seconds) for name in ("a.mp4", "b.mp4") for seconds in (0.5, 1.0, 1.5, 2.0, 2.5)
    ]
    for record in records:
        with wave.open(io.BytesIO(found[record["key"] + ".wav"])) as sound:
            assert sound.getnframes() == record["audio_samples"] == RATE // 2
        assert found[record["key"] + ".jpg"].startswith(b"\xff\xd8")
        assert (record["width"], record["height"], record["transfer"]) == (80, 45, "")
        assert -25 < record["loudness"] < -15
    assert len({tuple(record) for record in records}) == 1, "all have the same fields"
    failed = parquet.read_table(folder / "failed.parquet").to_pylist()
    assert [row["savepath"] for row in failed] == ["broken.mp4"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["samples"], manifest["seconds"]) == (10, 5.0)


async def test_pairs_of_a_long_recording_are_the_same_in_one_shard_and_in_several(make, store_speech):
    await store_speech("a.mp4", said((1, 2)), seconds=3.0)
    _, folder = await make("pairs", "a.mp4", "--fps", "5", "--size", "80")
    whole = dict(members(folder))
    shutil.rmtree(folder)
    _, folder = await make("pairs", "a.mp4", "--fps", "5", "--size", "80", "--shard-mb", "0.09")
    assert len(list((folder / "shards").glob("*.tar"))) == 3
    assert described(dict(members(folder))) == described(whole)


def described(found: dict[str, bytes]) -> dict[str, object]:
    return {name: json.loads(content) if name.endswith(".json") else content for name, content in found.items()}


async def test_frames_of_parts_that_a_list_names(make, tmp_path):
    (tmp_path / "list.csv").write_text('a,1,"dogs, barking",train\ngone,0,horn,test\na,0,horn,test\n')
    outcome, folder = await make("frames", "--manifest", str(tmp_path / "list.csv"), "--fps", "5", "--picture", "png")
    assert "1 without a sample (1 object_not_found)" in outcome.out
    records = [json.loads(content) for name, content in members(folder) if name.endswith(".json")]
    train = [record for record in records if record["split"] == "train"]
    assert {(record["id"], record["label"]) for record in train} == {("a", "dogs, barking")}
    assert [record["key"] for record in train][:2] == ["a_000001_000001000", "a_000001_000001200"]
    assert len(records) == 10 + 15
    assert {name.partition(".")[2] for name, _ in members(folder)} == {"png", "json"}
