"""What a run finds of earlier ones that have crashed, what it leaves to another process, and rows of lists."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.ingest.ingestion import UNFINISHED, locked
from orchestrator.ingest.names import folder_name
from orchestrator.intake.submission import Submission
from orchestrator.jobs.ingested import VideoKey
from tests.orchestrator.commands import InProcess
from tests.orchestrator.ingest.conftest import TALK, Sql, reported, stored
from tests.orchestrator.ingest.web import Web


async def test_what_was_stored_before_a_crash_is_submitted_after_it(
    web: Web, bucket: Path, commands: InProcess, sql: Sql
) -> None:
    url = web.video("talk.mp4", TALK)
    await commands.run("ingest", url)
    await sql("update ingested set state = 'storing'")
    await sql("delete from jobs")

    ran = await commands.run("ingest", url, "--json")

    assert reported(ran)[0]["outcome"] == "there" and len(web.downloads("talk.mp4")) == 2
    assert await sql("select state from ingested") == [("stored",)]
    assert len(await sql("select id from jobs")) == 1


@pytest.mark.parametrize("state", ["storing", "unfinished"])
async def test_the_download_that_a_crash_left_of_an_object_is_removed(
    state: str, web: Web, bucket: Path, commands: InProcess, sql: Sql
) -> None:
    url = web.video("talk.mp4", TALK)
    await commands.run("ingest", url)
    [(extractor, video_id)] = await sql(f"update ingested set state = '{state}' returning extractor, video_id")
    folder = bucket / UNFINISHED / folder_name(VideoKey(extractor, video_id))
    folder.mkdir(parents=True)
    (folder / "media.mp4").write_bytes(TALK)
    folder.with_name(f"{folder.name}.lock").touch()

    ran = await commands.run("ingest", url, "--json")

    assert reported(ran)[0]["outcome"] == "there"
    assert list(stored(bucket).values()) == [TALK] and not (bucket / UNFINISHED).exists()


async def test_a_download_is_removed_before_it_is_submitted(
    web: Web, bucket: Path, commands: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[dict[str, bytes]] = []
    submit = Submission.take

    async def take(*arguments: Any) -> None:
        left.append(stored(bucket))
        await submit(*arguments)

    monkeypatch.setattr(Submission, "take", take)
    assert (await commands.run("ingest", web.video("talk.mp4", TALK))).code == 0
    [files] = left
    assert [name for name in files if "media" in name] == []


async def test_what_a_crash_left_in_another_bucket_is_not_submitted_to_this_one(
    web: Web, bucket: Path, commands: InProcess, sql: Sql
) -> None:
    url = web.video("talk.mp4", TALK)
    await commands.run("ingest", url)
    bucket.rename(bucket.with_name("others"))
    bucket.mkdir()
    await sql("update ingested set state = 'storing', bucket = 'others'")

    ran = await commands.run("ingest", url, "--json")

    assert reported(ran)[0]["outcome"] == "stored"
    assert list(stored(bucket).values()) == [TALK]


def test_a_lock_that_was_removed_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with path.open("w") as late, path.open("w") as first:
        assert locked(first, path) and not locked(late, path)
        path.unlink()
        first.close()
        with path.open("w") as next:
            assert locked(next, path) and not locked(late, path)


async def test_a_row_that_is_no_address_ends_no_list(
    web: Web, bucket: Path, commands: InProcess, tmp_path: Path
) -> None:
    url = web.video("talk.mp4", TALK)
    (tmp_path / "list.csv").write_text(f"http://a/\0\nhttp://a/{3000 * 'b'}\n{url}\n")

    ran = await commands.run("ingest", "--csv", str(tmp_path / "list.csv"), "--json")

    assert [each["outcome"] for each in reported(ran)] == ["failed", "failed", "stored"]
