"""OpenAI's routes by the forms that are sent to them, without a client of its own."""

import re
from io import StringIO
from typing import Any

import pytest
import webvtt

from reelscribe.contracts.events import Segment
from reelscribe.text.subtitle_layout import cues
from tests.transcriber.conftest import Transcriber
from tests.transcriber.peer import SPEECH
from transcriber.api.schemas import TranscriptionForm

ROUTE = "/v1/audio/transcriptions"


SENT_BY_1_X = {
    "1.60.0": (
        *(("model", "whisper-1"), ("prompt", "Peter, Alice"), ("response_format", "verbose_json")),
        *(("temperature", "0.2"), ("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")),
    ),
    "1.109.1": (
        *(("model", "gpt-4o-transcribe"), ("chunking_strategy[type]", "server_vad")),
        *(("chunking_strategy[threshold]", "0.5"), ("prompt", "Peter, Alice"), ("response_format", "verbose_json")),
        *(("temperature", "0.2"), ("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")),
        *(("keywords[]", "a"), ("keywords[]", "b"), ("allow_incomplete", "true")),  # as extra_body
    ),
}
"""The fields of forms that were recorded from older clients, in their order; the file is last."""


@pytest.mark.parametrize("version", SENT_BY_1_X)
async def test_forms_of_older_clients_are_taken(transcriber: Transcriber, version: str) -> None:
    boundary = "4f0c6ebe8e2b25b3ea8a4f4dff5d71e6"
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in SENT_BY_1_X[version]
    )
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="short.flac"\r\n'
        "Content-Type: audio/flac\r\n\r\n"
    )
    body = f"{fields}{file}".encode() + (SPEECH / "short.flac").read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    answer = await transcriber.http.post(
        ROUTE,
        content=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}", "User-Agent": f"OpenAI/Python {version}"},
    )
    assert answer.status_code == 200
    assert answer.json()["words"] and answer.json()["segments"] and isinstance(answer.json()["usage"]["seconds"], int)


@pytest.mark.parametrize("response_format", ["srt", "vtt"])
async def test_subtitles_are_those_of_the_orchestrator_unless_raw_is_asked(
    transcriber: Transcriber, response_format: str
) -> None:
    async def answer(**fields: str) -> str:
        files = {"file": (SPEECH / "minute.flac").read_bytes()}
        return (await transcriber.http.post(ROUTE, files=files, data={"model": "mini", **fields})).text

    def read(text: str) -> Any:
        return webvtt.from_buffer(StringIO(text), format=response_format)

    laid_out = read(await answer(response_format=response_format))
    raw = read(await answer(response_format=response_format, raw="true"))
    segments = [segment for segment in await transcriber.events("minute.flac") if isinstance(segment, Segment)]
    assert [cue.text for cue in raw] == [segment.text for segment in segments]
    assert [cue.text for cue in laid_out] == [cue.text for cue in cues(segments, "en")]
    assert all(len(line) <= 42 for cue in laid_out for line in cue.lines)
    assert any(len(line) > 42 for cue in raw for line in cue.lines)


async def test_its_errors_name_what_it_accepts(transcriber: Transcriber) -> None:
    accepted = set(TranscriptionForm.model_fields) | {"file", "model", None, "languages[]", "timestamp_granularities[]"}
    for route, sent in [
        (ROUTE, {"languages[]": "de"}),
        (ROUTE, {"timestamp_granularities[]": "letter"}),
        (ROUTE, {"languages[]": "english german"}),
        (ROUTE, {"temperature": "3"}),
        ("/v1/audio/translations", {}),
    ]:
        answer = await transcriber.http.post(
            route, data={"model": "mini", **sent}, files={"file": (SPEECH / "short.flac").read_bytes()}
        )
        error = answer.json()["error"]
        assert (answer.status_code, error["param"] in accepted) == (400, True), error
        assert not re.search(r"\.0|\btask\b", error["message"]), error
    unknown = await transcriber.http.post(
        ROUTE, data={"model": "mini", "mode": "sequential"}, files={"file": (SPEECH / "short.flac").read_bytes()}
    )
    message = unknown.json()["error"]["message"]
    assert message.startswith("mode: is not known here; there are model, prompt, response_format,")
    assert "beam_size" not in message and "chunking_strategy[threshold]" in message
