"""What the services send each other."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from reelscribe.contracts.events import Event, Failed, Finished, Progress, Segment, Started, Word, event_line, events
from reelscribe.contracts.extractor import ExtractAudioRequest, ExtractionReceipt
from reelscribe.contracts.transcriber import TranscribeRequest
from reelscribe.errors import BadRequest, StreamCut
from reelscribe.http.server.parsing import parse_request

SEGMENT = Segment(
    index=0,
    start=0.5,
    end=3.25,
    text="Hello, Grüße\u2028\n",
    tokens=[1, 2],
    words=[Word(start=0.5, end=0.9, word="Hello", probability=0.75)],
    avg_logprob=-0.25,
    no_speech_prob=0.0,
    compression_ratio=1.5,
)
FINISHED = Finished(
    duration=60.0,
    segments=15,
    declared_seconds=None,
    delivered_seconds=60.0,
    covered_seconds=60.0,
    samples=960_000,
    sha256="ab" * 32,
    etag="e",
    last_modified=datetime(2026, 1, 31, 9, 5, tzinfo=UTC),
    size=1000,
    extraction_id="x",
    complete=True,
)


def extract(**fields: Any) -> ExtractAudioRequest:
    request: ExtractAudioRequest = parse_request(ExtractAudioRequest, json.dumps(fields).encode())
    return request


def refusal(**fields: Any) -> str:
    with pytest.raises(BadRequest) as refused:
        extract(**fields)
    return refused.value.message


async def read(*lines: str) -> list[Event]:
    async def stream() -> AsyncIterator[bytes]:
        yield "\n".join(lines).encode()

    return [event async for arrived in events(stream()) for event in arrived]


class TestExtractAudioRequest:
    def test_a_savepath_is_enough(self):
        request = extract(savepath="youtube/abc123.mp4")
        assert request == ExtractAudioRequest(savepath="youtube/abc123.mp4", bitrate_kbps=320, delivery="stream")

    def test_video_path_is_another_name_of_savepath(self):
        assert extract(video_path="a.mp4") == extract(savepath="a.mp4")

    def test_both_names_together_are_refused(self):
        assert refusal(video_path="a.mp4", savepath="a.mp4") == "give savepath or video_path, not both"

    def test_an_integer_is_a_number_of_seconds(self):
        assert extract(savepath="a", start=5).start == 5.0

    @pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
    def test_mp3_takes_the_sample_rates_it_can_hold(self, rate):
        assert extract(savepath="a", audio_format="mp3", sample_rate=rate).sample_rate == rate

    def test_mp3_refuses_the_others_and_lists_those_it_takes(self):
        message = refusal(savepath="a", audio_format="mp3", sample_rate=96000)
        assert message.startswith("mp3 can only have one of the sample rates 8000, ") and message.endswith("48000 Hz")

    def test_wav_takes_any_sample_rate(self):
        assert extract(savepath="a", audio_format="wav", sample_rate=12345).sample_rate == 12345

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("savepath", 5),
            ("savepath", ""),
            ("savepath", "x" * 1025),
            ("savepath", None),
            ("audio_format", "ogg"),
            ("bitrate_kbps", "320"),
            ("bitrate_kbps", 127),
            ("bitrate_kbps", 321),
            ("bitrate_kbps", 200.5),
            ("bitrate_kbps", True),
            ("sample_rate", 7999),
            ("channels", 3),
            ("channels", "every"),
            ("channel", -1),
            ("channel", 64),
            ("channel", True),
            ("channels", True),
            ("start", -1),
            ("start", "5"),
            ("start", float("nan")),
            ("start", float("inf")),
            ("duration", 0),
            ("track", -1),
            ("delivery", "post"),
            ("allow_incomplete", "yes"),
            ("allow_incomplete", 1),
            ("loudness", 11),
        ],
    )
    def test_a_wrong_value_is_refused_by_name(self, field, value):
        assert refusal(**{"savepath": "a.mp4", field: value}).startswith(f"{field}: ")

    def test_all_mistakes_are_reported_together(self):
        message = refusal(audio_format="ogg", channels=7)
        assert all(f"{field}: " in message for field in ("savepath", "audio_format", "channels"))

    @pytest.mark.parametrize(
        "body", [b"", b"  \n", b"nonsense", b"5", b"null", b'"a"', b"[" * 10_000, b'{"savepath": "\xff"}']
    )
    def test_what_is_not_a_json_object_is_refused(self, body):
        with pytest.raises(BadRequest):
            parse_request(ExtractAudioRequest, body)

    def test_an_empty_body_says_what_to_send(self):
        with pytest.raises(BadRequest, match="the body is empty; send a JSON object with savepath"):
            parse_request(ExtractAudioRequest, b"")


class TestTranscribeRequest:
    def test_a_savepath_is_enough(self):
        request = parse_request(TranscribeRequest, b'{"savepath": "a.mp4"}')
        assert (request.task, request.mode, request.vad, request.start) == ("transcribe", "batched", True, 0.0)

    @pytest.mark.parametrize("fields", [{"mode": "fast"}, {"task": "sing"}, {"language": "english"}, {"vad": "on"}])
    def test_a_wrong_value_is_refused_by_name(self, fields):
        with pytest.raises(BadRequest, match=f"^{next(iter(fields))}: "):
            parse_request(TranscribeRequest, json.dumps({"savepath": "a", **fields}).encode())


class TestEvents:
    @pytest.mark.parametrize(
        "event",
        [
            Started(model="mini", language="en", language_probability=1.0, duration=60.0, etag="e"),
            SEGMENT,
            Progress(seconds=30.0),
            FINISHED,
            Failed(code="stream_cut", message="it broke off", retryable=True, details={"delivered_seconds": 3.5}),
        ],
        ids=lambda event: event.event,
    )
    async def test_what_is_written_is_read_again(self, event):
        line = event_line(event)
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        assert await read(line.decode()) == [event]

    async def test_empty_lines_keep_a_stream_alive_and_mean_nothing(self):
        assert await read("", "\n", event_line(Progress(seconds=1.0)).decode()) == [Progress(seconds=1.0)]

    async def test_a_cut_line_is_a_cut_stream(self):
        line = event_line(SEGMENT).decode()
        with pytest.raises(StreamCut, match="a line that is not an event"):
            await read(line, line[: len(line) // 2])

    async def test_what_came_before_the_cut_is_kept(self):
        async def stream() -> AsyncIterator[bytes]:
            yield event_line(SEGMENT)
            yield b'{"event": "seg'

        stored: list[Event] = []
        with pytest.raises(StreamCut):
            async for arrived in events(stream()):
                stored += arrived
        assert stored == [SEGMENT]

    async def test_what_arrives_together_is_read_together_wherever_it_is_split(self):
        line = event_line(SEGMENT)

        async def stream() -> AsyncIterator[bytes]:
            yield line + line + line[:10]
            yield line[10:]

        assert [len(arrived) async for arrived in events(stream())] == [2, 1]

    async def test_what_came_before_a_line_that_is_not_an_event_is_kept(self):
        async def stream() -> AsyncIterator[bytes]:
            yield event_line(SEGMENT) + b"applause\n" + event_line(SEGMENT)

        stored: list[Event] = []
        with pytest.raises(StreamCut, match="applause"):
            async for arrived in events(stream()):
                stored += arrived
        assert stored == [SEGMENT]

    async def test_an_unknown_event_is_a_cut_stream(self):
        with pytest.raises(StreamCut):
            await read('{"event": "applause"}')

    async def test_fields_of_a_newer_service_are_ignored(self):
        newer = {**json.loads(event_line(SEGMENT)), "speaker": "Alice"}
        assert await read(json.dumps(newer)) == [SEGMENT]

    def test_fields_of_a_newer_receipt_are_ignored(self):
        newer = {
            "extraction_id": "x", "savepath": "a", "bucket_name": "b", "etag": "e", "size": 1000,
            "last_modified": "2026-01-31T09:05:00Z", "audio_format": "wav", "state": "complete",
            "delivered_seconds": 60.0, "bytes": 5, "sha256": "ab" * 32, "decode_warnings": 0, "speakers": 2,
        }  # fmt: skip
        assert ExtractionReceipt.model_validate_json(json.dumps(newer)).state == "complete"


def test_what_no_database_can_store_is_left_out() -> None:
    word = Word(start=0, end=1, word=" a\0b", probability=0.5)
    segment = Segment(
        index=0, start=0, end=1, text="a\0b", tokens=[65, 188, 66], words=[word],
        avg_logprob=-0.2, no_speech_prob=0.1, compression_ratio=1.0,
    )  # fmt: skip
    assert (segment.text, word.word) == ("ab", " ab")
