"""POST /extract-audio: the contract that curl users rely on."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import numpy.typing as npt
import psutil
import pytest

from reelscribe.http.access.tokens import Tokens
from tests.extractor_api.conftest import Serve, running_ffmpeg
from tests.waiting import eventually

WAV_HEADER_BYTES = 44
"""Of ffmpeg's WAV, with the LIST chunk that names it."""

Measure = Callable[[bytes], tuple[float, str]]


async def extract(client: httpx.AsyncClient, savepath: str = "short.mp4", **fields: object) -> httpx.Response:
    return await client.post("/extract-audio", json={"savepath": savepath, **fields})


def samples(wav: bytes) -> npt.NDArray[np.int16]:
    return np.frombuffer(wav[WAV_HEADER_BYTES:], dtype=np.int16)


def error_of(response: httpx.Response) -> dict[str, object]:
    error: dict[str, object] = response.json()["error"]
    assert error["message"], "every refusal has a sentence"
    assert "Traceback" not in response.text
    return error


async def receipt_of(client: httpx.AsyncClient, response: httpx.Response) -> dict[str, object]:
    receipt: dict[str, object] = (await client.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    return receipt


async def test_mp3_of_320_kbps_is_the_default(extractor: httpx.AsyncClient, measure: Measure) -> None:
    response = await extract(extractor)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "audio/mpeg")
    seconds, description = measure(response.content)
    assert seconds == pytest.approx(7.5, abs=0.2)
    assert "Audio: mp3" in description and response.headers["Transfer-Encoding"] == "chunked"


async def test_mp3_at_44100_hz_really_has_320_kbps(extractor: httpx.AsyncClient, measure: Measure) -> None:
    response = await extract(extractor, sample_rate=44100)
    assert len(response.content) * 8 / 7.5 == pytest.approx(320_000, rel=0.03)


@pytest.mark.parametrize(
    ("audio_format", "content_type", "codec"),
    [
        ("wav", "audio/wav", "pcm_s16le"),
        ("flac", "audio/flac", "flac"),
        ("source", "audio/x-matroska", "aac"),
        ("mp3", "audio/mpeg", "mp3"),
    ],
)
async def test_every_format_decodes_to_the_complete_recording(
    extractor: httpx.AsyncClient, measure: Measure, audio_format: str, content_type: str, codec: str
) -> None:
    response = await extract(extractor, audio_format=audio_format)
    seconds, description = measure(response.content)
    assert response.headers["Content-Type"] == content_type
    assert f"Audio: {codec}" in description
    assert seconds == pytest.approx(7.5, abs=0.2)


@pytest.mark.parametrize("name", ["headerless.ts", "headerless.aac"])
async def test_aac_that_has_its_header_in_every_frame_keeps_it(
    extractor: httpx.AsyncClient, measure: Measure, bucket: Path, run_ffmpeg: Callable[..., None], name: str
) -> None:
    run_ffmpeg("-i", bucket / "short.mp4", "-vn", "-c:a", "copy", bucket / name)
    response = await extract(extractor, name, audio_format="source")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "audio/aac")
    assert measure(response.content)[0] == pytest.approx(7.5, abs=0.2)


async def test_sample_rate_and_channels_are_obeyed(extractor: httpx.AsyncClient, measure: Measure) -> None:
    response = await extract(extractor, audio_format="wav", sample_rate=22050, channels=2)
    assert "22050 Hz, stereo" in measure(response.content)[1].replace("2 channels", "stereo")


@pytest.mark.parametrize(
    ("sample_rate", "requested", "used"),
    [
        (48_000, 320, 320), (44_100, 144, 128), (44_100, 145, 160), (32_000, 208, 192), (32_000, 209, 224),
        (24_000, 320, 160), (22_050, 136, 128), (16_000, 137, 144), (16_000, 200, 160),
        (12_000, 320, 64), (8_000, 128, 64),
    ],
)  # fmt: skip
async def test_an_mp3_has_the_nearest_bit_rate_of_its_sample_rate_and_the_receipt_names_it(
    extractor: httpx.AsyncClient, measure: Measure, sample_rate: int, requested: int, used: int
) -> None:
    response = await extract(extractor, sample_rate=sample_rate, bitrate_kbps=requested)
    assert f", {used} kb/s" in measure(response.content)[1].partition("Audio: mp3")[2]
    assert (await receipt_of(extractor, response))["bitrate_kbps"] == used


