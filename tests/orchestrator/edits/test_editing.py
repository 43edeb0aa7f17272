"""Correcting a transcript over the HTTP API: what is shown, found, exported and kept afterwards."""

import asyncio
import json
import random
import threading
from typing import Any

import httpx
import pytest
from pyarrow.dataset import dataset

from orchestrator.intake import corrections
from orchestrator.transcripts import reader
from orchestrator.transcripts.edits.alignment import timed
from orchestrator.transcripts.words import vectors
from reelscribe.contracts.scopes import Scope
from reelscribe.errors import StreamCut
from reelscribe.http.access.admission import ANYONE
from reelscribe.http.access.tokens import Token, Tokens
from tests.orchestrator.contract import CONTRACT
from tests.orchestrator.edits.conftest import SAID, TALK, URL
from tests.waiting import eventually

ANONYMOUS = ANYONE.name
MACHINE = [(4.0 * number, 4.0 * number + 3, text, None) for number, text in enumerate(SAID)]


async def test_a_text_is_changed_and_undone(edit, undo, read, api):
    changed = await edit(4, 7, "  We meet\nPeter. ")
    assert (changed["revision"], [one["text"] for one in changed["segments"]]) == (1, ["We meet Peter."])
    assert await read() == [MACHINE[0], (4, 7, "We meet Peter.", ANONYMOUS), MACHINE[2]]
    assert await read(as_heard=True) == MACHINE
    assert (await undo())["segments"][0]["text"] == "We meat Peter."
    assert await read() == MACHINE
    redone = await undo(2)
    assert (redone["revision"], redone["edit"]["undoes"], redone["segments"][0]["text"]) == (3, 2, "We meet Peter.")
    history = (await api.get(f"/api/edits/{TALK}")).json()
    assert [(one["revision"], one["undoes"], one["undone_by"]) for one in history["edits"]] == [
        (3, 2, None), (2, 1, 3), (1, None, None),
    ]  # fmt: skip
    texts = [(one["replaced"][0]["text"], one["segments"][0]["text"]) for one in history["edits"]]
    assert texts == [(SAID[1], "We meet Peter."), ("We meet Peter.", SAID[1]), (SAID[1], "We meet Peter.")]


async def test_segments_are_split_merged_removed_and_added(edit, undo, read, sql):
    await edit(0, 3, "Good", "morning.")
    assert await read() == [(0, 1, "Good", ANONYMOUS), (1, 3, "morning.", ANONYMOUS), *MACHINE[1:]]
    await edit(1, 7, "Morning, we meet Peter.", base=1)
    assert await read() == [(0, 1, "Good", ANONYMOUS), (1, 7, "Morning, we meet Peter.", ANONYMOUS), MACHINE[2]]
    await edit(8, 11, base=2)
    assert await read() == [(0, 1, "Good", ANONYMOUS), (1, 7, "Morning, we meet Peter.", ANONYMOUS)]
    await edit(11, 12.004, "Goodbye.", base=3)
    assert (await read())[2:] == [(11, 12.004, "Goodbye.", ANONYMOUS)]
    assert await read(as_heard=True) == MACHINE
    for _ in range(4):
        await undo()
    assert await read() == MACHINE
    assert await sql("select count(*) from replaced_segments") == [(0,)]
    assert await sql("select count(*) from edited_ranges") == [(0,)]
    assert (await undo(status=409))["code"] == "nothing_to_undo"


async def test_of_two_edits_of_one_segment_the_second_is_a_conflict_with_both_texts(edit, read):
    first, second = await asyncio.gather(
        edit(0, 3, "Good day."), edit(4, 7, "We meet Peter.")
    )  # of different segments: no conflict
    assert sorted((first["revision"], second["revision"])) == [1, 2]
    refused = await edit(4, 7, "We greet Peter.", base=0, status=409)
    assert (refused["code"], refused["revision"]) == ("edit_conflict", 2)
    assert [one["text"] for one in refused["theirs"]] == ["We meet Peter."]
    assert [one["text"] for one in refused["yours"]] == ["We greet Peter."]
    assert [text for _, _, text, _ in await read()] == ["Good day.", "We meet Peter.", SAID[2]]
    await edit(4, 7, "We greet Peter.", base=2)


