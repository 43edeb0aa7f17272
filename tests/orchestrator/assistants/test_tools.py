"""What assistants can do: search, read, list and submit, each with an answer that fits its schema."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from mcp import Client, MCPError

from orchestrator.assistants import archive, tools
from orchestrator.assistants.http import PATH
from orchestrator.assistants.models import MOST_SAVEPATHS, ListAnswer
from orchestrator.assistants.server import make_server
from orchestrator.assistants.tools import TOOLS, Toolbox
from orchestrator.intake.corrections import Corrections, EditRequest, WrittenSegment
from reelscribe.http.access.admission import ANYONE
from tests.orchestrator.assistants.conftest import PAGE
from tests.orchestrator.conftest import BUCKET
from tests.waiting import eventually


async def test_each_tool_describes_itself_its_arguments_and_its_answer(session):
    async with Client(make_server(session)) as client:
        declared = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(declared) == ["search", "transcript", "list_recordings", "job", "submit"]
    for tool in declared.values():
        assert tool.title and tool.description and tool.output_schema and tool.annotations
        assert tool.annotations.read_only_hint is (tool.name != "submit")
        assert tool.annotations.destructive_hint is tool.annotations.open_world_hint is False
        for argument in tool.input_schema["properties"].values():
            assert argument["description"] and ("type" in argument or "anyOf" in argument)
    assert declared["submit"].input_schema["required"] == ["savepaths"]
    for name in ("search", "transcript"):
        assert "never instructions" in declared[name].description


async def test_the_docs_name_each_tool_and_its_arguments(session):
    page = (Path(__file__).parents[3] / "docs" / "assistants.md").read_text()
    described = {
        name: set(re.findall(r"`(\w+)`", arguments))
        for name, arguments in re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE)
    }
    assert described == {tool.name: set(tool.arguments.model_fields) for tool in tools.TOOLS.values()}
    servers = [
        json.loads(block)["mcpServers"]["reelscribe"] for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    ]
    assert servers[0]["args"][:2] == ["mcp", "--config"] and servers[1]["url"].endswith(f"8891{PATH}")


async def test_a_hit_names_recording_and_time_and_links_to_its_moment(call, store_transcript):
    await store_transcript("talks/a b.mp4", "good morning", "your very happy horse")
    found = await call("search", query="happy hors*")
    assert found["hits"] == [
        {
            "savepath": "talks/a b.mp4",
            "bucket": "videos",
            "start": 4.0,
            "end": 7.0,
            "text": "your very happy horse",
            "language": "en",
            "link": f"{PAGE}/media/talks/a%20b.mp4?q=happy#t=4.0",
        }
    ]
    assert "next" not in found


async def test_hits_come_in_pages_and_can_be_narrowed(call, store_transcript):
    await store_transcript("talks/a.mp4", *["a horse"] * 3)
    await store_transcript("radio/b.mp3", "ein horse", language="de", seconds=9.0)
    first = await call("search", query="horse", limit=2)
    second = await call("search", query="horse", limit=2, cursor=first["next"])
    assert [hit["savepath"] for hit in first["hits"] + second["hits"]] == ["radio/b.mp3"] + ["talks/a.mp4"] * 3
    assert [hit["savepath"] for hit in (await call("search", query="horse", language="de"))["hits"]] == ["radio/b.mp3"]
    assert len((await call("search", query="horse", prefix="talks/"))["hits"]) == 3


async def test_a_recording_whose_title_holds_the_words_is_named(call, store_transcript, pool, queue):
    await store_transcript("a.mp4", "good morning")
    await Corrections(pool, queue, BUCKET).rename(BUCKET, "a.mp4", "The horse", "alice")
    assert (await call("search", query="horse"))["titled"] == [
        {"savepath": "a.mp4", "bucket": "videos", "title": "The horse", "link": f"{PAGE}/media/a.mp4"}
    ]


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("search", {"query": ""}, "query: give at least one word"),
        ("search", {}, "query: is missing"),
        ("search", {"query": "a", "limit": 51}, "limit: must be at most 50"),
        ("search", {"query": "a", "cursor": "next"}, "cursor: does not have the form"),
        ("search", {"query": "a", "colour": 1}, "colour: is not known here"),
        ("search", {"query": "a", "bucket": "../x"}, "bucket: '../x' is not a bucket name"),
        ("transcript", {"savepath": "a.mp4"}, "a.mp4 has not been submitted; do that with: orchestrator submit a.mp4"),
        ("transcript", {"savepath": "../a"}, "savepath: must not contain '.' or '..'"),
        ("transcript", {"savepath": "a", "start": "late"}, "start: must be a number"),
        ("transcript", {"savepath": "a", "start": 5, "around": 5}, "give either around, or start and end"),
        ("transcript", {"savepath": "a", "start": 5, "end": 5}, "end must be after start"),
        ("list_recordings", {"state": "lost"}, "state: must be 'queued'"),
        ("list_recordings", {"prefix": "\0"}, "prefix: a NUL character cannot be stored"),
        ("job", {"job": 12345}, "there is no job 12345"),
        ("submit", {"savepaths": []}, "savepaths: must not be empty"),
        ("submit", {"savepaths": ["a"] * (MOST_SAVEPATHS + 1)}, f"savepaths: must have at most {MOST_SAVEPATHS}"),
    ],
)
async def test_a_mistake_is_a_sentence_by_the_name_of_the_argument(refused, tool, arguments, words):
    sentence = await refused(tool, **arguments)
    assert sentence.startswith(words), sentence
    assert "Traceback" not in sentence and "pydantic" not in sentence


async def test_a_transcript_is_read_as_a_whole_in_a_window_or_around_a_moment(call, store_transcript):
    await store_transcript("a.mp4", *"abcdefgh", seconds=50.0)

    async def texts(**window):
        read = await call("transcript", savepath="a.mp4", **window)
        assert (read["complete"], read["seconds"], read["language"]) == (True, 400.0, "en")
        return "".join(segment["text"] for segment in read["segments"])

    assert await texts() == "abcdefgh"
    assert await texts(start=99) == "cdefgh"  # the second one ends there
    assert await texts(start=75, end=150) == "bc"
    assert await texts(around="155") == "bcde"  # 95 to 215 s; written as text
    assert await texts(start=1000) == ""
    read = await call("transcript", savepath="a.mp4", around=155)
    assert read["segments"][0] == {"start": 50.0, "end": 99.0, "text": "b"}
    assert read["link"] == f"{PAGE}/media/a.mp4#t=50.0"


async def test_an_incomplete_transcript_says_so(call, store_transcript):
    await store_transcript("a.mp4", "good", incomplete="the file is cut", allow_incomplete=True)
    read = await call("transcript", savepath="a.mp4")
    assert (read["complete"], read["reason"]) == (False, "the file is cut")


async def test_a_correction_is_read_and_so_is_what_the_model_wrote(call, store_transcript, pool, queue):
    job = await store_transcript("a.mp4", "gud", "morning")
    edit = EditRequest(job=job.id, base_revision=0, start=0, end=3, segments=(WrittenSegment(text="good"),))
    await Corrections(pool, queue, BUCKET).edit(BUCKET, "a.mp4", edit, "alice")
    read = await call("transcript", savepath="a.mp4")
    assert read["segments"][0] == {"start": 0.0, "end": 3.0, "text": "good", "corrected_by": "alice"}
    as_heard = await call("transcript", savepath="a.mp4", as_heard=True)
    assert [segment["text"] for segment in as_heard["segments"]] == ["gud", "morning"]


async def test_a_long_transcript_comes_in_bounded_answers_that_leave_nothing_out(call, store_transcript, sql):
    job = await store_transcript("a.mp4", "the beginning")
    await sql(
        """
        insert into segments (transcription_id, index, start_seconds, end_seconds, text, tokens, avg_logprob,
            no_speech_prob, compression_ratio, temperature, search, search_version)
        select transcription_id, n, n, n + 1, n || repeat(' word', case when n = 700 then 100000 else 25 end), tokens,
            avg_logprob, no_speech_prob, compression_ratio, temperature, search, search_version
        from segments, generate_series(1, 1000) n where transcription_id = %s
        """,
        job.id,
    )
    read = await call("transcript", savepath="a.mp4")
    assert "more follows from 00:0" in read["follows"] and read["next"] in read["follows"]
    seen, answers = [], [read]
    while "next" in answers[-1]:
        answers.append(await call("transcript", savepath="a.mp4", cursor=answers[-1]["next"]))
    for each in answers:
        assert len(json.dumps(each)) < 2 * archive.MOST_CHARACTERS
        assert len(each["segments"]) <= archive.MOST_SEGMENTS
        seen += [segment["start"] for segment in each["segments"]]
    assert seen == [0.0, *map(float, range(1, 1001))] and len(answers) > 5
    assert "follows" not in answers[-1]


async def test_a_cursor_of_another_transcript_is_refused(call, refused, store_transcript):
    await store_transcript("a.mp4", "one")
    newer = await store_transcript("a.mp4", "two", force=True)
    assert "a newer one may have replaced" in await refused("transcript", savepath="a.mp4", cursor=f"{newer.id - 1}.0")


async def test_recordings_are_listed_by_prefix_and_state_in_pages(call, store_transcript, submit):
    done = await store_transcript("talks/a.mp4", "one")
    waits = await submit("talks/b.mp4")
    await submit("radio/c.mp3")
    page = await call("list_recordings", limit=2)
    rest = await call("list_recordings", limit=2, cursor=page["next"])
    assert [each["savepath"] for each in page["recordings"]] == ["radio/c.mp3", "talks/b.mp4"]
    assert [each["savepath"] for each in rest["recordings"]] == ["talks/a.mp4"]
    listed = await call("list_recordings", prefix="talks/", state="queued")
    assert [(each["job"], each["state"]) for each in listed["recordings"]] == [(waits.id, "queued")]
    state = await call("job", job=done.id)
    assert (state["state"], state["complete"], state["situation"]) == ("done", True, "it is done")


async def test_a_submission_queues_jobs_and_says_that_no_worker_runs(call, refused, sql):
    submitted = await call("submit", savepaths=["a.mp4", "talks/b.mp4"])
    assert [(each["savepath"], each["state"], each["outcome"]) for each in submitted["jobs"]] == [
        ("a.mp4", "queued", "new"),
        ("talks/b.mp4", "queued", "new"),
    ]
    assert submitted["note"].startswith("no worker is running")
    [again] = (await call("submit", savepaths=["a.mp4"]))["jobs"]
    assert (again["job"], again["outcome"]) == (submitted["jobs"][0]["job"], "known")
    assert (await call("job", job=again["job"]))["situation"] == "it is queued"
    assert await refused("submit", savepaths=["c.mp4", "/d.mp4"]) == (
        "savepaths.1: must not start with '/'; it is relative to the bucket, like youtube/abc123.mp4"
    )
    assert await sql("select count(*) from media") == [(2,)]


async def test_transcripts_are_resources(session, store_transcript):
    await store_transcript("talks/Ä b.mp4", "good", "morning")
    async with Client(make_server(session)) as client:
        [template] = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "transcript:///{+savepath}"
        [resource] = (await client.list_resources()).resources
        [content] = (await client.read_resource(resource.uri)).contents
        assert content.text == "talks/Ä b.mp4: complete\n[00:00:00.000] good\n[00:00:04.000] morning"
        for uri, sentence in (
            ("transcript:///b.mp4", "b.mp4 has not been submitted"),
            ("file:///etc/passwd", "there is no such resource"),
            ("transcript:///../b", "savepath: must not contain"),
        ):
            with pytest.raises(MCPError) as refused:
                await client.read_resource(uri)
            assert refused.value.message.startswith(sentence)


async def test_a_tool_that_there_is_not_is_refused_with_those_that_there_are(session):
    async with Client(make_server(session)) as client:
        with pytest.raises(MCPError, match="there is no tool 'delete'; there are search, transcript"):
            await client.call_tool("delete", {})


async def test_a_lost_database_and_a_fault_of_ours_are_sentences_without_details(refused, pool, monkeypatch):
    async def broken(*_):
        raise KeyError("/srv/secret")

    monkeypatch.setitem(tools.TOOLS, "job", replace(tools.TOOLS["job"], work=broken))
    assert await refused("job", job=1) == "the orchestrator failed; its log has the reason"
    await pool.close()
    assert await refused("search", query="horse") == "the database does not answer; try again in a moment"


async def test_more_calls_than_may_wait_get_a_sentence(session, monkeypatch):
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(*_):
        entered.set()
        await leave.wait()
        return ListAnswer(recordings=[])

    monkeypatch.setattr(tools, "MOST_CALLS", 1)
    monkeypatch.setattr(tools, "MOST_WAITING", 0)
    monkeypatch.setitem(tools.TOOLS, "list_recordings", replace(tools.TOOLS["list_recordings"], work=slow))
    async with Client(make_server(session)) as client:
        first = asyncio.create_task(client.call_tool("list_recordings", {}))
        await entered.wait()
        second = await client.call_tool("job", {"job": 1})
        assert second.is_error and "the queue of 0 is full" in second.content[0].text
        leave.set()
        assert not (await first).is_error


async def test_a_cancelled_call_ends_its_query_and_keeps_its_connection(session, pool, sql, caplog):
    waiting = """
        select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    """
    async with pool.connection() as connection, connection.transaction(force_rollback=True):
        await connection.execute("lock table jobs in access exclusive mode")
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(Toolbox(session).call, TOOLS["list_recordings"], {}, ANYONE)
                while await sql(waiting) == [(0,)]:
                    await asyncio.sleep(0.02)
                scope.cancel()
        assert scope.cancelled_caught
        await eventually(lambda: sql(f"select 1 where ({waiting}) = 0"))
        assert not [line for line in caplog.records if line.name.startswith("psycopg")]
