"""Search: what a query finds, over the database, over HTTP and on the command line."""

import asyncio
import json
import os
import pty
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.transcripts import search as search_module
from orchestrator.transcripts import words
from orchestrator.transcripts.search import SearchQuery, search, search_recordings
from reelscribe.errors import BadRequest
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.parsing import parse_query
from tests.orchestrator.commands import read_all
from tests.orchestrator.conftest import BUCKET


@pytest.fixture
def find(pool):
    async def find(q: str, **options):
        async with pool.connection() as connection:
            return (await search(connection, SearchQuery(q=q, **options), BUCKET)).hits

    return find


@pytest.fixture
async def horse(store_transcript):
    return await store_transcript(
        "youtube/horse.mp4", "We repaired your very happy", "horse on Friday night.", "Hello Peter."
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("friday", [1]),
        ("FRIDAY horse", [1]),
        ("horse peter", []),
        ('"very happy"', [0]),
        ('"happy very"', []),
        ("“very happy” we", [0]),
        ("fri*", [1]),
        ("fri", []),
        ('"on fri*"', [1]),
        ('"happy horse"', [1]),
        ('"your very happy horse on friday night"', [1]),
        ('"night hello"', [2]),
        ('"friday night', [1]),
    ],
)
async def test_a_query_finds(query, found, find, horse):
    assert [hit.index for hit in await find(query)] == found


async def test_a_phrase_across_a_border_is_shown_from_where_it_begins(find, horse):
    [hit] = await find('"happy horse"')
    assert (hit.text, hit.start) == ("We repaired your very happy horse on Friday night.", 0.0)
    assert [hit.text[start:end] for start, end in hit.marks] == ["happy horse"]


async def test_a_hit_says_where_it_is(find, horse):
    [hit] = await find("night")
    assert (hit.savepath, hit.language, hit.start, hit.end) == ("youtube/horse.mp4", "en", 4.0, 7.0)
    assert hit.link == "/media/youtube/horse.mp4#t=4.0"


async def test_the_link_to_a_recording_that_is_called_like_a_route_leads_to_it(find, store_transcript):
    await store_transcript("talks/about", "Good morning.")
    [hit] = await find("morning")
    assert hit.link == "/media/talks%2Fabout#t=0.0"


async def test_a_phrase_of_a_language_without_spaces_is_found(find, store_transcript):
    await store_transcript("tokyo.mp4", "東京は大きい街です。")
    assert [hit.text[slice(*hit.marks[0])] for hit in await find("大きい")] == ["大きい"]
    assert await find("大街") == []


async def test_only_the_newest_finished_version_counts(find, store_transcript, submit):
    await store_transcript("a.mp4", "old words")
    await store_transcript("a.mp4", "new words", force=True)
    await submit("a.mp4", force=True)
    assert [hit.text for hit in await find("words")] == ["new words"]


async def test_an_incomplete_transcript_counts_and_an_unfinished_one_does_not(find, store_transcript, sql):
    await store_transcript("cut.mp4", "some words", incomplete="it is cut")
    await store_transcript("running.mp4", "other words")
    await sql(
        "update transcriptions t set state = 'running', complete = null, finished_at = null"
        " from media m where m.id = t.media_id and m.savepath = 'running.mp4'"
    )
    assert [hit.savepath for hit in await find("words")] == ["cut.mp4"]


async def test_a_search_is_narrowed_by_prefix_language_and_time(find, store_transcript):
    day = datetime(2026, 1, 31, tzinfo=UTC)
    await store_transcript("a_b/1.mp4", "words", modified=day)
    await store_transcript("axb/2.mp4", "words", language="de", modified=day.replace(day=1))
    assert [hit.savepath for hit in await find("words", prefix="a_b/")] == ["a_b/1.mp4"]
    assert [hit.savepath for hit in await find("words", language="de")] == ["axb/2.mp4"]
    assert [hit.savepath for hit in await find("words", language="DE")] == ["axb/2.mp4"]
    assert [hit.savepath for hit in await find("words", since="2026-01-31")] == ["a_b/1.mp4"]
    assert await find("words", bucket_name="other-bucket") == []