async def test_an_mp3_by_default_has_the_highest_bit_rate_of_its_sample_rate(
    extractor: httpx.AsyncClient, bucket: Path, run_ffmpeg: Callable[..., None]
) -> None:
    for sample_rate, used in ((96_000, 320), (24_000, 160), (11_025, 64)):
        run_ffmpeg("-i", bucket / "short.mp4", "-vn", "-ar", str(sample_rate), bucket / "rate.wav")
        for delivery in ("stream", "file"):
            response = await extract(extractor, "rate.wav", delivery=delivery)
            assert (await receipt_of(extractor, response))["bitrate_kbps"] == used


async def test_other_formats_than_mp3_have_no_bit_rate(extractor: httpx.AsyncClient) -> None:
    for audio_format in ("wav", "flac", "source"):
        response = await extract(extractor, audio_format=audio_format, bitrate_kbps=128)
        assert response.status_code == 200
        assert (await receipt_of(extractor, response))["bitrate_kbps"] is None


async def test_start_and_duration_cut_out_a_part(extractor: httpx.AsyncClient, measure: Measure) -> None:
    whole = await extract(extractor, "minute.mp4", audio_format="wav", sample_rate=16000, channels=1)
    part = await extract(
        extractor, "minute.mp4", audio_format="wav", sample_rate=16000, channels=1, start=20.5, duration=3
    )
    assert measure(part.content)[0] == pytest.approx(3, abs=0.01)
    expected = samples(whole.content)[int(20.5 * 16000) :][10_000:40_000]
    assert np.corrcoef(samples(part.content)[10_000:40_000], expected)[0, 1] > 0.99


async def test_a_second_track_can_be_requested(extractor: httpx.AsyncClient) -> None:
    assert (await extract(extractor, "two_tracks.mkv", track=1)).status_code == 200
    refused = await extract(extractor, "two_tracks.mkv", track=2)
    assert (refused.status_code, error_of(refused)["code"]) == (422, "no_audio_track")
    assert "its tracks are 0 to 1" in str(error_of(refused)["message"])


async def test_a_track_that_starts_late_keeps_its_times(extractor: httpx.AsyncClient, measure: Measure) -> None:
    response = await extract(extractor, "late.mp4", audio_format="wav", sample_rate=16000, channels=1)
    assert measure(response.content)[0] == pytest.approx(10.0, abs=0.1)
    first_second = response.content[100 : 100 + 32000]
    assert first_second == bytes(len(first_second)), "silence until the track begins"


@pytest.mark.parametrize(("audio_format", "begins"), [("wav", 1.0), ("source", 2.5)])
async def test_the_answer_says_when_its_sound_begins(
    extractor: httpx.AsyncClient, audio_format: str, begins: float
) -> None:
    response = await extract(extractor, "late.mp4", audio_format=audio_format, start=1)
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert float(response.headers["X-Begins-Seconds"]) == pytest.approx(begins, abs=0.1)
    assert receipt["begins"] == pytest.approx(begins, abs=0.1)


