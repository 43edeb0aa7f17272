"""``dataset make speech``: utterances with their text, out of finished transcripts."""

import io
import json
import wave

import duckdb
import pytest
from psycopg_pool import AsyncConnectionPool
from pyarrow import parquet

from reelscribe.http.peers.extractor_client import ExtractorClient
from tests.orchestrator.dataset.conftest import RATE, files, members, said


def samples_of(wav: bytes) -> bytes:
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return file.readframes(file.getnframes())


@pytest.fixture
def make(commands, building, tmp_path):
    """Make a dataset with a worker in this process; the outcome of the command, and the folder."""

    async def make(*arguments: str, folder: str = "data"):
        async with building():
            outcome = await commands.run("dataset", "make", *arguments, "--output", str(tmp_path / folder))
        return outcome, tmp_path / folder

    return make


async def test_utterances_are_cut_at_pauses_and_to_the_sample(put_noise, store_speech, make):
    sound = put_noise("talks/one.wav")
    await store_speech("talks/one.wav", said((1.0, 1.5), (1.6, 2.2), (3.0003, 4.7)), said((8, 9)))
    outcome, folder = await make("speech", "--all")
    assert outcome.code == 0, outcome.err
    found = dict(members(folder))
    records = [json.loads(content) for name, content in found.items() if name.endswith(".json")]
    assert [(record["text"], record["start"]) for record in records] == [
        ("w0 w1", 0.9), ("w2", 2.9003125), ("w0", 7.9),
    ]  # fmt: skip
    for record in records:
        first, count = record["audio_start_sample"], record["audio_samples"]
        assert samples_of(found[record["key"] + ".wav"]) == sound[2 * first : 2 * (first + count)]
        assert count == len(sound[2 * first : 2 * (first + count)]) // 2 == record["duration"] * RATE
    assert records[0] == {
        "key": records[0]["key"], "id": "talks/one.wav", "bucket_name": "videos", "savepath": "talks/one.wav",
        "etag": records[0]["etag"], "split": "all", "label": None, "speaker": None, "text": "w0 w1", "language": "en",
        "confidence": 0.9, "start": 0.9, "duration": 1.4, "audio_start_sample": 14400, "audio_samples": 22400,
        "sample_rate": 16000, "channels": 1, "loudness": records[0]["loudness"],
    }  # fmt: skip
    assert -4.9 < records[0]["loudness"] < -4.6


async def test_the_index_the_manifest_and_the_failures_say_what_is_there(put_noise, store_speech, make, submit):
    put_noise("a.wav")
    await store_speech("a.wav", said((1, 2)), said((4, 5)))
    await store_speech("gone.wav", said((1, 2)))
    await submit("queued.wav")
    outcome, folder = await make("speech", "a.wav", "gone.wav", "queued.wav", "--json")
    assert outcome.code == 0, outcome.err
    manifest = json.loads((folder / "manifest.json").read_text())
    assert json.loads(outcome.out) == {"folder": str(folder), **manifest}
    assert manifest["splits"] == {"all": {"shards": 1, "samples": 2, "seconds": 2.4, "bytes": manifest["bytes"]}}
    assert manifest["reasons"] == {"object_not_found": 1, "transcript_not_found": 1}
    rows = parquet.read_table(folder / "index" / "all-00000-of-00001.parquet").to_pylist()
    assert [(row["shard"], row["status"], row["text"]) for row in rows] == [("all-000000", "success", "w0")] * 2
    failed = duckdb.sql(f"select id, error_code, error_message from '{folder}/failed.parquet' order by id").fetchall()
    assert [(id, code) for id, code, _ in failed] == [
        ("gone.wav", "object_not_found"), ("queued.wav", "transcript_not_found"),
    ]  # fmt: skip
    assert "it is queued" in failed[1][2]
    assert sorted(files(folder)) == [
        "failed.parquet", "index/all-00000-of-00001.parquet", "manifest.json", "shards/all-000000.tar",
        "shards/all-000000_stats.json",
    ]  # fmt: skip


async def test_a_part_late_in_a_recording_is_decoded_from_shortly_before_it(put_noise, store_speech, make, monkeypatch):
    sound, asked = put_noise("long.wav", seconds=60.0), []
    await store_speech("long.wav", said((1, 2)), said((40.5, 41)), said((55.3, 56)), seconds=60.0)
    extract = ExtractorClient.extract

    def watched(self, request):
        asked.append((request.start, request.start + request.duration))
        return extract(self, request)

    monkeypatch.setattr(ExtractorClient, "extract", watched)
    outcome, folder = await make("speech", "long.wav", "--shard-mb", "0.01")
    assert outcome.code == 0, outcome.err
    assert sorted(asked) == [(0.0, pytest.approx(3.1)), (38.0, pytest.approx(42.1)), (53.0, pytest.approx(57.1))]
    found = dict(members(folder))
    records = [json.loads(content) for name, content in found.items() if name.endswith(".json")]
    assert [record["start"] for record in records] == [0.9, 40.4, 55.2]
    for record in records:
        first, count = record["audio_start_sample"], record["audio_samples"]
        assert samples_of(found[record["key"] + ".wav"]) == sound[2 * first : 2 * (first + count)]


async def test_utterances_that_a_row_cuts_are_counted_and_a_row_without_any_has_a_true_reason(
    put_noise, store_speech, make, tmp_path
):
    put_noise("a.wav")
    await store_speech("a.wav", said((1, 2)), said((4, 6)), said((10, 11)))
    (tmp_path / "list.csv").write_text("savepath,start,end\na.wav,0.9,2.1\na.wav,5,9\na.wav,7,9\n")
    outcome, folder = await make("speech", "--manifest", str(tmp_path / "list.csv"))
    assert outcome.code == 0, outcome.err
    assert "3 recordings, 1 utterance of 0.0 min in 1 shard; left out: 1 across_an_edge" in outcome.err
    failed = parquet.read_table(folder / "failed.parquet").to_pylist()
    assert [(row["start"], row["error_message"]) for row in failed] == [
        (5.0, "no utterance is wanted: 1 across_an_edge"), (7.0, "nothing is said in this part of the recording"),
    ]  # fmt: skip


async def test_savepaths_without_a_transcript_are_asked_for_together(submit, commands, pool, tmp_path, monkeypatch):
    names = [f"{number}.wav" for number in range(40)]
    for name in names[::2]:
        await submit(name)
    connection, opened = AsyncConnectionPool.connection, []
    monkeypatch.setattr(AsyncConnectionPool, "connection", lambda self: opened.append(self) or connection(self))
    outcome = await commands.run(
        "dataset", "make", "speech", *names, "--output", str(tmp_path / "data"), "--dry-run", "--json"
    )
    assert json.loads(outcome.out)["reasons"] == {"transcript_not_found": 40}
    assert len(opened) < 15