async def test_a_search_is_narrowed_to_what_was_modified_until_a_day(find, store_transcript):
    evening = datetime(2026, 1, 31, 18, tzinfo=UTC)
    await store_transcript("a.mp4", "words", modified=evening)
    for until, found in (
        ("2026-01-31", 1), ("2026-01-30", 0), ("2026-01-31T18:00:01Z", 1), ("2026-01-31T18:00:00Z", 0)
    ):  # fmt: skip
        assert len(await find("words", until=until)) == found, until
    assert await find("words", since="2026-01-31", until="2026-01-31")


async def test_what_is_written_in_another_way_is_found(find, store_transcript):
    await store_transcript("a.mp4", "At 5 p.m. the U.S.", "café had 3,500 e-mails,", "42 % of the l'école.")
    for query, found in (
        ('"5 pm"', [0]), ("us", [0]), ('"us cafe"', [1]), ("3500", [1]), ("ecole", [2]),
        ('"3500 emails 42 percent"', [2]),
    ):  # fmt: skip
        assert [hit.index for hit in await find(query)] == found, query
    [hit] = await find('"5 pm the us cafe had 3500"')
    assert [hit.text[start:end] for start, end in hit.marks] == ["5 p.m. the U.S. café had 3,500"]


async def test_grouped_by_recording_each_has_its_count_and_its_first_hits(pool, store_transcript):
    await store_transcript("old.mp4", "one word", language="de", modified=datetime(2026, 1, 31, tzinfo=UTC))
    await store_transcript("new.mp4", *["a word"] * 7, "nothing")
    pages: list[Any] = []
    after = None
    while not pages or after:
        async with pool.connection() as connection:
            query = SearchQuery(q="word", grouped=True, limit=1, after=after)
            page = await search_recordings(connection, query, BUCKET)
        pages.append(page.recordings)
        after = page.next
    [[new], [old]] = pages
    assert (new.savepath, new.count, [hit.index for hit in new.hits]) == ("new.mp4", 7, [0, 1, 2, 3, 4])
    assert (old.savepath, old.count, old.seconds, old.language) == ("old.mp4", 1, 4.0, "de")
    assert old.modified == datetime(2026, 1, 31, tzinfo=UTC)
    assert old.hits[0].marks == ((4, 8),)


async def test_a_frequent_word_is_looked_for_part_by_part_with_the_same_outcome(
    pool, store_transcript, monkeypatch, sql
):
    spoken = [
        ("a/1.mp4", "one word", "no", "word"),
        ("b/2.mp4", "word two"),
        ("a/3.mp4", "no"),
        ("a/4.mp4", "word", "word"),
    ]
    for savepath, *texts in spoken:
        await store_transcript(savepath, *texts)
        await sql("select setval(pg_get_serial_sequence('jobs', 'id'), (select max(id) from jobs) + 40)")
    await store_transcript("b/2.mp4", "word again", force=True)

    async def outcomes():
        found: list[Any] = []
        for options in ({}, {"prefix": "a/"}, {"grouped": True}, {"until": "2000-01-01"}, {"language": "en"}):
            after, pages = None, 0
            while not pages or after:
                query = SearchQuery(q="word", limit=2, after=after, **options)
                async with pool.connection() as connection:
                    page = await (search_recordings if query.grouped else search)(connection, query, BUCKET)
                found += page[0]
                after, pages = page.next, pages + 1
        return found

    expected = await outcomes()
    for few in (0, 1):  # with 1, PostgreSQL expects fewer than there are
        monkeypatch.setattr("orchestrator.transcripts.search.FEW", few)
        assert await outcomes() == expected
    assert [hit.savepath for hit in expected[:5]] == ["b/2.mp4", "a/4.mp4", "a/4.mp4", "a/1.mp4", "a/1.mp4"]


async def test_if_the_time_of_the_object_is_unknown_the_transcripts_counts(find, store_transcript):
    await store_transcript("a.mp4", "words")
    assert await find("words", since="2020-01-01")
    assert not await find("words", since="2999-01-01")