async def test_video_path_of_older_clients_is_a_savepath(extractor: httpx.AsyncClient) -> None:
    response = await extractor.post("/extract-audio", json={"video_path": "short.mp4"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"", 400, "bad_request", "body is empty"),
        (b"[]", 400, "bad_request", ""),
        (b'{"savepath": "short.mp4"', 400, "bad_request", "is not valid JSON"),
        (b"{}", 400, "bad_request", "savepath"),
        (b'{"savepath": 7}', 400, "bad_request", "savepath"),
        (b'{"savepath": "short.mp4", "sample_rate": "16000"}', 400, "bad_request", "sample_rate"),
        (b'{"savepath": "short.mp4", "start": NaN}', 400, "bad_request", "start"),
        (b'{"savepath": "short.mp4", "speed": 2}', 400, "bad_request", "speed"),
        (b'{"savepath": "short.mp4", "bitrate_kbps": 64}', 400, "bad_request", "bitrate_kbps"),
        (b'{"savepath": "short.mp4", "audio_format": "mp3", "sample_rate": 96000}', 400, "bad_request", "48000"),
        (b'{"savepath": "short.mp4", "audio_format": "ogg"}', 400, "unsupported_format", "mp3, wav, flac, source"),
        (b'{"savepath": "a", "video_path": "b"}', 400, "bad_request", "not both"),
        (b'{"savepath": "short.mp4", "bucket_name": "secret"}', 400, "bad_request", "buckets"),
        (b'{"savepath": "nothing.mp4"}', 404, "object_not_found", "nothing.mp4"),
        (b'{"savepath": "talk"}', 404, "object_not_found", "folder"),
        (b'{"savepath": "short.mp4/inside.mp4"}', 404, "object_not_found", ""),
        (b'{"savepath": "text.mp4"}', 422, "not_decodable", "text.mp4"),
        (b'{"savepath": "empty.mp4"}', 422, "not_decodable", "empty.mp4"),
        (b'{"savepath": "mute.mp4"}', 422, "no_audio_track", "no audio track"),
        (b'{"savepath": "short.mp4", "start": 500}', 422, "past_the_end", "start = 500"),
        (b'{"savepath": "' + b"a" * 70_000 + b'"}', 413, "body_too_large", "65536"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_sentence(
    extractor: httpx.AsyncClient, bucket: object, body: bytes, status: int, code: str, words: str
) -> None:
    response = await extractor.post("/extract-audio", content=body, headers={"Content-Type": "application/json"})
    error = error_of(response)
    assert (response.status_code, error["code"]) == (status, code)
    assert words in str(error["message"])
    assert str(bucket) not in response.text, "a path of the server"


async def test_the_receipt_names_what_was_delivered(extractor: httpx.AsyncClient) -> None:
    response = await extract(extractor, "minute.mp4", audio_format="wav", sample_rate=16000, channels=1)
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert receipt["state"] == "complete"
    assert receipt["sha256"] == hashlib.sha256(response.content).hexdigest()
    assert receipt["bytes"] == len(response.content)
    assert receipt["declared_seconds"] == pytest.approx(60, abs=0.1)
    assert receipt["samples"] == receipt["delivered_seconds"] * 16000 == (len(response.content) - WAV_HEADER_BYTES) / 2
    assert receipt["savepath"] == "minute.mp4" and receipt["etag"]


async def test_an_unknown_extraction_is_404(extractor: httpx.AsyncClient) -> None:
    assert error_of(await extractor.get("/extractions/feed"))["code"] == "extraction_not_found"


async def test_a_file_cut_in_half_is_never_a_success(extractor: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await extract(extractor, "half.mp4", audio_format="wav")


async def test_a_file_cut_near_its_start_is_refused_before_the_first_byte(extractor: httpx.AsyncClient) -> None:
    response = await extract(extractor, "stump.mp4", bitrate_kbps=128, sample_rate=8000)
    assert response.status_code == 422
    error = error_of(response)
    assert error["code"] == "incomplete_recording"
    assert error["declared_seconds"] == pytest.approx(60, abs=0.5)
    assert 0 < float(str(error["delivered_seconds"])) < 1


async def test_allow_incomplete_delivers_what_there_is_and_the_receipt_says_so(extractor: httpx.AsyncClient) -> None:
    response = await extract(extractor, "half.mp4", audio_format="wav", allow_incomplete=True)
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert receipt["state"] == "incomplete"
    assert "declared" in receipt["reason"]
    assert receipt["delivered_seconds"] < 0.9 * receipt["declared_seconds"]


async def test_damage_in_the_middle_does_not_count_as_sound(extractor: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await extract(extractor, "damaged.mp4", audio_format="wav")
    response = await extract(extractor, "damaged.mp4", audio_format="wav", allow_incomplete=True)
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert "damaged" in receipt["reason"] and receipt["decode_warnings"] > 0


async def test_audio_shorter_than_the_picture_is_complete(extractor: httpx.AsyncClient, measure: Measure) -> None:
    response = await extract(extractor, "talk/audio_shorter.mp4", audio_format="wav")
    assert measure(response.content)[0] == pytest.approx(7.5, abs=0.2)


class Begun(NamedTuple):
    """A response that has begun and has far more to come than any buffer holds."""

    response: httpx.Response
    rest: AsyncIterator[bytes]
    ffmpeg: list[psutil.Process]

    async def read_on(self) -> None:
        async for _ in self.rest:
            pass


async def read_a_little(client: httpx.AsyncClient) -> Begun:
    body = {"savepath": "long.mp4", "audio_format": "wav", "sample_rate": 192000, "channels": 2}
    response = await client.send(client.build_request("POST", "/extract-audio", json=body), stream=True)
    assert response.status_code == 200
    rest = response.aiter_raw()
    assert await rest.__anext__()
    children = running_ffmpeg()
    assert len(children) == 1
    return Begun(response, rest, children)


async def test_ffmpeg_ends_as_soon_as_its_client_has_left(serve: Serve) -> None:
    begun = await read_a_little(await serve(stall_timeout=600))
    await begun.response.aclose()
    await eventually(lambda: not running_ffmpeg())


async def test_the_client_sees_that_ffmpeg_was_killed_during_the_stream(extractor: httpx.AsyncClient) -> None:
    begun = await read_a_little(extractor)
    begun.ffmpeg[0].kill()
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        await begun.read_on()


async def test_a_client_that_stops_reading_is_dropped(serve: Serve) -> None:
    extractor = await serve(stall_timeout=0.5)
    begun = await read_a_little(extractor)
    await eventually(lambda: not running_ffmpeg())
    with pytest.raises(httpx.RemoteProtocolError):
        await begun.read_on()


async def test_a_client_that_reads_a_little_now_and_then_is_not_dropped(serve: Serve) -> None:
    extractor = await serve(stall_timeout=2)
    begun = await read_a_little(extractor)
    for _ in range(30):  # far less than what is under way to it
        assert await begun.rest.__anext__()
        await asyncio.sleep(0.1)
    assert running_ffmpeg() == begun.ffmpeg
    await begun.response.aclose()


async def test_more_requests_than_slots_wait_and_more_than_the_queue_get_503(serve: Serve) -> None:
    extractor = await serve(max_ffmpeg=1, queue_length=1)
    first = await read_a_little(extractor)
    second = asyncio.create_task(extract(extractor, "short.mp4"))
    while (await extractor.get("/healthz")).json()["ffmpeg_waiting"] == 0:
        await asyncio.sleep(0.01)
    third = await extract(extractor, "short.mp4")
    assert (third.status_code, error_of(third)["code"]) == (503, "busy")
    assert int(third.headers["Retry-After"]) > 0
    await first.response.aclose()
    assert (await second).status_code == 200


async def test_a_client_that_leaves_while_waiting_leaves_the_queue(serve: Serve) -> None:
    extractor = await serve(max_ffmpeg=1, queue_length=1)
    first = await read_a_little(extractor)
    with pytest.raises(httpx.ReadTimeout):
        leaving = httpx.Timeout(60, read=0.2)
        await extractor.post("/extract-audio", json={"savepath": "short.mp4"}, timeout=leaving)

    async def none_waits() -> bool:
        return (await extractor.get("/healthz")).json()["ffmpeg_waiting"] == 0

    await eventually(none_waits)
    await first.response.aclose()


async def test_a_token_is_required_if_one_is_set(serve: Serve) -> None:
    extractor = await serve(tokens=Tokens(("first", "second")))
    refused = await extract(extractor)
    assert (refused.status_code, error_of(refused)["code"]) == (401, "unauthorized")
    allowed = await extractor.post(
        "/extract-audio", json={"savepath": "short.mp4"}, headers={"Authorization": "Bearer second"}
    )
    assert allowed.status_code == 200


async def test_metrics_count_what_was_delivered(extractor: httpx.AsyncClient) -> None:
    size = len((await extract(extractor)).content)
    text = (await extractor.get("/metrics")).text
    assert f"reelscribe_extracted_bytes_total {float(size)}" in text
    assert 'reelscribe_extractions_total{state="complete"} 1.0' in text
