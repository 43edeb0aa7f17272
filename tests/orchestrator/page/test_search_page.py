"""The search page as it is served: it works without a script, and shows all text literally."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.page.checks import check_html

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def client(serving: Callable[[Tokens], str]):
    async with httpx.AsyncClient(base_url=serving(Tokens()), headers={"Accept": "text/html"}) as client:
        yield client


async def test_results_are_rendered_by_the_server_with_marks_and_links(client, store_transcript):
    await store_transcript("talks/a b.mp4", "We left at 5 p.m. with", "two horses. Horses!", language="en")
    html = (await client.get("/search", params={"q": "5 pm hors*"})).text
    assert "Nothing found" in html and 'value="5 pm hors*"' in html
    html = (await client.get("/search", params={"q": '"5 pm"', "prefix": "talks/", "language": "en"})).text
    assert "We left at <mark>5 p.m</mark>. with" in html
    assert 'href="/media/talks/a%20b.mp4?q=5+p.m#t=0.0"' in html
    assert '<option value="en" selected>English</option>' in html and "1 place<" in html
    html = (await client.get("/search", params={"q": "horses"})).text
    assert "two <mark>horses</mark>. <mark>Horses</mark>!" in html


async def test_the_link_of_a_hit_never_leads_to_the_line_before(client, store_transcript):
    await store_transcript("talks/file", "we left", "with horses", seconds=7.12)
    html = (await client.get("/search?q=horses")).text
    assert 'href="/media/talks%2Ffile?q=horses#t=7.12"' in html and 'data-media="/api/media/talks%2Ffile"' in html


async def test_recordings_whose_title_has_the_words_are_shown_before_what_was_said(client, store_transcript):
    for name in ("talks/a b.mp4", "b.mp4"):
        await store_transcript(name, "we meet in Vermont", language="en")
    titled = await client.post("/api/edits/talks/a b.mp4/title", json={"title": f"An orchard {MARKUP}"})
    assert titled.status_code == 200
    html = (await client.get("/search?q=orchard")).text
    assert '<a href="/media/talks/a%20b.mp4">An orchard &lt;img' in html and "Nothing found in what was said" in html
    assert MARKUP not in html
    html = (await client.get("/search?q=vermont")).text
    assert "Titles with these words" not in html and html.count("<article") == 2
    await client.post("/api/edits/b.mp4/title", json={"title": "Vermont"})
    html = (await client.get("/search?q=vermont")).text
    assert 0 < html.index('<a href="/media/b.mp4">Vermont</a>') < html.index("<article")


async def test_markup_is_shown_literally_and_cannot_be_an_address(client, store_transcript):
    await store_transcript(f"{MARKUP}/file", f"{MARKUP} word", language="en")
    html = (await client.get("/search", params={"q": "word", "prefix": MARKUP})).text
    assert MARKUP not in html and "<mark>word</mark>" in html
    assert "%2Ffile?q=word" in html  # else it is the address of the recording that is called as the folder
    assert MARKUP not in (await client.get("/search", params={"q": MARKUP})).text


async def test_days_are_those_of_utc_and_the_form_says_so(client, store_transcript):
    await store_transcript("late.mp4", "horses", modified=datetime(2026, 1, 31, 23, 30, tzinfo=UTC))
    html = (await client.get("/search?q=horses&until=2026-01-31")).text
    assert "From (UTC)<" in html and "Until (UTC)<" in html and '<time datetime="2026-01-31T23:30:00+00:00">' in html
    assert "Nothing found" in (await client.get("/search?q=horses&since=2026-02-01")).text


async def test_a_wrong_field_is_named_in_the_form(client):
    refused = await client.get("/search", params={"q": "word", "since": "yesterday"})
    assert refused.status_code == 400
    assert "From: &#x27;yesterday&#x27; is not a date" in refused.text
    assert 'value="word"' in refused.text
    assert "Give at least one word" in (await client.get("/search", params={"q": "?!"})).text


async def test_empty_fields_are_no_filters_and_each_page_leads_to_the_next(client, store_transcript):
    for number in range(11):
        await store_transcript(f"{number}.mp4", "a word")
    first = await client.get("/search?q=word&prefix=&language=&since=&until=")
    assert first.status_code == 200 and first.text.count("<article") == 10
    [older] = [part.split('"')[0] for part in first.text.split('rel="next" href="')[1:]]
    second = await client.get(older.replace("&amp;", "&"))
    assert second.text.count("<article") == 1 and "Back to the newest" in second.text
    assert (await client.get("/search")).text.count("<article") == 0
    check = await client.get("/search?q=word&after=1.0")
    assert "There is nothing older" in check.text


async def test_its_html_is_valid(client, store_transcript):
    await store_transcript("talks/a.mp4", *["a word & <b>"] * 7)
    await client.post("/api/edits/talks/a.mp4/title", json={"title": "word & <b>"})
    base = str(client.base_url)
    await asyncio.to_thread(
        check_html, f"{base}/search", f"{base}/search?q=word", f"{base}/search?q=none", f"{base}/search?q=."
    )