async def test_pages_hold_every_hit_once_the_newest_transcripts_first(store_transcript, pool):
    for savepath in ("a.mp4", "b.mp4"):
        await store_transcript(savepath, "one word", "no", "word two", "word three")
    seen: list[Any] = []
    after = None
    while not seen or after:
        async with pool.connection() as connection:
            page = await search(connection, SearchQuery(q="word", limit=2, after=after), BUCKET)
        seen += [(hit.savepath, hit.index) for hit in page.hits]
        after = page.next
    assert seen == [("b.mp4", 0), ("b.mp4", 2), ("b.mp4", 3), ("a.mp4", 0), ("a.mp4", 2), ("a.mp4", 3)]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({}, "q: is missing"),
        ({"q": b"-->"}, "give at least one word"),
        ({"q": b"a", "since": b"2026"}, "'2026' is not a date; write it as 2026-01-31"),
        ({"q": b"a", "limit": b"0"}, "limit: must be at least 1"),
        ({"q": b"a", "after": b"3"}, "after: does not have the form that is expected here"),
        ({"q": b"a", "prefix": b"\0"}, "a NUL character cannot be stored"),
    ],
)
def test_a_wrong_query_is_refused_with_a_sentence(query, sentence):
    with pytest.raises(BadRequest, match=sentence):
        parse_query(SearchQuery, {name: [value] for name, value in query.items()})


@pytest.mark.parametrize("query", ["a' | 'horse", "a\\' <-> b", "!a & horse:*", "%s {0}", "\0a"])
async def test_no_query_is_sql(query, find, horse):
    assert await find(query) == []


async def test_search_over_http(serving, horse):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as api:
        answer = (await api.get("/api/search", params={"q": '"friday night"', "prefix": "youtube/"})).json()
        page = await api.get(answer["hits"][0]["link"])
        assert "<title>horse.mp4" in page.text and "We repaired" in page.text
        refused = await api.get("/api/search", params={"q": "?"})
        grouped = (await api.get("/api/search", params={"q": "night", "grouped": "true"})).json()
    assert (answer["hits"][0]["savepath"], answer["hits"][0]["marks"], answer["next"]) == (
        "youtube/horse.mp4", [[9, 21]], None,
    )  # fmt: skip
    [recording] = grouped["recordings"]
    assert (recording["savepath"], recording["count"], recording["hits"][0]["link"]) == (
        "youtube/horse.mp4", 1, answer["hits"][0]["link"],
    )  # fmt: skip
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_request")


async def test_search_prints_time_savepath_words_and_link(orchestrator, horse, free_port):
    outcome = await orchestrator.run("search", "friday night", "on", "--prefix", "youtube/")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "youtube/horse.mp4  00:00:04.000\n"
        "  horse on Friday night.\n"
        f"  http://127.0.0.1:{free_port}/media/youtube/horse.mp4#t=4.0\n"
    )


async def test_an_argument_of_several_words_is_a_phrase(orchestrator, horse):
    nothing = await orchestrator.run("search", "night friday")
    assert (nothing.code, nothing.out) == (1, "")
    assert "nothing found" in nothing.err
    [hit] = json.loads((await orchestrator.run("search", "night", "friday", "--json")).out)["hits"]
    assert (hit["text"], hit["marks"]) == ("horse on Friday night.", [[9, 15], [16, 21]])


async def test_search_highlights_on_a_terminal(orchestrator, horse):
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "search", "peter", "--config", str(orchestrator.config)),
        stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(theirs)
    assert "Hello \x1b[1;33mPeter\x1b[0m." in await asyncio.to_thread(read_all, ours)
    assert await process.wait() == 0


def test_a_search_without_a_word_is_exit_code_2():
    outcome = CliRunner().invoke(cli, ["search", "..."])
    assert (outcome.exit_code, outcome.stderr) == (
        2, 'WORDS: give at least one word, such as: horse, or hors*, or "happy horse"\n',
    )  # fmt: skip


async def test_a_search_that_takes_too_long_is_ended_and_says_so(horse, pool, serving, monkeypatch):
    monkeypatch.setattr(search_module, "MOST_SECONDS", 1)
    async with pool.connection() as busy, httpx.AsyncClient(base_url=serving(Tokens())) as client:
        await busy.execute("lock table segments in access exclusive mode")
        answer = await client.get("/api/search", params={"q": "horse"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "search_too_long")
        page = await client.get("/search", params={"q": "horse"})
        assert page.status_code == 400 and "Nothing was found within 1 s; give rarer words" in page.text


async def test_other_requests_are_answered_between_many_hits(find, store_transcript, monkeypatch):
    await store_transcript("a.mp4", *["the words of the many"] * 300)
    rounds, marked_at = 0, set()

    def marks(*arguments):
        marked_at.add(rounds)
        return words.marks(*arguments)

    async def others():
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(search_module, "marks", marks)
    task = asyncio.create_task(others())
    assert len(await find("the", limit=300)) == 300
    task.cancel()
    assert len(marked_at) >= 300
