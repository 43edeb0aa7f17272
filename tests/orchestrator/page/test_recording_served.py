"""The page of a recording as it is served: all of its lines are in it, whatever they say and however many they are."""

import re
from collections.abc import Callable

import httpx
import pytest

from orchestrator.page import recording
from orchestrator.page.lines import LINES_OF_A_PART, parts
from orchestrator.transcripts.queries import Line
from reelscribe.http.access.tokens import Tokens


@pytest.fixture
async def client(serving: Callable[[Tokens], str]):
    async with httpx.AsyncClient(base_url=serving(Tokens())) as client:
        yield client


async def test_each_line_is_in_it_once_in_order(client, store_transcript, monkeypatch) -> None:
    monkeypatch.setattr(recording, "LINES_PER_READ", 50)
    texts = [f"line {number}" for number in range(LINES_OF_A_PART + 75)]  # the last of three reads is not full
    await store_transcript("long.mp4", *texts)
    page = (await client.get("/media/long.mp4")).text
    assert re.findall(r'<span class="text">([^<]*)</span>', page) == texts
    assert re.findall(r'data-index="(\d+)"', page) == [str(number) for number in range(len(texts))]
    assert page.count('<div class="part">') == 3


def test_what_a_line_says_is_text_and_who_wrote_it_too() -> None:
    hostile = '</span><script>x()</script> & "it\'s"'
    made = parts([Line(7, 3661.504, 3663.0, hostile, '"><b>')])
    assert "<script>" not in made and "<b>" not in made
    assert 'data-index="7" data-start="3661.504" data-end="3663.0" data-edited="&quot;&gt;&lt;b&gt;"' in made
    assert '<a class="time" href="#t=3661.51" tabindex="-1">1:01:01</a>' in made
