"""The command export: which transcripts, what their files are called, and documents for people."""

import shutil
import subprocess
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas
import pytest
from docx import Document

from orchestrator.access.database import DatabaseAccess
from orchestrator.cli.export import FileWriter
from orchestrator.errors import NotWritten
from orchestrator.session import open_session
from orchestrator.transcripts.filters import TranscriptFilters
from orchestrator.transcripts.formats import render
from orchestrator.transcripts.partitions import touched
from orchestrator.transcripts.queries import count_finished, finished_savepaths, transcript_of
from reelscribe.settings.loading import Settings
from reelscribe.settings.orchestrator import DatabaseSection
from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format
from tests.orchestrator.conftest import BUCKET

ROOT = Path(__file__).parent.parent.parent.parent
MODIFIED = datetime(2026, 1, 31, 9, 5, 59, tzinfo=UTC)


@pytest.fixture
async def transcripts(store_transcript):
    await store_transcript("youtube/a.mp4", "Hello Peter.", "Good\tbye.", modified=MODIFIED)
    await store_transcript("youtube/deep/b.mp4", "Words.", modified=MODIFIED.replace(second=0))
    await store_transcript("talks/c.mp4", "Worte.", language="de", modified=MODIFIED.replace(hour=23))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_subtitles_have_the_names_that_players_look_for_and_those_of_another_recording_are_not_overwritten(
    orchestrator, transcripts, store_transcript, tmp_path
):
    for savepath in ("talks/two.mp4", "talks/two.wav"):
        await store_transcript(savepath, f"Of {savepath}.")
    folder = tmp_path / "o"
    outcome = await orchestrator.run("export", "--all", "--format", "srt", "--output", str(folder))
    assert outcome.code == 0
    assert files(folder) == [
        "talks/c.de.srt", "talks/two.mp4.en.srt", "talks/two.wav.en.srt", "youtube/a.en.srt", "youtube/deep/b.en.srt",
    ]  # fmt: skip
    assert "Of talks/two.wav." in (folder / "talks/two.wav.en.srt").read_text()


@pytest.mark.skipif(not shutil.which("mpv"), reason="needs mpv, which no package of Python brings")
async def test_mpv_finds_exported_subtitles(orchestrator, transcripts, tmp_path):
    folder = tmp_path / "o"
    assert (await orchestrator.run("export", "talks/c.mp4", "--format", "srt", "--output", str(folder))).code == 0
    shutil.copy(ROOT / "demo" / "demo.mp4", folder / "talks/c.mp4")
    player = [str(shutil.which("mpv")), "--no-config", "--vo=null", "--ao=null", "--frames=1", "--sub-auto=exact"]
    shown = subprocess.run([*player, folder / "talks/c.mp4"], capture_output=True, text=True, timeout=60)
    assert "--slang=de 'c.de.srt' (subrip) (external)" in shown.stdout


async def test_two_recordings_never_share_a_file_whatever_the_name(database_url, store_transcript, tmp_path):
    writer = FileWriter(Format.TXT, FileNames("{stem}{language}.txt"), False, str(tmp_path))
    async with open_session(Settings(database=DatabaseSection(url=database_url))) as session:
        access = DatabaseAccess(session, "ann")
        for savepath, language in (("talk.mp4", "yue"), ("talky.mp4", "ue")):
            await store_transcript(savepath, savepath, language=language)
            transcript = (await access.about(BUCKET, savepath, as_heard=False)).transcript
            if savepath == "talky.mp4":
                with pytest.raises(NotWritten, match=r"talkyue.txt is the file of another recording"):
                    await writer.write(access, transcript)
            else:
                await writer.write(access, transcript)
    assert (tmp_path / "talkyue.txt").read_text() == "talk.mp4\n"


async def test_filters_choose_what_is_exported(orchestrator, transcripts, pool, sql, tmp_path):
    await sql("update segments set avg_logprob = ln(0.4) where text = 'Words.'")

    async def found(**filters: Any) -> list[str]:
        async with pool.connection() as connection:
            chosen = TranscriptFilters(**filters)
            savepaths = await finished_savepaths(connection, BUCKET, filters=chosen)
            assert await count_finished(connection, BUCKET, filters=chosen) == len(savepaths)
            partitions = await touched(connection, BUCKET, filters=chosen)
            assert sum(len(partition.jobs) for partition in partitions) == len(savepaths)
        return savepaths

    assert await found(language="de") == ["talks/c.mp4"]
    assert await found(since=MODIFIED) == ["talks/c.mp4", "youtube/a.mp4"]
    assert await found(min_confidence=0.41) == ["talks/c.mp4", "youtube/a.mp4"]
    assert await found(min_confidence=0.39, language="en") == ["youtube/a.mp4", "youtube/deep/b.mp4"]
    options = ("--language", "en", "--since", "2026-01-31T09:05:30Z", "--min-confidence", "0.41")
    folder = str(tmp_path / "data")
    outcome = await orchestrator.run("export", "--all", "--format", "parquet", "--output", folder, *options)
    assert (outcome.code, outcome.out) == (0, f"1 transcript in {folder}\n")
    assert set(pandas.read_parquet(folder)["savepath"]) == {"youtube/a.mp4"}


async def test_a_word_document_takes_any_savepath_and_any_text(pool, store_transcript):
    savepath, text = "/".join(["n" * 200] * 3), "Bell\x07 and \ud7ff \U0001f468\u200d\U0001f469 <&>."
    job = await store_transcript(savepath, text, incomplete="20 of 60 s came out")
    async with pool.connection() as connection:
        document = Document(BytesIO(render(await transcript_of(connection, job), Format.DOCX)))
    note = "incomplete: 20 of 60 s came out"
    assert [paragraph.text for paragraph in document.paragraphs] == [savepath, note, text.replace("\x07", "")]


async def test_a_word_document_of_any_name(orchestrator, transcripts, tmp_path):
    name = "{language}/{folder}/{stem}-{model}.{format}"
    arguments = ("--format", "docx", "--timestamps", "--output", str(tmp_path / "o"), "--name", name)
    outcome = await orchestrator.run("export", "--prefix", "youtube/", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    assert files(tmp_path / "o") == ["en/youtube/a-scripted.docx", "en/youtube/deep/b-scripted.docx"]
    file = tmp_path / "o/en/youtube/a-scripted.docx"
    assert {part.date_time for part in ZipFile(file).infolist()} == {(1980, 1, 1, 0, 0, 0)}  # the same bytes each time
    document = Document(str(file))
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert texts == ["youtube/a.mp4", "00:00:00.000  Hello Peter. Good bye."]


async def test_filters_that_want_nothing_empty_no_dataset(commands, transcripts, tmp_path):
    export = ("export", "--all", "--format", "parquet", "--output", str(tmp_path / "ds"))
    assert (await commands.run(*export)).code == 0
    before = files(tmp_path / "ds")
    nothing = await commands.run(*export, "--language", "fr")
    assert (nothing.code, "no transcript is what the filters want" in nothing.err) == (1, True)
    assert files(tmp_path / "ds") == before
    assert (await commands.run(*export, "--language", "de")).code == 0
    assert len(files(tmp_path / "ds")) == 2
