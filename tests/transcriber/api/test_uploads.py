"""POST /transcribe with a file: transcribed like a recording of the bucket, and deleted afterwards."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from reelscribe.contracts.events import Event, Finished, Started, events
from tests.transcriber.conftest import Serve, Transcriber, segments, text, truth
from tests.transcriber.peer import SPEECH
from tests.waiting import eventually
from transcriber.api import recording_handler

SHORT = SPEECH / "short.flac"
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}


async def upload(transcriber: Transcriber, path: Path, name: str | None = None, **fields: Any) -> list[Event]:
    files = {"file": (name or path.name, path.read_bytes())}
    async with transcriber.http.stream("POST", "/transcribe", files=files, data=fields) as response:
        assert response.status_code == 200, await response.aread()
        return [event async for arrived in events(response.aiter_bytes()) for event in arrived]


async def refused(transcriber: Transcriber, **arguments: Any) -> tuple[int, dict[str, Any]]:
    response = await transcriber.http.post("/transcribe", **arguments)
    return response.status_code, response.json()["error"]


def part(name: str, content: bytes, file_name: str = "") -> bytes:
    file = f'; filename="{file_name}"' if file_name else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def deleted_files(folder: Path) -> list[str]:
    """Files without a name in ``folder`` that this process holds open."""
    links = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return [link for link in links if link.startswith(str(folder)) and link.endswith("(deleted)")]


def running_ffmpeg() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "ffmpeg" in child.name() and child.status() != psutil.STATUS_ZOMBIE]


async def test_a_file_is_transcribed_like_a_recording_of_the_bucket(transcriber: Transcriber, tmp_path: Path) -> None:
    received = await upload(transcriber, SHORT)
    assert text(received) == truth("short.flac")["text"]
    assert [event.event for event in received] == [event.event for event in await transcriber.events("short.flac")]
    assert deleted_files(tmp_path) == []


async def test_a_video_is_decoded(transcriber: Transcriber, make_video: Callable[..., Path], tmp_path: Path) -> None:
    received = await upload(transcriber, make_video(tmp_path / "a.mp4"))
    assert text(received) == truth("short.flac")["text"]


async def test_the_end_proves_what_was_covered(transcriber: Transcriber) -> None:
    started, *_, end = await upload(transcriber, SHORT, start="2.5")
    assert isinstance(started, Started) and isinstance(end, Finished)
    assert started.duration == 7.5
    assert (end.declared_seconds, end.delivered_seconds, end.covered_seconds, end.samples) == (5.0, 5.0, 5.0, 80_000)
    assert end.etag == hashlib.sha256(SHORT.read_bytes()).hexdigest()


async def test_fields_are_those_of_the_json_body(transcriber: Transcriber) -> None:
    received = await upload(transcriber, SHORT, word_timestamps="true", vad="false", mode="sequential")
    assert all(segment.words for segment in segments(received))


async def test_one_document_for_clients_that_accept_json(transcriber: Transcriber) -> None:
    files = {"file": SHORT.read_bytes()}
    answer = await transcriber.http.post("/transcribe", files=files, headers={"Accept": "application/json"})
    assert " ".join(one["text"] for one in answer.json()["segments"]) == truth("short.flac")["text"]


async def test_a_cut_file_is_refused_with_both_numbers(
    transcriber: Transcriber, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    complete = make_video(tmp_path / "a.mp4", "minute.flac").read_bytes()
    files = {"file": ("half.mp4", complete[: len(complete) // 2])}
    answer = await transcriber.http.post("/transcribe", files=files, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "incomplete_recording")
    assert answer.json()["error"]["declared_seconds"] == pytest.approx(60, abs=0.1)
    allowed = await transcriber.http.post(
        "/transcribe", files=files, data={"allow_incomplete": "true"}, headers={"Accept": "application/json"}
    )
    assert allowed.json()["complete"] is False


async def test_what_is_no_recording_is_not_decodable_and_reads_no_other_file(transcriber: Transcriber) -> None:
    playlist = f"#EXTM3U\n#EXTINF:7.5,\nfile://{SHORT}\n#EXT-X-ENDLIST\n".encode()
    status, error = await refused(
        transcriber, files={"file": ("a.mp4", playlist)}, headers={"Accept": "application/json"}
    )
    assert (status, error["code"]) == (422, "not_decodable")
    assert error["message"].startswith("a.mp4 ")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (b"--b--\r\n", "no part 'file'"),
        (part("language", b"en") + b"--b--\r\n", "no part 'file'"),
        (part("file", b"", "a.mp4") + b"--b--\r\n", "a.mp4 is empty"),
        (part("file", b"1", "a") + part("file", b"2", "b") + b"--b--\r\n", "send one file"),
        (part("file", b"1", "a"), "has no end"),
        (b"nonsense", "no multipart/form-data"),
        (part("file", b"1", "a") + part("langauge", b"en") + b"--b--\r\n", "langauge"),
        (part("file", b"1", "a") + part("start", b"soon") + b"--b--\r\n", "start"),
        (part("file", b"1", "a") + part("task", b"\xff") + b"--b--\r\n", "not UTF-8"),
        (part("", b"1") + b"--b--\r\n", "has no name"),
    ],
    ids=["empty", "no file", "empty file", "two files", "cut", "nonsense", "typo", "no number", "bytes", "no name"],
)
async def test_a_wrong_form_is_refused_with_the_reason(transcriber: Transcriber, form: bytes, words: str) -> None:
    status, error = await refused(transcriber, content=form, headers=BOUNDARY)
    assert (status, error["code"]) == (400, "bad_request")
    assert words in error["message"]


async def test_a_form_without_a_boundary_is_refused(transcriber: Transcriber) -> None:
    status, error = await refused(transcriber, content=b"x", headers={"Content-Type": "multipart/form-data"})
    assert (status, "boundary" in error["message"]) == (400, True)


async def test_endless_fields_are_refused(transcriber: Transcriber) -> None:
    status, _ = await refused(transcriber, content=part("hotwords", bytes(70_000)), headers=BOUNDARY)
    assert status == 413


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_file_over_the_limit_is_413(serve: Serve, tmp_path: Path, chunked: bool) -> None:
    transcriber = await serve(max_upload_bytes=100_000)
    form = part("file", bytes(200_000), "a.mp4") + b"--b--\r\n"

    async def pieces() -> AsyncIterator[bytes]:
        yield form

    status, error = await refused(transcriber, content=pieces() if chunked else form, headers=BOUNDARY)
    assert (status, error["code"], error["limit"]) == (413, "body_too_large", 100_000)
    assert deleted_files(tmp_path) == []


async def test_a_file_far_over_the_limit_is_refused_before_it_is_sent(transcriber: Transcriber) -> None:
    reader, writer = await asyncio.open_connection(transcriber.http.base_url.host, transcriber.http.base_url.port)
    head = "POST /transcribe HTTP/1.1\r\nHost: b\r\nContent-Length: 9000000000\r\nExpect: 100-continue\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
    assert b'"limit": 2147483648' in await reader.read()
    writer.close()


async def test_a_file_of_just_the_limit_is_taken(serve: Serve) -> None:
    transcriber = await serve(max_upload_bytes=SHORT.stat().st_size)
    assert text(await upload(transcriber, SHORT)) == truth("short.flac")["text"]


async def test_without_room_it_is_refused_before_it_is_sent(transcriber: Transcriber, tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    transcriber.service.max_upload_bytes = 1 << 60
    head = f"POST /transcribe HTTP/1.1\r\nHost: b\r\nContent-Length: {disk.f_blocks * disk.f_frsize}\r\n"
    reader, writer = await asyncio.open_connection(transcriber.http.base_url.host, transcriber.http.base_url.port)
    writer.write(f"{head}Expect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
    assert b" 507 " in await reader.readline()
    writer.close()


async def test_a_client_without_a_token_is_refused_while_it_sends(serve: Serve, tmp_path: Path) -> None:
    transcriber = await serve(tokens=("secret",))
    status, error = await refused(transcriber, files={"file": bytes(4 << 20)})
    assert (status, error["code"]) == (401, "unauthorized")
    assert deleted_files(tmp_path) == []


async def test_a_transcriber_without_free_slots_refuses_before_the_file_arrives(serve: Serve, tmp_path: Path) -> None:
    transcriber = await serve(max_jobs=1, queue_length=0)
    with transcriber.service.claim("batch"), transcriber.service.claim("interactive"):
        response = await transcriber.http.post("/transcribe", files={"file": SHORT.read_bytes()})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


async def half_an_upload(
    transcriber: Transcriber, form: bytes = part("file", bytes(4_000_000), "a.mp4")
) -> asyncio.StreamWriter:
    url = transcriber.http.base_url
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = "POST /transcribe HTTP/1.1\r\nHost: b\r\nContent-Length: 9000000\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
    writer.write(form)
    await writer.drain()
    return writer


async def test_a_client_that_leaves_during_its_upload_leaves_nothing_behind(
    transcriber: Transcriber, tmp_path: Path
) -> None:
    writer = await half_an_upload(transcriber)
    await eventually(lambda: bool(deleted_files(tmp_path)))
    writer.transport.abort()
    await eventually(lambda: not deleted_files(tmp_path))
    assert not transcriber.service.running


async def test_a_client_that_stops_sending_is_disconnected(
    transcriber: Transcriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_handler, "STALL_SECONDS", 0.2)
    writer = await half_an_upload(transcriber)
    await eventually(lambda: bool(deleted_files(tmp_path)))
    await eventually(lambda: not deleted_files(tmp_path))
    writer.close()


async def test_a_client_that_sends_a_little_now_and_then_is_disconnected(
    transcriber: Transcriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_handler, "STALL_SECONDS", 0.5)
    writer = await half_an_upload(transcriber)
    await eventually(lambda: bool(deleted_files(tmp_path)))
    dripping = asyncio.create_task(drip(writer))
    await eventually(lambda: not deleted_files(tmp_path))
    dripping.cancel()
    writer.close()


async def test_so_is_one_that_sends_a_little_after_it_was_refused(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_handler, "STALL_SECONDS", 0.5)
    writer = await half_an_upload(transcriber, part("file", b"1", "a") + part("file", b"2", "b"))
    dripping = asyncio.create_task(drip(writer))
    await eventually(lambda: bool(transcriber.service.running) and not transcriber.service.slots.waiting)
    await eventually(lambda: not transcriber.service.running)
    dripping.cancel()
    writer.close()


async def test_one_that_continues_to_send_after_it_was_refused_reads_the_refusal(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_handler, "STALL_SECONDS", 0.5)
    transcriber.service.max_upload_bytes = 10_000

    async def form() -> AsyncIterator[bytes]:
        yield part("file", bytes(20_000), "a.mp4")
        for _ in range(10):
            await asyncio.sleep(0.1)
            yield bytes(recording_handler.LEAST_BYTES)

    status, error = await refused(transcriber, content=form(), headers=BOUNDARY)
    assert (status, error["limit"]) == (413, 10_000)


@pytest.mark.parametrize("length", ["abc", "1e3", "-5", "1_0", "9" * 30, "10, 11"])
async def test_a_length_that_is_no_number_is_a_bad_request(
    transcriber: Transcriber, length: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection(transcriber.http.base_url.host, transcriber.http.base_url.port)
    head = f"POST /transcribe HTTP/1.1\r\nHost: b\r\nContent-Length: {length}\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
    assert b" 400 " in await reader.readline()
    writer.close()
    await eventually(lambda: not transcriber.service.slots.waiting)
    assert "Traceback" not in caplog.text


async def drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.05)


async def test_a_client_that_leaves_during_the_transcript_leaves_nothing_behind(
    transcriber: Transcriber, tmp_path: Path
) -> None:
    files = {"file": ("ten.ogg", (SPEECH / "ten_minutes.ogg").read_bytes())}
    async with transcriber.http.stream("POST", "/transcribe", files=files) as response:
        await anext(response.aiter_bytes())
        assert running_ffmpeg() and deleted_files(tmp_path)
    await eventually(lambda: not deleted_files(tmp_path) and not running_ffmpeg())
    assert transcriber.service.health()["free"] == 4


async def test_a_name_is_shown_without_folders_and_control_characters(transcriber: Transcriber) -> None:
    form = part("file", b"text", "C:\\videos\\a\x1b[31m.mp4") + b"--b--\r\n"
    _, error = await refused(transcriber, content=form, headers={**BOUNDARY, "Accept": "application/json"})
    assert error["message"].startswith("a[31m.mp4 ")


async def test_without_a_name_it_is_an_upload(transcriber: Transcriber) -> None:
    form = part("file", b"text") + b"--b--\r\n"
    _, error = await refused(transcriber, content=form, headers={**BOUNDARY, "Accept": "application/json"})
    assert error["message"].startswith("upload ")
