"""From a web server into the bucket and the queue, with the real yt-dlp."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import pytest
from minio import Minio

from orchestrator.ingest.names import video_key
from tests.orchestrator.commands import InProcess, Orchestrator, gone, processes_of, read_all, read_until
from tests.orchestrator.ingest.conftest import TALK, Sql, configure, reported, stored
from tests.orchestrator.ingest.web import Page, Web
from tests.s3_server import SECRET, put, s3_server
from tests.waiting import blocking_eventually

OTHER = random.Random(2).randbytes(300_000)


async def test_pages_files_lists_and_redirects_become_objects_and_jobs(
    web: Web, bucket: Path, commands: InProcess, sql: Sql, tmp_path: Path
) -> None:
    first, second = web.video("a/talk.mp4", TALK), web.video("b/talk.mp4", OTHER)
    web.pages["moved"] = Page(status=302, headers={"Location": "/c/new.webm"})
    web.video("c/new.webm", OTHER[:1000], type="video/webm")
    page, feed = web.page("page.html", "/d/clip.mp4"), web.feed("feed.xml", first, second, web.url("missing.mp4"))
    web.video("d/clip.mp4", TALK[:1000])

    options = ("--into", "web-talks/", "--priority", "7", "--language", "de")
    ran = await commands.run("ingest", page, web.url("moved"), "--playlist", feed, *options, "--json")

    assert ran.code == 0, ran.err
    found = reported(ran)
    assert [each["outcome"] for each in found] == ["stored", "stored", "stored", "stored", "gone"]
    contents = stored(bucket)
    assert sorted(contents.values()) == sorted([TALK, OTHER, OTHER[:1000], TALK[:1000]])
    assert sorted(contents) == sorted(each["savepath"] for each in found if each["savepath"])
    assert all(name.startswith("web-talks/web/") for name in contents)
    two = [name for name in contents if name.startswith("web-talks/web/talk-")]
    assert sorted(contents[name] for name in two) == sorted([TALK, OTHER]), "talk.mp4 of two folders"
    assert sorted(name for (name,) in await sql("select m.savepath from jobs j join media m on m.id = j.media_id")) == (
        sorted(contents)
    )

    assert "yt-dlp 20" in (await commands.run("check")).out
    assert await sql("select distinct options ->> 'language', priority from jobs") == [("de", 7)]

    asked = web.asked["a/talk.mp4"], web.asked["missing.mp4"], web.asked["page.html"]
    (tmp_path / "list.csv").write_text(f'label,url\n"a, b",{page}\nc,{web.url("moved")}\n')
    again = await commands.run("ingest", "--csv", str(tmp_path / "list.csv"), "--channel", feed, "--json")

    assert again.code == 0
    assert sorted(each["outcome"] for each in reported(again)) == ["gone", *["there"] * 4]
    [missing] = [each for each in reported(again) if each["outcome"] == "gone"]
    assert "404" in missing["message"] and missing["known"]
    assert (web.asked["a/talk.mp4"], web.asked["missing.mp4"], web.asked["page.html"]) == asked, "asked again"
    assert stored(bucket) == contents


async def test_a_limit_counts_downloads_and_what_was_removed_from_the_bucket_is_fetched_on_request(
    web: Web, bucket: Path, commands: InProcess
) -> None:
    feed = web.feed("feed.xml", web.video("a/talk.mp4", TALK), web.video("b/talk.mp4", OTHER))

    assert (await commands.run("ingest", feed, "--limit", "1")).code == 0
    [(first, content)] = stored(bucket).items()
    assert content == TALK
    (bucket / first).unlink()
    assert (await commands.run("ingest", feed, "--limit", "1")).code == 0
    assert list(stored(bucket).values()) == [OTHER]
    assert (await commands.run("ingest", feed, "--again")).code == 0
    assert stored(bucket)[first] == TALK and len(stored(bucket)) == 2


async def test_a_cut_download_is_resumed_and_an_object_that_is_there_is_kept(
    web: Web, bucket: Path, commands: InProcess
) -> None:
    cut = web.video("cut.mp4", TALK, etag='"one"', cut_after=100_000, cuts=4)
    there = web.video("talk.mp4", OTHER)
    mine = bucket / "web" / f"{video_key('Generic', 'talk', there).video_id}.mp4"
    mine.parent.mkdir()
    mine.write_text("mine")

    ran = await commands.run("ingest", cut, there, "--json")

    assert ran.code == 0, ran.err
    resumed, kept = reported(ran)
    assert (kept["outcome"], kept["message"]) == (
        "there",
        "the bucket had an object of this savepath already, which was kept",
    )
    assert len(web.downloads("talk.mp4")) == 1, "it was not only looked at"
    assert stored(bucket) == {resumed["savepath"]: TALK, kept["savepath"]: b"mine"}
    assert bucket / kept["savepath"] == mine
    assert [range is None for range in web.downloads("cut.mp4")] == [True] * 3 + [False] + [True] + [False]


async def test_two_versions_of_a_file_are_never_joined(
    web: Web, bucket: Path, commands: InProcess, orchestrator: Orchestrator
) -> None:
    def serve(content: bytes, version: str, **options: Any) -> list[str]:
        return [
            web.video("tagged.mp4", content, etag=f'"{version}"', **options),
            web.video(
                "dated.mp4", content, headers={"Last-Modified": f"Sat, 28 Nov 2026 10:00:0{version} GMT"}, **options
            ),
            web.video("longer.mp4", content + content[: 1000 * int(version)], etag='"same"', **options),
            web.video("bare.mp4", content, **options),
        ]

    configure(orchestrator, attempts=1)
    urls = serve(TALK, "1", cut_after=100_000, cuts=2)
    cut = await commands.run("ingest", *urls)
    assert (cut.code, cut.out) == (75, "4 later\n"), cut.err
    assert stored(bucket).keys() & {name for name in stored(bucket) if not name.startswith(".")} == set()
    serve(OTHER, "2")
    ran = await commands.run("ingest", *urls)

    assert ran.code == 0, ran.err
    assert sorted(stored(bucket).values()) == sorted([OTHER, OTHER, OTHER + OTHER[:2000], OTHER])


async def test_a_file_that_changes_during_the_download_is_downloaded_again(
    web: Web, bucket: Path, commands: InProcess
) -> None:
    url = web.video("talk.mp4", TALK, etag='"one"', stalls_after=100_000)
    before = web.pages["talk.mp4"]

    def change() -> None:
        blocking_eventually(lambda: unfinished(bucket) >= 50_000)
        web.video("talk.mp4", OTHER, etag='"two"')
        before.released.set()

    before.released.clear()
    ran, _ = await asyncio.gather(commands.run("ingest", url), asyncio.to_thread(change))

    assert ran.code == 0, ran.err
    assert "the file has changed on the server during the download; attempt 2 of 5" in ran.err
    assert list(stored(bucket).values()) == [OTHER]


async def test_a_file_that_gets_another_size_before_the_download_is_downloaded_again(
    web: Web, bucket: Path, commands: InProcess
) -> None:
    url = web.video("talk.m4a", TALK, type="audio/mp4", then=Page(OTHER[:200_000], "audio/mp4"))

    ran = await commands.run("ingest", url)

    assert ran.code == 0, ran.err
    assert "200000 bytes came of a file of 300000; attempt 2 of 5" in ran.err
    assert list(stored(bucket).values()) == [OTHER[:200_000]]


async def test_a_file_without_a_byte_is_no_fault_of_yt_dlp(
    web: Web, bucket: Path, commands: InProcess, orchestrator: Orchestrator
) -> None:
    configure(orchestrator, attempts=2)
    empty, cut = web.video("empty.m4a", b"", type="audio/mp4"), web.video("cut.m4a", b"", lengths=False)

    ran = await commands.run("ingest", empty, cut, web.video("talk.mp4", TALK), "--json")

    assert (ran.code, "out of date" in ran.err) == (1, False)
    assert [(each["outcome"], each["reason"]) for each in reported(ran)] == [
        ("failed", "refused"),
        ("later", "network"),
        ("stored", None),
    ], reported(ran)
    assert reported(ran)[0]["message"] == "the file is empty"


async def test_words_of_an_address_do_not_decide_what_a_failure_is(web: Web, bucket: Path, commands: InProcess) -> None:
    names = ("captcha-explained.m4a", "rate%20limit:%20x.m4a", "celebrate-limits.m4a", "premieres-in-may.m4a")
    web.pages["unusual%20traffic.html"] = Page(b"<html></html>", "text/html")
    web.pages["captcha.m4a"] = Page(status=403)
    addresses = [web.url(name) for name in (*names, "unusual%20traffic.html", "captcha.m4a")]

    ran = await commands.run("ingest", *addresses, "http://127.0.0.1:9/captcha.m4a", "--json")

    found = reported(ran)
    assert [each["reason"] for each in found] == [*["gone"] * 6, "network"], [each["message"] for each in found]
    assert "captcha-explained" in found[0]["message"]


def unfinished(bucket: Path) -> int:
    """Bytes of a download that is not finished."""
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in bucket.glob(".reelscribe-ingest/*/media*.part"))
    return 0


async def test_failures_are_distinguished_and_a_source_that_has_had_enough_is_left_alone_by_all(
    web: Web, bucket: Path, commands: InProcess, orchestrator: Orchestrator
) -> None:
    configure(orchestrator, attempts=2, max_bytes=200_000, timeout=2)
    web.pages["error.mp4"] = Page(status=503)
    web.pages["secret.mp4"] = Page(status=403)
    web.pages["empty.html"] = Page(b"<html><body>No video</body></html>", "text/html")
    web.pages["inside.mp4"] = Page(status=302, headers={"Location": web.url("talk.mp4", host="127.0.0.2")})
    web.pages["busy.mp4"] = Page(status=429, headers={"Retry-After": "7200"})
    web.video("talk.mp4", TALK[:1000])
    web.video("longer.mp4", TALK, lengths=False)
    addresses = [
        *(web.url("missing.mp4"), web.url("secret.mp4"), web.url("empty.html"), web.url("error.mp4")),
        *("http://127.0.0.1:9/closed.mp4", web.video("large.mp4", TALK), web.url("longer.mp4")),
        *(web.url("inside.mp4"), web.page("inside.html", web.url("talk.mp4", host="127.0.0.2")), web.url("busy.mp4")),
        web.url("talk.mp4"),
    ]

    ran = await commands.run("ingest", *addresses, "--json")

    found = reported(ran)
    assert [(each["outcome"], each["reason"]) for each in found] == [
        *[("gone", "gone")] * 3,
        *[("later", "network")] * 2,
        *[("failed", "refused")] * 4,
        *[("later", "blocked")] * 2,
    ], [each["message"] for each in found]
    assert ran.code == 1
    assert web.asked["error.mp4"] == 2 and web.asked["talk.mp4"] == 0
    assert all("larger than max-filesize" in each["message"] for each in found[5:7])
    assert all("private address" in each["message"] for each in found[7:9])
    assert stored(bucket) == {}

    asked = web.asked.copy()
    other = await commands.run("ingest", web.url("talk.mp4"))
    assert other.code == 75 and "is left alone until" in other.err and web.asked == asked
    listed = await commands.run("ingest", "list", "--json")
    pause = json.loads(listed.out)["left_alone"]["127.0.0.1"]
    assert "429" in pause["message"]
    left = (datetime.fromisoformat(pause["until"]) - datetime.now(UTC)).total_seconds()
    assert 3600 < left <= 7200, "Retry-After is longer than pause_seconds"
    assert {each["reason"] for each in json.loads(listed.out)["recordings"]} == {
        "gone",
        "network",
        "refused",
        "blocked",
    }
    assert "127.0.0.1" in (await commands.run("ingest", "resume")).out
    assert (await commands.run("ingest", web.url("talk.mp4"))).code == 0


async def test_a_download_survives_ctrl_c_and_kill_and_is_resumed(
    web: Web, bucket: Path, commands: InProcess, orchestrator: Orchestrator, tmp_path: Path
) -> None:
    url = web.video("talk.mp4", TALK, etag='"one"', stalls_after=100_000)

    stopped = await orchestrator.start("ingest", url)
    await asyncio.to_thread(blocking_eventually, lambda: unfinished(bucket) >= 50_000)
    other = await commands.run("ingest", url)
    assert other.code == 75 and "another process is downloading it" in other.err
    ended = await stopped.ends(signal.SIGINT)
    assert ended.code == 130 and "run it again to continue" in ended.err
    assert await gone(tmp_path / "ingest"), processes_of(tmp_path / "ingest")
    first = unfinished(bucket)
    assert first >= 50_000

    killed = await orchestrator.start("ingest", url)
    await asyncio.to_thread(blocking_eventually, lambda: unfinished(bucket) >= first + 50_000)
    await killed.ends(signal.SIGKILL)
    assert await gone(tmp_path / "ingest"), processes_of(tmp_path / "ingest")
    assert {name.partition("/")[0] for name in stored(bucket)} == {".reelscribe-ingest"}

    web.pages["talk.mp4"].stalls_after = None
    ran = await commands.run("ingest", url)

    assert ran.code == 0, ran.err
    assert list(stored(bucket).values()) == [TALK]
    begun = [int(str(range).removeprefix("bytes=").rstrip("-")) for range in web.downloads("talk.mp4") if range]
    assert begun[-1] >= first + 50_000, web.downloads("talk.mp4")


async def test_a_terminal_shows_a_bar(web: Web, bucket: Path, orchestrator: Orchestrator) -> None:
    url = web.video("talk.mp4", TALK, stalls_after=100_000)
    terminal, end = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "ingest", url, "--config", str(orchestrator.config)),
        stdout=end,
        stderr=end,
        env={**os.environ, "COLUMNS": "160", "TERM": "xterm"},
    )
    os.close(end)
    shown = await asyncio.to_thread(read_until, terminal, "/300.0 kB")
    web.pages["talk.mp4"].released.set()
    shown += await asyncio.to_thread(read_all, terminal)
    assert await process.wait() == 0
    assert "━" in shown and "stored    web/talk-" in shown and "1 stored" in shown


async def test_recordings_go_to_minio_through_its_api(
    web: Web, bucket: Path, commands: InProcess, orchestrator: Orchestrator, tmp_path: Path
) -> None:
    url = web.video("talk.mp4", TALK)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    with s3_server(tmp_path / "console") as port:
        put(port, "first.mp4", b"")
        keys = f"access_key = reader\nsecret_key_file = {tmp_path / 'secret'}\nsecure = false\n"
        with orchestrator.config.open("a") as config:
            config.write(f"[minio]\nendpoint = 127.0.0.1:{port}\n{keys}")
        ran = await commands.run("ingest", url, "--json")
        assert ran.code == 0, ran.err
        client = Minio(f"127.0.0.1:{port}", "reader", SECRET, secure=False)
        answer = client.get_object(bucket_name="videos", object_name=reported(ran)[0]["savepath"])
        assert answer.read() == TALK
        answer.close()
    assert stored(bucket) == {} and not list((tmp_path / "ingest").glob("unfinished/*/*"))


async def test_a_list_may_grow_and_hold_files_that_only_their_addresses_distinguish(
    web: Web, bucket: Path, commands: InProcess
) -> None:
    url = web.xspf("talks.xspf", web.video("a/talk.mp4", TALK))
    assert (await commands.run("ingest", url)).code == 0
    assert list(stored(bucket).values()) == [TALK]
    web.video("get", TALK[:1000])
    web.xspf("talks.xspf", *(web.url("a/talk.mp4"), web.video("b/talk.mp4", OTHER), web.url("get?1"), web.url("get?2")))
    assert (await commands.run("ingest", url)).out == "3 stored, 1 there\n"
    assert sorted(stored(bucket).values()) == sorted([TALK, OTHER, TALK[:1000], TALK[:1000]])


async def test_picture_and_sound_that_come_as_two_files_are_joined(
    web: Web, bucket: Path, commands: InProcess, tmp_path: Path, run_ffmpeg: Callable[..., None]
) -> None:
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=size=64x36:rate=5:duration=2", "-f", "lavfi", "-i", "sine=duration=2"),
        *("-c:v", "mpeg4", "-c:a", "aac", "-f", "dash", tmp_path / "talk.mpd"),
    )
    for path in (*tmp_path.glob("*.m4s"), tmp_path / "talk.mpd"):
        web.pages[path.name] = Page(path.read_bytes(), "application/dash+xml" if path.suffix == ".mpd" else "video/mp4")

    ran = await commands.run("ingest", web.url("talk.mpd"), "--json")

    assert ran.code == 0, reported(ran)
    [savepath] = stored(bucket)
    with av.open(bucket / savepath) as media:
        assert [stream.type for stream in media.streams] == ["video", "audio"]
        assert media.duration == pytest.approx(2_000_000, abs=200_000)


async def test_a_download_that_hangs_is_ended(
    web: Web, bucket: Path, commands: InProcess, orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(orchestrator, attempts=1)
    monkeypatch.setattr("orchestrator.ingest.downloader.SILENCE_SECONDS", 3)
    ran = await commands.run("ingest", web.video("talk.mp4", TALK, stalls_after=100_000))
    assert ran.code == 75 and "yt-dlp has done nothing for 3 s" in ran.err
    assert await gone(bucket.parent.parent / "ingest", seconds=2)


async def test_without_yt_dlp_setup_is_named_and_a_wrong_setting_is_a_sentence(
    bucket: Path, commands: InProcess, orchestrator: Orchestrator, tmp_path: Path
) -> None:
    (tmp_path / "ingest" / "environment").unlink()
    ran = await commands.run("ingest", "http://127.0.0.1:9/talk.mp4")
    assert ran.code == 3 and "orchestrator ingest setup" in ran.err
    configure(orchestrator, format="[")
    (tmp_path / "ingest" / "environment").symlink_to(sys.prefix)
    ran = await commands.run("ingest", "http://127.0.0.1:9/talk.mp4")
    assert ran.code == 2 and "[ingest]: yt-dlp does not take these settings: Invalid format" in ran.err


async def test_a_bucket_that_is_not_there_is_a_sentence(web: Web, bucket: Path, commands: InProcess) -> None:
    bucket.rmdir()
    ran = await commands.run("ingest", web.video("talk.mp4", TALK))
    assert ran.code == 1 and "there is no folder" in ran.err and not web.asked


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["file:///etc/passwd"],
        ["setup", "https://example.com"],
        ["--csv", "missing.csv"],
        ["--into", "a/../b", "http://a"],
    ],
)
async def test_a_wrong_call_is_a_sentence(commands: InProcess, arguments: list[str]) -> None:
    ran = await commands.run("ingest", *arguments)
    assert ran.code == 2 and len(ran.err.splitlines()) == 1
