"""The command export: files as users and other programs find them."""

import asyncio
import csv
import json
import os
import pty
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas
import pytest
from pyarrow.dataset import dataset
from pyarrow.parquet import write_table
from typer.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.exports import parquet
from orchestrator.jobs.models import Options
from orchestrator.transcripts import formats
from orchestrator.transcripts.partitions import touched
from orchestrator.transcripts.queries import transcript
from reelscribe.contracts.events import Word
from tests.orchestrator.commands import read_all
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import segment

MODIFIED = datetime(2026, 1, 31, 9, 5, 59, tzinfo=UTC)


@pytest.fixture
async def transcripts(store_transcript):
    await store_transcript("youtube/a.mp4", "Hello Peter.", "Good\tbye.", modified=MODIFIED)
    await store_transcript("youtube/deep/b.mp4", "Words.", modified=MODIFIED.replace(second=0))
    await store_transcript("talks/c.mp4", "Worte.", language="de", modified=MODIFIED.replace(hour=23))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_one_savepath_goes_to_standard_output(orchestrator, transcripts):
    outcome = await orchestrator.run("export", "youtube/a.mp4", "--format", "srt")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("1\n00:00:00,000 --> 00:00:03,000\nHello Peter.\n\n2\n")


@pytest.mark.parametrize(
    ("task", "lines"),
    [
        ("transcribe", ["Die Kinder liefen hinaus", "weil sie dort die Katze noch suchten"]),
        ("translate", ["The children ran out", "because they still wanted to find the cat"]),
    ],
)
async def test_lines_of_subtitles_end_where_phrases_of_their_language_do(orchestrator, store_transcript, task, lines):
    await store_transcript("talks/d.mp4", " ".join(lines), language="de", task=task)
    shown = (await orchestrator.run("export", "talks/d.mp4", "--format", "srt")).out.splitlines()
    assert shown[2:4] == lines


def test_tsv_has_milliseconds():
    shown = formats.tsv([segment(0, 3, "Hello Peter."), segment(4.0004, 7.5, "Good\tbye.")])
    assert list(csv.reader(shown.splitlines(), delimiter="\t")) == [
        ["start", "end", "text"], ["0", "3000", "Hello Peter."], ["4000", "7500", "Good bye."],
    ]  # fmt: skip


async def test_jsonl_is_a_row_for_each_segment_of_any_number_of_transcripts(orchestrator, transcripts):
    shown = (await orchestrator.run("export", "--all", "--format", "jsonl", "--output", "-")).out
    rows = [json.loads(line) for line in shown.splitlines()]
    assert [(row["savepath"], row["index"]) for row in rows] == [
        ("talks/c.mp4", 0), ("youtube/a.mp4", 0), ("youtube/a.mp4", 1), ("youtube/deep/b.mp4", 0),
    ]  # fmt: skip
    assert rows[1]["last_modified"] == "2026-01-31T09:05:59+00:00"
    assert [row["language"] for row in rows] == ["de", "en", "en", "en"]


async def test_the_language_of_a_segment_goes_before_that_of_its_recording(to_parquet, transcripts, sql):
    await sql("update segments set language = 'cy' where text like 'Good%%'")
    frame = pandas.read_parquet(await to_parquet(), filters=[("folder", "==", "youtube")])
    assert list(frame["language"]) == ["en", "cy", "en"]


async def test_a_folder_mirrors_the_savepaths(orchestrator, transcripts, tmp_path):
    outcome = await orchestrator.run(
        "export", "--prefix", "youtube/", "--format", "json", "--output", str(tmp_path / "o")
    )
    assert (outcome.code, outcome.out) == (0, f"2 transcripts in {tmp_path / 'o'}\n")
    assert files(tmp_path / "o") == ["youtube/a.mp4.json", "youtube/deep/b.mp4.json"]


async def test_a_missing_transcript_is_reported_and_the_others_are_written(orchestrator, transcripts, submit, tmp_path):
    await submit("late.mp4")
    outcome = await orchestrator.run("export", "late.mp4", "none.mp4", "talks/c.mp4", "--output", str(tmp_path / "o"))
    assert outcome.code == 1
    assert "late.mp4 has no transcript yet: it is queued\n" in outcome.err
    assert "orchestrator submit none.mp4\n" in outcome.err
    assert files(tmp_path / "o") == ["talks/c.mp4.txt"]


async def test_json_counts_what_was_written_and_what_was_not(orchestrator, transcripts, tmp_path):
    folder = str(tmp_path / "o")
    outcome = await orchestrator.run("export", "youtube/a.mp4", "none.mp4", "--output", folder, "--json")
    assert (outcome.code, json.loads(outcome.out)) == (1, {"written": 1, "failed": 1, "output": folder})


