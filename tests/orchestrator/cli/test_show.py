"""``orchestrator show``: a transcript for people, with how sure the model is of it."""

import asyncio
import os
import pty
import sys

import pytest

from orchestrator.jobs import transitions
from orchestrator.worker.progress import TranscriptionProgress
from reelscribe.contracts.events import Started, Word
from tests.orchestrator.commands import read_all
from tests.orchestrator.scripted import finished, segment

GREEN, YELLOW, RED = "\x1b[32m", "\x1b[33m", "\x1b[31m"


@pytest.fixture
def shown_on_a_terminal(orchestrator):
    async def show(*arguments: str, **environment: str) -> str:
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "orchestrator", "show", *arguments, "--config", str(orchestrator.config)),
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "60", **environment},
        )
        os.close(theirs)
        shown = await asyncio.to_thread(read_all, ours)
        assert await process.wait() == 0
        return shown.replace("\r\n", "\n")

    return show


@pytest.fixture
def store_words(pool, queue, submit, sql):
    """Store a transcript with a probability for each word."""

    async def store(savepath, *words):
        job = await submit(savepath, word_timestamps=True)
        [(queue_job,)] = await sql("select queue_job from transcriptions where id = %s", job.id)
        progress = TranscriptionProgress(pool, queue)
        async with pool.connection() as connection:
            attempt = await transitions.begin(connection, queue_job, job.id)
        started = Started(model="m", language="en", language_probability=1.0, duration=4.0, etag="etag-1")
        await progress.start(attempt, "http://b", started)
        said = segment(1.0, 4.0, "".join(word for word, _ in words)).model_copy(
            update={"words": [Word(start=1, end=2, word=word, probability=sure) for word, sure in words]}
        )
        await progress.finish(attempt, [said], finished(4.0, None, 1))

    return store


async def test_a_terminal_shows_each_word_in_the_colour_of_its_probability(shown_on_a_terminal, store_words):
    await store_words("talk.mp4", (" We", 0.97), (" repaired", 0.61), (" horses", 0.12))
    line, _, legend, _ = (await shown_on_a_terminal("talk.mp4", COLUMNS="80")).split("\n")
    assert "00:00:01.000" in line
    assert f"{GREEN}We\x1b[0m{YELLOW} repaired\x1b[0m{RED} horses\x1b[0m" in line
    assert f"{GREEN}■ \x1b[0m" in legend
    assert "of each word" in legend


async def test_without_word_timestamps_a_segment_has_one_colour(shown_on_a_terminal, store_transcript, sql):
    await store_transcript("talk.mp4", "sure", "so so")
    await sql("update segments set avg_logprob = case index when 0 then -0.1 else -0.5 end")  # e ** -0.5 = 0.61
    first, second, *_ = shown = (await shown_on_a_terminal("talk.mp4")).split("\n")
    assert f"{GREEN}sure" in first
    assert f"{YELLOW}so so" in second
    assert "submit --word-timestamps" in " ".join(shown)


async def test_no_color_is_respected(shown_on_a_terminal, store_transcript):
    await store_transcript("talk.mp4", "sure")
    shown = await shown_on_a_terminal("talk.mp4", NO_COLOR="1")
    assert "confidence" not in shown
    assert not any(colour in shown for colour in (GREEN, YELLOW, RED))


async def test_long_lines_are_folded_next_to_the_times(shown_on_a_terminal, store_transcript):
    await store_transcript("talk.mp4", "word " * 20)
    first, second, third, *_ = (await shown_on_a_terminal("talk.mp4", NO_COLOR="1")).split("\n")
    assert [line[:14].strip() for line in (second, third)] == ["", ""]
    assert len(second.rstrip()) <= 60
    assert first.count("word") + second.count("word") + third.count("word") == 20


async def test_a_format_that_is_asked_for_is_what_a_terminal_gets_too(shown_on_a_terminal, store_transcript):
    await store_transcript("talk.mp4", "sure")
    assert await shown_on_a_terminal("talk.mp4", "--format", "txt") == "sure\n"


async def test_a_pipe_gets_plain_text(orchestrator, store_words):
    await store_words("talk.mp4", (" We", 0.97), (" repaired", 0.61))
    assert (await orchestrator.run("show", "talk.mp4")).out == "We repaired\n"


async def test_without_a_transcript_it_says_why_and_what_to_do(orchestrator, submit, submissions):
    job = await submit("my talk.mp4")
    outcome = await orchestrator.run("show", "my talk.mp4")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines() == [
        "my talk.mp4 has no transcript yet: it is queued",
        "no worker is running; start one with: orchestrator up (or serve, or worker)",
        "follow it with: orchestrator status 'my talk.mp4' --watch",
    ]
    await submissions.cancel([job.id])
    [line] = (await orchestrator.run("show", "my talk.mp4")).err.splitlines()
    assert "it was cancelled; queue it again with: orchestrator retry" in line


async def test_a_reader_that_leaves_early_ends_it_without_a_traceback(orchestrator, store_transcript):
    await store_transcript("talk.mp4", *["word " * 50] * 500)
    shell = await asyncio.create_subprocess_shell(
        f"'{sys.executable}' -m orchestrator show talk.mp4 --config '{orchestrator.config}' | head -n 1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await shell.communicate()
    assert (out.decode().strip(), err) == (("word " * 50).strip(), b"")
