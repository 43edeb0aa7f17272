"""Vocabularies: which words a transcriber is given, what is kept of that, and what a change concerns."""

import json

import httpx
import pytest

from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.contract import CONTRACT
from tests.orchestrator.scripted import transcribes


@pytest.fixture
async def api(serving):
    async with httpx.AsyncClient(base_url=serving(Tokens()), event_hooks={"response": [CONTRACT.check]}) as client:
        yield client


@pytest.fixture
def put(api):
    async def put(prefix: str, *words: str, status: int = 200):
        answer = await api.put("/api/vocabulary", json={"prefix": prefix, "words": words})
        assert answer.status_code == status, answer.text
        return answer.json()

    return put


async def test_the_words_of_all_prefixes_are_given_the_longest_first_and_kept_with_the_transcript(
    put, api, submit, working, job_in, transcriber, commands
):
    await put("", "Reelscribe", "Ilse")
    await put("talks/", "Okafor", "Ilse")
    await put("other/", "Nothing")
    transcriber.scripts = [transcribes(vocabulary=2)]
    job = await submit("talks/a.mp4", hotwords="garden")
    async with working():
        await job_in(job.id, "done")
    assert (transcriber.requests[0]["vocabulary"], transcriber.requests[0]["hotwords"]) == (
        ["Okafor", "Ilse", "Reelscribe"], "garden",
    )  # fmt: skip
    receipt = (await api.get("/api/transcripts/talks/a.mp4")).json()["receipt"]
    assert receipt["vocabulary"] == receipt["parts"][0]["vocabulary"] == {
        "lists": [
            {"prefix": "talks/", "words": ["Okafor", "Ilse"]}, {"prefix": "", "words": ["Reelscribe", "Ilse"]},
        ],
        "used": ["Okafor", "Ilse"],
        "cut": ["Reelscribe"],
    }  # fmt: skip
    assert "2 words to expect were given, of the vocabulary of talks/ and all recordings; 1 more had no room" in (
        (await commands.run("show", "talks/a.mp4")).err
    )


async def test_a_change_requeues_what_it_concerns_and_nothing_else(
    put, api, submit, working, job_in, transcriber, store_transcript
):
    async def requeue(prefix: str = "", dry_run: bool = False) -> int:
        answer = await api.post("/api/vocabulary/requeue", json={"prefix": prefix, "dry_run": dry_run})
        return answer.json()["recordings"]

    await put("talks/", "Okafor")
    transcriber.scripts = [transcribes(vocabulary=1)]
    given = await submit("talks/given.mp4")
    async with working():
        await job_in(given.id, "done")
    await store_transcript("talks/old.mp4", "a", beam_size=2)
    await store_transcript("other/b.mp4", "a")
    assert (await requeue(dry_run=True), await requeue("other/", dry_run=True)) == (1, 0)
    assert await requeue() == 1
    jobs = (await api.get("/api/jobs", params={"state": "queued"})).json()["jobs"]
    assert [(job["savepath"], job["options"]) for job in jobs] == [("talks/old.mp4", {"beam_size": 2})]
    assert await requeue(dry_run=True) == 0
    await put("talks/")
    assert await requeue("talks/", dry_run=True) == 1


async def test_a_recording_with_two_transcripts_is_counted_once(put, commands, store_transcript, sql):
    await put("", "Ilse")
    for savepath, options in (("a.mp4", {}), ("a.mp4", {"beam_size": 2}), ("b.mp4", {})):
        await store_transcript(savepath, "a", **options)
    await store_transcript("a.mp4", "a", bucket="calls")
    would = await commands.run("vocabulary", "requeue", "--dry-run")
    assert would.out == "would transcribe 3 recordings again\n"
    assert (await commands.run("vocabulary", "requeue", "--yes")).out == "3 recordings queued again\n"
    assert await sql("select count(*) from jobs where state = 'queued'") == [(4,)]


@pytest.mark.parametrize(
    "words", [["a,b"], [" "], ["a\0"], ["a" * 101], ["a"] * 201], ids=lambda words: ascii(words)[:9]
)
async def test_a_word_that_cannot_be_given_is_refused(words, put):
    assert (await put("talks/", *words, status=400))["error"]["code"] == "bad_request"


async def test_a_list_that_no_savepath_has_is_refused_and_one_of_before_can_be_removed(put, sql):
    refused = await put("/talks", "Ilse", status=400)
    assert "no savepath starts with '/talks', which must not start with '/'" in refused["error"]["message"]
    await sql("insert into vocabularies (prefix, words, changed_by) values ('/talks', '{Ilse}', 'before')")
    assert await put("/talks") == {"lists": []}