async def test_no_savepath_leads_out_of_the_folder(orchestrator, store_transcript, tmp_path):
    out = tmp_path / "a" / "out"
    out.mkdir(parents=True)
    (out / "link").symlink_to(tmp_path)
    for savepath in (
        "../up.mp4",
        "/etc/top.mp4",
        "x/../../up.mp4",
        "link/through.mp4",
        "link/new/a.mp4",
        "n" * 300,
        "fine.mp4",
    ):
        await store_transcript(savepath, "Words.")
    outcome = await orchestrator.run("export", "--all", "--output", str(out))
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 6)
    assert "leads out of" in outcome.err and "File name too long; name it with --name" in outcome.err
    assert not (tmp_path / "new").exists()
    assert files(tmp_path) == ["a/out/fine.mp4.txt", "config.cfg"]


async def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_other(orchestrator, transcripts, tmp_path):
    (tmp_path / "o/youtube/a.mp4.txt").mkdir(parents=True)
    outcome = await orchestrator.run("export", "--prefix", "youtube/", "--output", str(tmp_path / "o"))
    assert outcome.code == 1
    assert "a.mp4.txt cannot be written: Is a directory" in outcome.err
    assert files(tmp_path / "o") == ["youtube/deep/b.mp4.txt"]


@pytest.mark.parametrize("arguments", ["--all --format parquet", "--all --format srt", "youtube/a.mp4"])
async def test_an_output_that_is_a_file_or_in_one_is_refused(arguments, commands, transcripts, tmp_path):
    (tmp_path / "a.txt").write_text("kept")
    for below, where in (("", ""), ("/b/c", f"/b/c: {tmp_path}/a.txt")):
        outcome = await commands.run("export", *arguments.split(), "--output", f"{tmp_path}/a.txt{below}")
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err == f"--output {tmp_path}/a.txt{where} is a file; name a folder\n"
    assert (tmp_path / "a.txt").read_text() == "kept"


async def test_an_incomplete_transcript_is_reported(orchestrator, store_transcript):
    await store_transcript("cut.mp4", "Words.", incomplete="20 of 60 s came out")
    outcome = await orchestrator.run("export", "cut.mp4")
    assert (outcome.code, outcome.out, outcome.err) == (0, "Words.\n", "cut.mp4 is incomplete: 20 of 60 s came out\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name savepaths, or give --prefix or --all"),
        (["a.mp4", "--all"], "name savepaths, or give --prefix or --all"),
        (["--all"], "name a folder with --output DIR"),
        (["--all", "--format", "jsonl"], "name a folder with --output DIR; or --output - for jsonl"),
        (["a.mp4", "--format", "parquet"], "name a folder with --output DIR"),
        (["--all", "--format", "srt", "--output", "-"], "standard output takes one transcript"),
        (["a.mp4", "--format", "doc"], "'doc' is not one of"),
        (["a.mp4", "--name", "{stem}.txt"], "--name is for the files in a folder"),
        (["--all", "--output", "o", "--name", "{title}.txt"], "{title} is no field; there are {stem}, {name}"),
        (["--all", "--output", "o", "--name", "{language}.txt"], "all recordings would be one file"),
        (["--all", "--output", "o", "--name", "{stem}.srt"], "does not end with .txt"),
        (["--all", "--output", "o", "--min-confidence", "7"], "--min-confidence: "),
        (["--all", "--output", "o", "--since", "yesterday"], "'yesterday' is not a date"),
    ],
)
def test_a_wrong_export_is_exit_code_2_and_a_sentence(arguments, sentence):
    outcome = CliRunner().invoke(cli, ["export", *arguments])
    assert outcome.exit_code == 2
    assert sentence in outcome.stderr


async def test_nothing_to_export_is_exit_code_1(orchestrator, tmp_path):
    outcome = await orchestrator.run("export", "--all", "--output", str(tmp_path / "o"))
    assert (outcome.code, outcome.err) == (1, "there is no transcript yet; see what there is: orchestrator status\n")


async def test_export_shows_a_bar_on_a_terminal(orchestrator, transcripts, tmp_path):
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "export", "--all", "--output", str(tmp_path / "o")),
        *("--config", str(orchestrator.config)),
        stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(theirs)
    assert "3/3" in await asyncio.to_thread(read_all, ours)
    assert await process.wait() == 0


@pytest.fixture
def to_parquet(pool, tmp_path):
    """What ``export --format parquet`` does with these savepaths, or with all."""

    async def export(*savepaths: str) -> Path:
        root = tmp_path / "data"
        async with pool.connection() as connection:
            partitions = await touched(connection, BUCKET, savepaths or None)
            for partition in partitions:
                await parquet.rewrite(connection, root, BUCKET, partition, lambda: None)
        if not savepaths:
            parquet.remove_others(root, BUCKET, partitions)
        return root

    return export