async def test_a_segment_of_which_nothing_shows_is_refused(edit, read):
    assert "segments.0.text: says nothing" in (await edit(4, 7, "\u200b", status=400))["message"]
    assert await read() == MACHINE


async def test_a_conflict_with_a_merge_has_the_merged_text(edit, undo, read):
    await edit(4, 7, "We meet Peter.")
    await edit(0, 7, "Good morning, we meet Peter.", base=1)
    for start, end in ((0, 3), (4, 7)):
        refused = await edit(start, end, "Mine.", base=0, status=409)
        assert [(one["start"], one["end"], one["text"]) for one in refused["theirs"]] == [
            (0, 7, "Good morning, we meet Peter.")
        ]
    assert [one["text"] for one in (await undo(1, status=409))["theirs"]] == ["Good morning, we meet Peter."]
    await edit(0, 7, "Mine.", base=2)


async def test_of_two_concurrent_edits_of_one_segment_one_wins(edit, read, api, talk):
    body = {"job": talk.id, "base_revision": 0, "start": 0, "end": 3}
    answers = await asyncio.gather(
        *(api.post(f"/api/edits/{TALK}", json={**body, "segments": [{"text": text}]}) for text in ("One.", "Two."))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert (await read())[0][2] == won["segments"][0]["text"]


async def test_of_two_additions_in_one_place_the_second_is_a_conflict(edit, read):
    await edit(3.5, 3.5, "So.")
    refused = await edit(3.5, 3.5, "Well.", status=409)
    assert (refused["code"], [one["text"] for one in refused["theirs"]]) == ("edit_conflict", ["So."])
    assert (await read())[1] == (3.5, 3.501, "So.", ANONYMOUS)


async def test_an_addition_whose_times_a_client_has_rounded_overlaps_no_segment(edit, read):
    await edit(0, 3, {"text": "Good day.", "start": 0, "end": 2.0004}, {"text": "All.", "start": 2.5004, "end": 3})
    await edit(2, 2.501, "To you.", base=1)
    assert [one[:2] for one in await read()][:3] == [(0, 2.0004), (2.0004, 2.5004), (2.5004, 3)]


async def test_an_addition_within_what_a_person_wrote_is_refused_with_its_times(edit, read):
    await edit(4, 7, {"text": "We meet Peter.", "start": 4, "end": 6.0004}, {"text": "Yes.", "start": 6.0004, "end": 7})
    for start, end in ((4.5, 4.9), (5.5, 5.9), (4, 4)):
        refused = await edit(start, end, "Alice", base=1, status=400)
        assert "the nearest ones are from 4 to 6 s" in refused["message"]
    assert [text for _, _, text, _ in await read()] == [SAID[0], "We meet Peter.", "Yes.", SAID[2]]


async def test_others_are_served_while_the_words_of_an_edit_are_timed(edit, api, monkeypatch):
    begun, served = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        begun.set()
        assert served.wait(60)
        return timed(*args)

    monkeypatch.setattr(corrections, "timed", slow)
    edited = asyncio.create_task(edit(4, 7, "We meet Peter."))
    await eventually(begun.is_set)
    assert (await api.get(f"/api/edits/{TALK}")).json()["edits"] == []
    served.set()
    assert (await edited)["revision"] == 1


async def test_an_edit_that_someone_has_edited_again_is_not_undone(edit, undo, read):
    await edit(0, 3, "Good day.")
    await edit(0, 3, "Good night.", base=1)
    refused = await undo(1, status=409)
    assert (refused["code"], refused["theirs"][0]["text"], refused["yours"][0]["text"]) == (
        "edit_conflict", "Good night.", "Good morning.",
    )  # fmt: skip
    await undo(2)
    await undo(1)
    assert await read() == MACHINE


async def test_a_new_run_of_the_same_object_keeps_what_was_edited(edit, undo, read, store_transcript, api):
    await edit(4, 7, "We meet Peter.")
    job = await store_transcript(TALK, "Good day.", "We greet him.", force=True, seconds=5.0)
    assert await read() == [
        (0, 4, "Good day.", None),
        (4, 7, "We meet Peter.", ANONYMOUS),
        (7, 9, "We greet him.", None),
    ]
    new = [(0, 4, "Good day.", None), (5, 9, "We greet him.", None)]
    assert await read(as_heard=True) == new
    refused = await edit(0, 4, "Gut", base=1, status=409)
    assert [one["text"] for one in refused["theirs"]] == ["Good day."]
    await edit(0, 4, "Gut", base=1, job=job.id)
    await undo(2)
    await undo(1)
    assert await read() == new


@pytest.mark.parametrize("other", [{"etag": "etag-2", "modified": None}, {"task": "translate"}], ids=str)
async def test_another_object_and_a_translation_have_text_of_their_own(other, edit, undo, read, store_transcript):
    await edit(4, 7, "We meet Peter.")
    await store_transcript(TALK, "a", "b", "c", force=True, **other)
    assert [text for _, _, text, _ in await read()] == ["a", "b", "c"]
    assert (await undo(status=409))["code"] == "nothing_to_undo"
    await store_transcript(TALK, *SAID, force=True)
    assert [text for _, _, text, _ in await read()] == [SAID[0], "We meet Peter.", SAID[2]]


async def test_every_format_has_the_edited_text_and_none_of_the_replaced(edit, api):
    before = (await api.get(URL)).headers["ETag"]
    await edit(4, 7, "We", "meet Alice.")
    for format in ("txt", "paragraphs", "srt", "vtt", "tsv", "json", "jsonl"):
        text = (await api.get(URL, params={"format": format})).text
        assert "meat" not in text and "meet Alice." in text, format
        model = (await api.get(URL, params={"format": format, "as_heard": "true"})).text
        assert "meat" in model and "Alice" not in model, format
    answer = await api.get(URL, headers={"If-None-Match": before})
    document = answer.json()
    assert (answer.status_code, document["revision"], document["as_heard"]) == (200, 1, False)
    assert [one["edited"] and one["edited"]["revision"] for one in document["segments"]] == [None, 1, 1, None]
    assert (await api.get(URL, headers={"If-None-Match": answer.headers["ETag"]})).status_code == 304
    rows = [json.loads(line) for line in (await api.get(URL, params={"format": "jsonl"})).text.splitlines()]
    assert [(row["index"], row["edited_by"]) for row in rows] == [(0, None), (1, ANONYMOUS), (2, ANONYMOUS), (3, None)]


async def test_search_finds_what_is_edited_and_not_what_it_replaces(edit, undo, api):
    async def find(query: str):
        return [
            (hit["index"], hit["text"]) for hit in (await api.get("/api/search", params={"q": query})).json()["hits"]
        ]

    await edit(4, 7, "We meet", "Alice.")
    assert (await find("meat"), await find("meet")) == ([], [(1, "We meet")])
    assert await find('"meet alice thank you"') == [(3, "We meet Alice. Thank you for watching.")]
    assert await find('"morning we meet"') == [(1, "Good morning. We meet")]
    await undo()
    assert (await find("alice"), await find('"meat peter thank"')) == (
        [],
        [(2, "We meat Peter. Thank you for watching.")],
    )


async def test_a_recording_is_renamed_and_found_by_its_title(api, talk, undo, commands):
    url = f"/api/edits/{TALK}/title"
    assert (await api.post(url, json={"title": " The  first\ntalk "})).json()["title"] == "The first talk"
    assert (await api.get(URL)).json()["title"] == "The first talk"
    assert (await api.get(f"/api/jobs/{talk.id}")).json()["title"] == "The first talk"
    found = (await api.get("/api/search", params={"q": "first"})).json()
    assert (found["hits"], [one["savepath"] for one in found["titled"]]) == ([], [TALK])
    assert (await api.get("/api/search", params={"q": "first", "prefix": "other/"})).json()["titled"] == []
    assert "The first talk" in (await commands.run("list")).out
    assert (await commands.run("search", "first")).out == f"{TALK}  The first talk\n"
    assert (await api.post(url, json={"title": "Two"})).json()["edit"]["title_before"] == "The first talk"
    assert (await undo())["title"] == "The first talk"
    assert (await undo())["title"] is None
    for unseen in (" ", "\u200b", " \u2060\n"):
        assert (await api.post(url, json={"title": unseen})).status_code == 400


REFUSED = (
    ({"start": 0, "end": 2.5}, "start and end must be those of segments; the nearest ones are from 0 to 3 s"),
    ({"start": 3, "end": 0}, "end: is before start"),
    ({"segments": [{"text": " "}]}, "says nothing"),
    ({"segments": [{"text": "a" * 5001}]}, "segments"),
    ({"segments": [{"text": "a"}] * 51}, "segments"),
    ({"segments": [{"text": "a" * 5000}] * 4 + [{"text": "a"}]}, "have 20001 characters; one edit writes 20000"),
    ({"segments": [{"text": "a\0"}]}, "a NUL character cannot be stored"),
    ({"segments": [{"text": "a", "start": 0}]}, "give start and end of all of them"),
    ({"segments": [{"text": "a", "start": 0, "end": 2}, {"text": "b"}]}, "give start and end of all of them"),
    ({"segments": [{"text": "a", "start": 0, "end": 2}, {"text": "b", "start": 1, "end": 3}]}, "not overlap"),
    ({"segments": [{"text": "a", "start": 0, "end": 9}]}, "be between start and end"),
    ({"start": 0, "end": 1.4}, "start and end must be those of segments; the nearest ones are from 0 to 3 s"),
    ({"start": 1, "end": 1}, "the nearest ones are from 0 to 3 s"),
    ({"start": 2.9, "end": 3.5}, "the nearest ones are from 0 to 3 s"),
    ({"start": 2.9, "end": 4.1}, "the nearest ones are from 0 to 7 s"),
    ({"start": 4, "end": 4}, "the nearest ones are from 4 to 7 s"),
    ({"start": 11, "end": 12.1}, "the recording ends at 12 s"),
    ({"start": 100, "end": 101}, "the recording ends at 12 s"),
)


async def test_what_cannot_be_is_refused_with_a_sentence(api, talk, read):
    for body, sentence in REFUSED:
        complete = {"job": talk.id, "base_revision": 0, "start": 0, "end": 3, "segments": [{"text": "a"}], **body}
        answer = await api.post(f"/api/edits/{TALK}", json=complete)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
        assert sentence in answer.json()["error"]["message"]
    assert await read() == MACHINE


async def test_without_a_transcript_there_is_nothing_to_edit(api, submit):
    await submit("queued.mp4")
    for savepath in ("queued.mp4", "none.mp4"):
        for ending, body in (("/undo", {}), ("/title", {"title": "a"})):
            assert (await api.post(f"/api/edits/{savepath}{ending}", json=body)).status_code == 404
        assert (await api.get(f"/api/edits/{savepath}")).status_code == 404
    edit = {"job": 1, "base_revision": 0, "start": 0, "end": 3, "segments": []}
    assert (await api.post("/api/edits/queued.mp4", json=edit)).status_code == 404


async def test_edits_are_shown_and_left_out_on_the_command_line(edit, commands, api, read_parquet):
    await edit(4, 7, "We meet Peter.")
    await api.post(f"/api/edits/{TALK}/title", json={"title": "One"})
    assert (await commands.run("show", TALK)).out.splitlines()[1] == "We meet Peter."
    assert (await commands.run("show", TALK, "--as-heard")).out.splitlines() == list(SAID)
    shown = (await commands.run("show", TALK, "--history")).out.splitlines()
    assert [line[:3] for line in shown] == ["2  ", "  -", "  +", "1  ", "  -", "  +"]
    assert shown[4:] == ["  - We meat Peter.", "  + We meet Peter."]
    history = json.loads((await commands.run("show", TALK, "--history", "--json")).out)
    assert [one["author"] for one in history] == [ANONYMOUS] * 2
    assert await read_parquet() == [("One", None), ("One", ANONYMOUS), ("One", None)]
    assert await read_parquet("--as-heard") == [("One", None)] * 3
    exported = (await commands.run("export", TALK, "--format", "srt", "--as-heard")).out
    assert "We meat Peter." in exported
    assert (await commands.run("verify", "--all")).code == 0
    assert (await commands.run("delete", TALK, "--yes")).out == ("removed 1 transcript, 1 job, 2 edits of 1 savepath\n")


@pytest.fixture
def read_parquet(commands, tmp_path):
    async def export(*options: str):
        assert (
            await commands.run("export", "--all", "--format", "parquet", "--output", str(tmp_path / "set"), *options)
        ).code == 0
        table = dataset(tmp_path / "set", partitioning="hive").to_table().sort_by("index")
        return list(zip(table["title"].to_pylist(), table["edited_by"].to_pylist(), strict=True))

    return export


async def test_a_transcript_that_is_edited_while_it_is_read_is_cut_and_never_mixed(edit, talk, pool, monkeypatch):
    monkeypatch.setattr(reader, "SEGMENTS_PER_READ", 1)
    pages = reader.pages(pool, talk)
    await anext(pages)
    await edit(0, 3, "Good", "day")
    with pytest.raises(StreamCut, match="edited"):
        await anext(pages)


async def test_any_sequence_of_edits_is_what_a_list_would_be_and_is_indexed_as_such(edit, undo, read, sql, pool, talk):
    chance, revision = random.Random(5), 0
    undoable: list[Any] = []
    model = [one[:3] for one in MACHINE]
    for _ in range(25):
        if undoable and chance.random() < 0.3:
            model = undoable.pop()
            revision = (await undo())["revision"]
        else:
            undoable.append(model)
            first = chance.randrange(len(model)) if model else 0
            last = min(first + chance.randrange(3), len(model) - 1)
            start, end = (model[first][0], model[last][1]) if model else (0.0, 11.0)
            texts = [chance.choice(("a b", "c", "d e f")) for _ in range(chance.randrange(4))]
            answer = await edit(start, end, *texts, base=revision)
            revision = answer["revision"]
            written = [(one["start"], one["end"], one["text"]) for one in answer["segments"]]
            assert [text for _, _, text in written] == texts
            model = [*model[:first], *written, *model[last + 1 :]]
        assert [one[:3] for one in await read()] == model
        stored = await sql("select index, search::text from segments order by index")
        as_new = await sql("select v::tsvector::text from unnest(%s::text[]) as v", vectors([one[2] for one in model]))
        assert stored == [(number, search) for number, (search,) in enumerate(as_new)]


async def test_the_author_is_the_name_of_the_token_which_may_submit(serving, talk):
    tokens = Tokens((Token("secret-ann", "ann"), Token("secret-bob", "bob", Scope.READ)))
    body = {"job": talk.id, "base_revision": 0, "start": 0, "end": 3, "segments": [{"text": "Good day."}]}
    async with httpx.AsyncClient(base_url=serving(tokens), event_hooks={"response": [CONTRACT.check]}) as api:
        for name, status in (("bob", 403), ("ann", 200)):
            headers = {"Authorization": f"Bearer secret-{name}"}
            answer = await api.post(f"/api/edits/{TALK}", json=body, headers=headers)
            assert answer.status_code == status, answer.text
    assert answer.json()["edit"]["author"] == answer.json()["segments"][0]["edited"]["author"] == "ann"