async def test_lists_are_changed_on_the_command_line(commands, tmp_path, store_transcript):
    names = tmp_path / "names.txt"
    names.write_text("Peter Okafor\n\nIlse\n")
    made = await commands.run("vocabulary", "set", "--prefix", "talks/", "--from-file", str(names), "Ann")
    assert (made.code, made.out) == (0, "talks/: Ann, Peter Okafor, Ilse\n")
    assert (await commands.run("vocabulary", "add", "Reelscribe")).out.startswith("all savepaths: Reelscribe\n")
    await commands.run("vocabulary", "add", "--prefix", "talks/", "Bob", "Ann")
    await commands.run("vocabulary", "remove", "--prefix", "talks/", "Ilse")
    found = json.loads((await commands.run("vocabulary", "list", "--json")).out)
    assert [(one["prefix"], one["words"]) for one in found] == [
        ("", ["Reelscribe"]), ("talks/", ["Ann", "Peter Okafor", "Bob"]),
    ]  # fmt: skip
    assert (await commands.run("vocabulary", "set")).code == 2
    await store_transcript("talks/a.mp4", "hello")
    assert (await commands.run("vocabulary", "requeue", "--dry-run")).out == "would transcribe 1 recording again\n"
    assert (await commands.run("vocabulary", "requeue")).code == 2
    assert (await commands.run("vocabulary", "requeue", "--yes")).out == "1 recording queued again\n"
    await commands.run("vocabulary", "remove", "--prefix", "talks/")
    assert (await commands.run("vocabulary", "list")).out == "all savepaths: Reelscribe\n"


async def test_a_file_of_words_may_begin_with_a_byte_order_mark(commands, tmp_path):
    names = tmp_path / "names.txt"
    names.write_bytes("Zoë\r\nIlse\r\n".encode("utf-8-sig"))
    assert (await commands.run("vocabulary", "set", "--from-file", str(names))).out == "all savepaths: Zoë, Ilse\n"


async def test_a_word_that_is_named_twice_or_is_there_already_counts_once(commands, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"word {number}" for number in range(200)))
    made = await commands.run("vocabulary", "set", "word 7", "--from-file", str(names), "--json")
    assert (made.code, len(json.loads(made.out)[0]["words"])) == (0, 200), made.err
    same = await commands.run("vocabulary", "add", "word 7", "--from-file", str(names), "--json")
    assert (same.code, json.loads(same.out)[0]["words"]) == (0, json.loads(made.out)[0]["words"]), same.err
    more = await commands.run("vocabulary", "add", "Ilse")
    assert (more.code, more.err) == (1, "a vocabulary has 200 words at most; this one would have 201\n")


@pytest.mark.parametrize("command", ["set", "add"])
@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ("Ilse\n\nZoë\n".encode("latin-1"), "{file}:3 is not UTF-8 text"),
        ("Ilse\n".encode("utf-16"), "{file}:1 is not UTF-8 text"),
        (b"Ilse\nOkafor, Peter\n", "{file}:2: holds a comma, which separates words"),
        (b"a" * 101, "{file}:1: must have at most 100 characters"),
        (b"\n".join(b"word %d" % number for number in range(200)), "a vocabulary has 200 words at most; these are 201"),
    ],
    ids=["latin-1", "utf-16", "comma", "long", "many"],
)
async def test_a_file_with_a_line_that_is_no_word_is_refused_with_its_line(
    content, mistake, command, commands, tmp_path, sql
):
    names = tmp_path / "names.txt"
    names.write_bytes(content)
    refused = await commands.run("vocabulary", command, "Ann", "--from-file", str(names))
    assert (refused.code, refused.out, refused.err) == (2, "", mistake.format(file=names) + "\n")
    assert await sql("select count(*) from vocabularies") == [(0,)]


async def test_an_argument_that_is_no_word_is_named(commands):
    refused = await commands.run("vocabulary", "set", "Ilse", "a,b")
    assert (refused.code, refused.err) == (2, "WORD 'a,b': holds a comma, which separates words\n")


async def test_what_is_not_there_to_be_removed_is_reported(commands):
    await commands.run("vocabulary", "set", "--prefix", "v1/", "Ilse", "Ann")
    for arguments, mistake in [
        (["--prefix", "typo/"], "there is no vocabulary of typo/"),
        (["--prefix", "typo/", "Ilse"], "there is no vocabulary of typo/"),
        (["Ilse"], "there is no vocabulary of all savepaths"),
        (["--prefix", "v1/", "No one"], "No one is not in the vocabulary of v1/"),
    ]:
        outcome = await commands.run("vocabulary", "remove", *arguments)
        assert (outcome.code, outcome.err, outcome.out) == (1, f"{mistake}\n", "v1/: Ilse, Ann\n")
    some = await commands.run("vocabulary", "remove", "--prefix", "v1/", "No one", "Ann", "--json")
    assert (some.code, some.err) == (1, "No one is not in the vocabulary of v1/\n")
    assert [one["words"] for one in json.loads(some.out)] == [["Ilse"]]
    assert (await commands.run("vocabulary", "remove", "--prefix", "v1/", "Ilse")).code == 0
