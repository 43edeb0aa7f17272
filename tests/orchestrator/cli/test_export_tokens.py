"""The command export with --tokens: the sound of segments as tokens next to their text, by a real extractor."""

import asyncio
import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas
import pytest
from pyarrow.parquet import read_schema

from bench.recordings import samples
from orchestrator.errors import NotWritten
from orchestrator.exports import parquet
from orchestrator.exports.tokens.mulaw import MuLaw
from orchestrator.exports.tokens.segments import SegmentTokens
from orchestrator.transcripts.partitions import touched
from reelscribe.contracts.extractor import ObjectsQuery
from reelscribe.errors import PeerUnreachable
from reelscribe.http.peers.extractor_client import ExtractorClient
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.exports.test_tokens import EXAMPLE, install, wav

MODIFIED = datetime(2026, 1, 31, 9, 5, 59, tzinfo=UTC)
SPEECH = Path(__file__).parents[2] / "speech" / "short.flac"
PARTITION = f"folder=talks/last_modified_date=2026-01-31/hour=9/minute=5/{BUCKET}.parquet"


@pytest.fixture
async def transcripts(store_transcript, bucket, extractor, sql):
    """A recording of 7.5 s with segments from 0 to 3 and from 4 to 7 s, and one that is gone from the bucket."""
    shutil.copy(SPEECH, bucket / "talks/a.flac")
    await store_transcript("talks/a.flac", "The green hammer.", "Why was every lemon?", modified=MODIFIED)
    await store_transcript("talks/gone.flac", "Words.", modified=MODIFIED)
    async with ExtractorClient(extractor) as client:
        [found] = (await client.objects(ObjectsQuery(prefix="talks/a.flac", bucket_name=BUCKET))).objects
    await sql("update attempts set etag = %s, track = 0", found.etag)


@pytest.fixture
def export(commands, extractor, transcripts, tmp_path):
    with commands.config.open("a") as config:
        config.write(f"\n[transcriber]\nextractor_url = {extractor}\n")

    async def run(*arguments: str):
        folder = str(tmp_path / "data")
        return await commands.run("export", "--all", "--format", "parquet", "--output", folder, *arguments)

    return run


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_tokens_are_of_the_samples_of_each_segment_and_a_recording_without_sound_keeps_its_text(export, tmp_path):
    folder = tmp_path / "data"
    outcome = await export("--tokens", "mulaw", "--json")
    assert (outcome.code, json.loads(outcome.out)) == (1, {"written": 1, "failed": 1, "output": str(folder)})
    assert outcome.err == (
        f"there is no object talks/gone.flac in bucket {BUCKET}; its segments have no audio tokens\n"
    )
    frame = pandas.read_parquet(folder)
    sound = samples(SPEECH)
    assert list(frame["text"]) == ["The green hammer.", "Why was every lemon?", "Words."]
    for found, (begin, end) in zip(frame["audio_tokens"], [(0, 3), (4, 7)], strict=False):
        assert found.dtype == np.int16
        assert np.array_equal(found, MuLaw().encode(sound[16_000 * begin : 16_000 * end]))
    assert frame["audio_tokens"][2] is None
    described = {"name": "mulaw", "version": "1", "sample_rate": 16_000, "tokens_per_second": 16_000.0}
    for path in folder.rglob("*.parquet"):
        assert json.loads(read_schema(path).metadata[b"reelscribe.tokenizer"]) == {**described, "vocabulary": 256}
    types = duckdb.sql(f"select distinct typeof(audio_tokens), typeof(tokens) from '{folder}/**/*.parquet'").fetchall()
    assert types == [("SMALLINT[]", "INTEGER[]")]
    before = digests(folder)
    await export("--tokens", "mulaw")
    assert digests(folder) == before


async def test_a_changed_recording_has_no_tokens_next_to_its_old_text(export, sql, tmp_path):
    await sql("update attempts set etag = 'of-another-object'")
    outcome = await export("--tokens", "mulaw")
    assert "talks/a.flac has changed since it was transcribed; submit it again" in outcome.err
    assert pandas.read_parquet(tmp_path / "data")["audio_tokens"].isna().all()