async def test_parquet_is_partitioned_by_folder_and_minute(orchestrator, transcripts, tmp_path):
    folder = tmp_path / "data"
    outcome = await orchestrator.run("export", "--all", "--format", "parquet", "--output", str(folder))
    assert (outcome.code, outcome.out, outcome.err) == (0, f"3 transcripts in {folder}\n", "")
    assert files(folder) == [
        "folder=./last_modified_date=1970-01-01/hour=0/minute=0/no_rows.parquet",
        "folder=talks/last_modified_date=2026-01-31/hour=23/minute=5/videos.parquet",
        "folder=youtube/last_modified_date=2026-01-31/hour=9/minute=5/videos.parquet",
    ]


async def test_pandas_reads_the_rows(to_parquet, transcripts):
    frame = pandas.read_parquet(await to_parquet(), filters=[("folder", "==", "youtube")])
    assert list(frame["savepath"]) == ["youtube/a.mp4", "youtube/a.mp4", "youtube/deep/b.mp4"]
    assert list(frame["text"]) == ["Hello Peter.", "Good\tbye.", "Words."]
    assert [list(tokens) for tokens in frame["tokens"]] == [[0, 1]] * 3
    assert list(frame["start"]) == [0.0, 4.0, 0.0]
    assert (set(frame["model"]), set(frame["language"])) == ({"scripted"}, {"en"})
    assert frame["last_modified"][0] == pandas.Timestamp(MODIFIED)


async def test_parquet_has_the_columns_of_jsonl_and_words_if_they_are_known(to_parquet, transcripts, pool, sql):
    await sql("""update segments set words = '[{"start": 4, "end": 5, "word": " bye", "probability": 0.5}]'
        where text like 'Good%%'""")
    frame = pandas.read_parquet(await to_parquet(), filters=[("folder", "==", "youtube")])
    words = [{"start": 4.0, "end": 5.0, "word": " bye", "probability": 0.5}]
    assert [said if said is None else list(said) for said in frame["words"]] == [None, words, None]
    async with pool.connection() as connection:
        [row, *_] = formats.rows(await transcript(connection, BUCKET, "youtube/a.mp4"))
    assert set(parquet.SCHEMA.names) == set(row)
    assert {field.name for field in parquet.WORD} == set(Word.model_fields)


async def test_a_dataset_of_before_a_column_was_added_gets_it(to_parquet, transcripts):
    [no_rows] = (await to_parquet()).rglob("no_rows.parquet")
    write_table(parquet.SCHEMA.remove(7).empty_table(), no_rows)
    assert "words" in pandas.read_parquet(await to_parquet()).columns


async def test_a_folder_whose_quoted_name_is_too_long_keeps_its_letters(to_parquet, transcripts, store_transcript):
    folder = "Лекции 100% " + "я" * 80
    await store_transcript(f"{folder}/d.mp4", "Слова.", modified=MODIFIED)
    root = await to_parquet()
    assert any(path.startswith("folder=Лекции%20100%25%20яя") for path in files(root))
    frame = pandas.read_parquet(root, filters=[("folder", "==", folder)])
    assert list(frame["text"]) == ["Слова."]
    read = f"from read_parquet('{root}/**/*.parquet', hive_partitioning = true)"
    found = duckdb.execute(f"select folder, text {read} where folder = ?", [folder]).fetchall()
    assert found == [(folder, "Слова.")]
    assert files(await to_parquet()) == files(root)


async def test_duckdb_reads_the_rows_and_partitions(to_parquet, transcripts, store_transcript):
    await store_transcript("ä b=c/d.mp4", "More words.", modified=MODIFIED)
    await store_transcript("top.mp4", "No folder.", modified=MODIFIED)
    folder = await to_parquet()
    found = duckdb.sql(
        f"""
        select folder, last_modified_date::varchar, hour::int h, minute::int m, count(*), any_value(typeof(tokens))
        from read_parquet('{folder}/**/*.parquet', hive_partitioning = true) group by 1, 2, 3, 4 order by 1, 3
        """
    ).fetchall()
    assert found == [
        (".", "2026-01-31", 9, 5, 1, "INTEGER[]"),
        ("talks", "2026-01-31", 23, 5, 1, "INTEGER[]"),
        ("youtube", "2026-01-31", 9, 5, 3, "INTEGER[]"),
        ("ä b=c", "2026-01-31", 9, 5, 1, "INTEGER[]"),
    ]
    spoken = duckdb.sql(f"select distinct folder, language from read_parquet('{folder}/**/*.parquet') order by 1")
    assert spoken.fetchall() == [(".", "en"), ("talks", "de"), ("youtube", "en"), ("ä b=c", "en")]


def by_pandas(folder: Path) -> pandas.DataFrame:
    return pandas.read_parquet(folder)


def by_pyarrow_dataset(folder: Path) -> pandas.DataFrame:
    return dataset(folder, partitioning="hive").to_table().to_pandas()


def by_duckdb(folder: Path) -> pandas.DataFrame:
    return duckdb.sql(f"select * from '{folder}/**/*.parquet'").df()


@pytest.mark.parametrize("read", [by_pandas, by_pyarrow_dataset, by_duckdb])
@pytest.mark.parametrize(
    "folders",
    [
        ["."],
        [".", "youtube"],
        [".", "2024"],
        ["2024"],
        ["007", "2024"],
        ["2026-01-31"],
        [".", "2024", "a b=c%2Fä", "talks"],
    ],
    ids=lambda folders: " ".join(folders),
)
async def test_every_reader_takes_folders_as_text_without_arguments(read, folders, to_parquet, store_transcript):
    for folder in folders:
        name = "a.mp4" if folder == "." else f"{folder}/a.mp4"
        await store_transcript(name, f"In {folder}.", "More.", modified=MODIFIED)
    frame = read(await to_parquet()).sort_values(["folder", "index"])
    assert list(frame["folder"]) == [folder for folder in folders for _ in range(2)]
    assert list(frame["text"]) == [text for folder in folders for text in (f"In {folder}.", "More.")]
    assert list(frame["hour"].astype(int)) == [9] * len(frame)
    assert set(frame["last_modified_date"].astype(str)) == {"2026-01-31"}
    assert set(frame["last_modified"].dt.tz_convert("UTC")) == {pandas.Timestamp(MODIFIED)}


async def test_pandas_finds_a_folder_of_digits_and_the_root_by_their_names(to_parquet, store_transcript):
    for name in ("2024/a.mp4", "07/b.mp4", "c.mp4"):
        await store_transcript(name, "Words.", modified=MODIFIED)
    folder = await to_parquet()
    for wanted, savepath in (("2024", "2024/a.mp4"), ("07", "07/b.mp4"), (".", "c.mp4")):
        frame = pandas.read_parquet(folder, filters=[("folder", "==", wanted)])
        assert list(frame["savepath"]) == [savepath]


async def test_a_second_export_changes_no_byte(to_parquet, transcripts):
    before = {path: path.read_bytes() for path in (await to_parquet()).rglob("*.parquet")}
    after = {path: path.read_bytes() for path in (await to_parquet()).rglob("*.parquet")}
    assert after == before


async def test_a_partition_keeps_its_other_savepaths(to_parquet, transcripts):
    await to_parquet()
    frame = pandas.read_parquet(await to_parquet("youtube/deep/b.mp4"))
    assert sorted(set(frame["savepath"])) == ["talks/c.mp4", "youtube/a.mp4", "youtube/deep/b.mp4"]


async def test_an_export_of_one_savepath_works_out_no_other_partition(submissions, pool, sql):
    await submissions.submit(BUCKET, [f"a/{number}.mp4" for number in range(2000)], Options())
    await sql("update transcriptions set state = 'done', complete = true, finished_at = now()")
    await sql(
        "insert into attempts (transcription_id, attempt, transcriber_url, start_seconds, last_modified)"
        " select id, 1, '', 0, '2026-01-31'::timestamptz + make_interval(mins => id::integer / 2) from transcriptions"
    )
    await sql("analyze")
    async with pool.connection() as connection:
        [partition] = await touched(connection, BUCKET, ["a/7.mp4"])
        looked_up = await connection.execute(
            "select idx_tup_fetch from pg_stat_xact_user_tables where relname = 'attempts'"
        )
        assert (await looked_up.fetchone())[0] < 20
    assert len(partition.jobs) == 2


async def test_a_changed_object_moves_to_its_new_partition(to_parquet, transcripts, store_transcript):
    await to_parquet()
    await store_transcript("talks/c.mp4", "Neue Worte.", modified=MODIFIED.replace(hour=12), force=True)
    folder = await to_parquet("talks/c.mp4")
    assert [path for path in files(folder) if "talks" in path] == [
        "folder=talks/last_modified_date=2026-01-31/hour=12/minute=5/videos.parquet"
    ]


async def test_exporting_all_removes_what_the_database_has_not_any_more(to_parquet, transcripts, sql):
    await to_parquet()
    await sql("delete from media where savepath = 'talks/c.mp4'")
    assert not [path for path in files(await to_parquet()) if "talks" in path]


async def test_without_a_time_of_the_object_the_partition_is_of_the_transcripts(to_parquet, store_transcript):
    job = await store_transcript("a/b.mp4", "Words.")
    frame = pandas.read_parquet(await to_parquet())
    assert (str(frame["last_modified_date"][0]), frame["hour"][0], frame["minute"][0]) == (
        f"{job.finished_at:%Y-%m-%d}", job.finished_at.hour, job.finished_at.minute,
    )  # fmt: skip
    assert frame["last_modified"].isna().all()