async def test_a_tokenizer_of_another_package_takes_its_own_sample_rate(export, tmp_path, monkeypatch):
    install(EXAMPLE, tmp_path / "site")
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    await export("--tokens", "loudness")
    tokens = pandas.read_parquet(tmp_path / "data")["audio_tokens"]
    assert [len(those) for those in tokens[:2]] == [150, 150]
    assert tokens[0][20:130].mean() > 60 > tokens[0][:10].mean()  # the first sentence is from 0.3 to 2.78 s
    wrong = await export("--tokens", "whole")
    assert (wrong.code, wrong.err.split(";")[0]) == (1, f"{tmp_path / 'data'} has audio tokens of loudness, version 3")
    shutil.rmtree(tmp_path / "data")
    wrong = await export("--tokens", "whole")
    said = "talks/a.flac: the tokeniser whole returned float32 of the shape (48000,) instead of int16 in one dimension"
    assert wrong.code == 1 and f"{said}; its segments have no audio tokens\n" in wrong.err


async def test_tokens_of_a_dataset_are_never_mixed_or_lost(export, tmp_path):
    await export()
    assert "audio_tokens" not in pandas.read_parquet(tmp_path / "data").columns
    await export("--tokens", "mulaw")
    before = digests(tmp_path / "data")
    outcome = await export()
    assert (outcome.code, "export with --tokens mulaw" in outcome.err) == (1, True)
    assert digests(tmp_path / "data") == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "parquet", "--tokens", "mimi"), "there is no tokeniser mimi; installed: mulaw"),
        (("--format", "jsonl", "--tokens", "mulaw"), "--tokens is for --format parquet"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_written(commands, tmp_path, arguments, said):
    outcome = await commands.run("export", "--all", "--output", str(tmp_path / "o"), *arguments)
    assert (outcome.code, said in " ".join(outcome.err.replace("│", " ").split())) == (2, True)
    assert not (tmp_path / "o").exists()


@pytest.fixture
async def cut_stream(transcripts, sql):
    """The URL of an extractor whose connections break off after a second of sound."""

    [(etag,)] = await sql("select max(etag) from attempts")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\nContent-Type: audio/wav\r\nX-Extraction-Id: 1\r\n"
        writer.write(f"{head}X-Object-ETag: {etag}\r\n\r\n".encode() + wav(bytes(32_000)))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("outage", ["cut", "away"])
async def test_an_outage_of_the_extractor_leaves_the_old_file(export, pool, cut_stream, tmp_path, outage):
    folder = tmp_path / "data"
    await export("--tokens", "mulaw")
    before = digests(folder)
    url = cut_stream if outage == "cut" else "http://127.0.0.1:9"
    async with pool.connection() as connection, ExtractorClient(url) as extractor:
        [partition] = await touched(connection, BUCKET)
        tokens = SegmentTokens(extractor, MuLaw(), pytest.fail, pauses=(0.0,))  # type: ignore[arg-type]
        with pytest.raises(NotWritten if outage == "cut" else PeerUnreachable):
            await parquet.rewrite(connection, folder, BUCKET, partition, lambda: None, tokens)
    assert digests(folder) == before


async def test_no_transaction_is_open_while_sound_arrives(export, pool, extractor, tmp_path):
    """PostgreSQL ends those that are idle for a minute, and a recording takes longer."""
    states = []

    class Watching(MuLaw):
        def encode(self, sound):
            states.append(connection.info.transaction_status.name)
            return super().encode(sound)

    async with pool.connection() as connection, ExtractorClient(extractor) as client:
        [partition] = await touched(connection, BUCKET)
        tokens = SegmentTokens(client, Watching(), lambda failure: None)
        await parquet.rewrite(connection, tmp_path / "data", BUCKET, partition, lambda: None, tokens)
    assert states == ["IDLE", "IDLE"]
