"""OpenAI's own Python client, unmodified, against the transcriber."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from reelscribe.contracts.transcriber import TranscribeFields
from tests.transcriber.conftest import Serve, Transcriber, truth
from tests.transcriber.peer import SPEECH
from transcriber.api.schemas import ALIASES
from transcriber.decoding.passes import Call
from transcriber.decoding.recogniser import Recogniser
from transcriber.service import TranscriberService

SHORT = SPEECH / "short.flac"
TEXT = truth("short.flac")["text"]

Connect = Callable[..., AsyncOpenAI]


@pytest.fixture
async def client_of() -> AsyncIterator[Connect]:
    clients: list[AsyncOpenAI] = []

    def connect(transcriber: Transcriber, api_key: str = "secret") -> AsyncOpenAI:
        url = (
            f"{transcriber.http.base_url}v1"
            if str(transcriber.http.base_url).endswith("/")
            else f"{transcriber.http.base_url}/v1"
        )
        clients.append(AsyncOpenAI(base_url=url, api_key=api_key, max_retries=0))
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


@pytest.fixture
async def client(transcriber: Transcriber, client_of: Connect) -> AsyncOpenAI:
    return client_of(transcriber)


async def transcribe(client: AsyncOpenAI, path: Path = SHORT, **options: Any) -> Any:
    return await client.audio.transcriptions.create(**{"model": "whisper-1", "file": path, **options})


def error(failure: openai.APIStatusError) -> dict[str, Any]:
    """The error object, which the client takes out of its envelope."""
    assert isinstance(failure.body, dict)
    return failure.body


async def test_json(client: AsyncOpenAI) -> None:
    answer = await transcribe(client)
    assert answer.text == TEXT
    assert (answer.usage.type, answer.usage.seconds) == ("duration", 8)


async def test_a_video(client: AsyncOpenAI, make_video: Callable[..., Path], tmp_path: Path) -> None:
    assert (await transcribe(client, make_video(tmp_path / "a.mp4"))).text == TEXT


async def test_text(client: AsyncOpenAI) -> None:
    assert await transcribe(client, response_format="text") == TEXT + "\n"


async def test_srt(client: AsyncOpenAI) -> None:
    first, *_ = (await transcribe(client, response_format="srt")).split("\n\n")
    number, times, line = first.splitlines()
    assert (number, " --> " in times, line in TEXT) == ("1", True, True)


async def test_vtt(client: AsyncOpenAI) -> None:
    assert (await transcribe(client, response_format="vtt")).startswith("WEBVTT\n\n00:00:00.")


async def test_verbose_json(client: AsyncOpenAI) -> None:
    answer = await transcribe(client, response_format="verbose_json", language="en")
    assert (answer.text, answer.language, answer.duration, answer.words) == (TEXT, "english", 7.5, None)
    starts = [sentence["start"] for sentence in truth("short.flac")["segments"]]
    assert [segment.start for segment in answer.segments] == [pytest.approx(start, abs=0.5) for start in starts]
    assert [segment.id for segment in answer.segments] == [0, 1]
    assert all(segment.tokens and segment.avg_logprob < 0 for segment in answer.segments)


async def test_times_of_words(client: AsyncOpenAI) -> None:
    answer = await transcribe(client, response_format="verbose_json", timestamp_granularities=["word"])
    assert " ".join(word.word for word in answer.words) == TEXT
    assert answer.segments is None
    assert all(word.start <= word.end for word in answer.words)


async def test_times_of_words_and_segments(client: AsyncOpenAI) -> None:
    answer = await transcribe(client, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert answer.words and len(answer.segments) == 2


async def test_languages_to_choose_from(client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[tuple[str, ...]] = []

    def detect(self: Recogniser, features: Any, languages: tuple[str, ...]) -> tuple[str, float]:
        allowed.append(languages)
        return "en", 0.9

    monkeypatch.setattr(Recogniser, "only_language", None)
    monkeypatch.setattr(Recogniser, "check", lambda *_: None)
    monkeypatch.setattr(Recogniser, "detect_language", detect)
    await transcribe(client, extra_body={"languages": ["English", "de"]})
    assert allowed == [("de", "en")]


async def test_stream(client: AsyncOpenAI) -> None:
    events = [event async for event in await transcribe(client, stream=True)]
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == TEXT


async def test_log_probabilities_of_words(client: AsyncOpenAI) -> None:
    answer = await transcribe(client, include=["logprobs"])
    assert answer.text == TEXT
    assert "".join(entry.token for entry in answer.logprobs).strip() == TEXT
    assert all(bytes(map(int, entry.bytes)).decode() == entry.token for entry in answer.logprobs)
    assert all(-25 < entry.logprob <= 0 for entry in answer.logprobs)
    assert len({entry.logprob for entry in answer.logprobs}) > 3
    events = [event async for event in await transcribe(client, include=["logprobs"], stream=True)]
    assert [entry.token for event in events[:-1] for entry in event.logprobs] == [one.token for one in answer.logprobs]
    assert [entry.token for entry in events[-1].logprobs] == [entry.token for entry in answer.logprobs]
    assert (await transcribe(client)).logprobs is None


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
async def test_japanese_has_no_spaces_between_segments(
    serve: Serve, client_of: Connect, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    transcriber = await serve()
    decode = transcriber.service.recogniser.decode

    def in_japanese(*arguments: Any) -> Any:
        return [
            outcome._replace(segments=[replace(one, text=" 今日は") for one in outcome.segments])
            for outcome in decode(*arguments)
        ]

    monkeypatch.setattr(transcriber.service.recogniser, "decode", in_japanese)
    client = client_of(transcriber)
    if stream:
        events = [event async for event in await transcribe(client, stream=True)]
        assert "".join(event.delta for event in events[:-1]) == events[-1].text == "今日は今日は"
    else:
        assert (await transcribe(client)).text == "今日は今日は"


async def test_a_stream_that_fails_raises(serve: Serve, client_of: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    # One thread makes all spectrograms: with more, the second window may be the first one in the model.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    transcriber = await serve(batch_size=1)
    decode, calls = transcriber.service.recogniser.decode, 0

    def broken(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return decode(*arguments) if calls == 1 else 1 // 0

    transcriber.service.recogniser.decode = broken  # type: ignore[assignment, method-assign]
    stream = await transcribe(client_of(transcriber), SPEECH / "minute.flac", stream=True)
    types = []
    with pytest.raises(openai.APIError, match="the model failed on this audio"):
        async for event in stream:
            types.append(event.type)
    assert types and set(types) == {"transcript.text.delta"}


async def test_prompt_temperature_and_chunking_are_accepted(client: AsyncOpenAI) -> None:
    answer = await transcribe(
        client, prompt="Peter, Alice", temperature=0.2, chunking_strategy="auto", language="English"
    )
    assert answer.text


@pytest.mark.parametrize(
    "prompt",
    ["garden hammer " * 400, "花園の" * 700, "🙂" * 400, "Zürich, über " * 200, "x" * 60_000],
    ids=lambda prompt: prompt[:6],
)
async def test_of_a_long_prompt_the_end_is_used(
    serve: Serve, client_of: Connect, prompts: list[str | None], prompt: str
) -> None:
    transcriber = await serve()
    assert (await transcribe(client_of(transcriber), prompt=prompt)).text
    given = prompts[0]
    assert given and prompt.strip().endswith(given) and len(given) <= 2000
    tokens = transcriber.service.recogniser.model.whisper.hf_tokenizer
    assert 200 < len(tokens.encode(f" {given}", add_special_tokens=False).ids) <= 223


async def test_a_short_prompt_is_given_as_it_is(client: AsyncOpenAI, prompts: list[str | None]) -> None:
    assert (await transcribe(client, prompt="Peter, Alice")).text
    assert set(prompts) == {"Peter, Alice"}


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Those that windows are decoded with."""
    decode, seen = Recogniser.decode, list[str | None]()

    def noted(recogniser: Recogniser, calls: Sequence[Call]) -> Any:
        seen.extend(call.options.initial_prompt for call in calls)
        return decode(recogniser, calls)

    monkeypatch.setattr(Recogniser, "decode", noted)
    return seen


async def test_keywords_are_hotwords(client: AsyncOpenAI, requests: list[TranscribeFields]) -> None:
    assert (await transcribe(client, model="gpt-transcribe", keywords=["Peter", " Alice ", ""])).text
    assert (await transcribe(client, keywords=[])).text
    assert [request.hotwords for request in requests] == ["Peter, Alice", None]


async def test_keywords_leave_room_for_the_end_of_the_prompt(
    client: AsyncOpenAI, requests: list[TranscribeFields]
) -> None:
    for count in (0, 20, 80):
        assert (await transcribe(client, prompt="garden hammer " * 400, keywords=["garden"] * count)).text
    lengths = [len(request.initial_prompt or "") for request in requests]
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) == 3


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
async def test_an_incomplete_recording_is_taken_if_asked(
    client: AsyncOpenAI, make_video: Callable[..., Path], tmp_path: Path, stream: bool
) -> None:
    data = make_video(tmp_path / "a.mp4").read_bytes()
    half = ("half.mp4", data[: len(data) // 2])
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        await transcribe(client, file=half, stream=stream)
    assert error(raised.value)["code"] == "incomplete_recording"
    answer = await transcribe(client, file=half, stream=stream, extra_body={"allow_incomplete": True})
    if stream:
        *_, answer = [event async for event in answer]
    assert answer.text and answer.complete is False and answer.reason


async def test_a_complete_recording_is_said_to_be_if_asked(client: AsyncOpenAI) -> None:
    answer = await transcribe(client, extra_body={"allow_incomplete": True})
    assert (answer.complete, answer.reason) == (True, None)
    assert not hasattr(await transcribe(client), "complete")


async def test_speakers_are_refused_with_what_to_use_instead(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="speakers are not distinguished here; use verbose_json"):
        await transcribe(client, response_format="diarized_json")


VAD = {"type": "server_vad", "threshold": 0.95, "silence_duration_ms": 2000, "prefix_padding_ms": 50}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[TranscribeFields]:
    """The requests as the service gets them."""
    run, seen = TranscriberService.transcribe, list[TranscribeFields]()

    async def noted(service: TranscriberService, request: TranscribeFields, *rest: Any) -> Any:
        seen.append(request)
        return await run(service, request, *rest)

    monkeypatch.setattr(TranscriberService, "transcribe", noted)
    return seen


@pytest.mark.parametrize("strategy", [VAD, json.dumps(VAD)], ids=["object", "json"])
async def test_server_vad_says_what_is_speech(
    client: AsyncOpenAI, requests: list[TranscribeFields], strategy: Any
) -> None:
    assert (await transcribe(client, chunking_strategy=strategy)).text
    (request,) = requests
    assert (request.vad_threshold, request.vad_min_silence_duration_ms, request.vad_speech_pad_ms) == (0.95, 2000, 50)


@pytest.mark.parametrize("strategy", ["auto", {"type": "server_vad"}], ids=str)
async def test_a_strategy_that_leaves_it_to_the_server_changes_nothing(
    client: AsyncOpenAI, requests: list[TranscribeFields], strategy: Any
) -> None:
    assert (await transcribe(client, chunking_strategy=strategy)).text == TEXT
    assert requests == [TranscribeFields()]


async def test_models(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["mini", *ALIASES]
    model = await client.models.retrieve("mini")
    assert (model.id, model.object, model.owned_by) == ("mini", "model", "reelscribe")
    assert model.created > 1_700_000_000


@pytest.mark.parametrize("name", ["mini", *ALIASES])
async def test_the_loaded_model_has_its_own_name_and_those_of_openai(client: AsyncOpenAI, name: str) -> None:
    assert (await transcribe(client, model=name)).text == TEXT
    assert (await client.models.retrieve(name)).id == name


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: transcribe(client, model="gpt-4o-transcribe-diarize"),
        lambda client: client.models.retrieve("gpt-4o-transcribe-diarize"),
    ],
    ids=["transcribe", "retrieve"],
)
async def test_another_model_is_not_found(client: AsyncOpenAI, ask: Callable[[AsyncOpenAI], Awaitable[Any]]) -> None:
    with pytest.raises(openai.NotFoundError, match="diarize' is not loaded here; use 'mini', or one of") as raised:
        await ask(client)
    assert (error(raised.value)["code"], error(raised.value)["param"]) == ("model_not_found", "model")


@pytest.mark.filterwarnings("ignore:deprecated")  # as the newest clients call it
async def test_an_english_model_cannot_translate(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="mini knows English only and cannot translate"):
        await client.audio.translations.create(model="whisper-1", file=SHORT)


async def test_a_bad_file_is_an_error_of_openais_form(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        await client.audio.transcriptions.create(model="whisper-1", file=("notes.mp3", b"no sound at all"))
    assert error(raised.value) == {
        "message": "notes.mp3 is not an audio or video file that ffmpeg can open",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_decodable",
    }
    assert raised.value.request_id


async def test_a_bad_file_is_no_stream(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError):
        await client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"no sound"), stream=True)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"temperature": 1.5}, "temperature"),
        ({"language": "klingon"}, "language"),
        ({"language": "de"}, "language"),
        ({"extra_body": {"languages": ["en", "de"]}}, "languages"),
        ({"language": "en", "extra_body": {"languages": ["en"]}}, None),
        ({"timestamp_granularities": ["word"]}, None),
        ({"timestamp_granularities": ["letter"], "response_format": "verbose_json"}, "timestamp_granularities[]"),
        ({"stream": True, "response_format": "srt"}, None),
        ({"include": ["logprobs"], "response_format": "verbose_json"}, None),
        ({"include": ["item"]}, "include[]"),
        ({"known_speaker_names": ["Peter"]}, "known_speaker_names[]"),
        ({"keywords": ["garden"] * 250}, "keywords[]"),
        ({"keywords": ["x" * 2001]}, None),
        ({"extra_body": {"raw": True}}, None),
        ({"chunking_strategy": "sometimes"}, "chunking_strategy"),
        ({"chunking_strategy": "{"}, "chunking_strategy"),
        ({"chunking_strategy": {"type": "client_vad"}}, "chunking_strategy[type]"),
        ({"chunking_strategy": {"type": "server_vad", "threshold": 2}}, "chunking_strategy[threshold]"),
        ({"chunking_strategy": {"type": "server_vad", "rhythm": 3}}, "chunking_strategy[rhythm]"),
    ],
    ids=str,
)
async def test_what_cannot_be_done_is_refused(client: AsyncOpenAI, options: dict[str, Any], param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await transcribe(client, **options)
    assert (error(raised.value)["type"], error(raised.value)["param"]) == ("invalid_request_error", param)


async def test_a_wrong_key(serve: Serve, client_of: Connect) -> None:
    transcriber = await serve(tokens=("secret",))
    with pytest.raises(openai.AuthenticationError) as raised:
        await transcribe(client_of(transcriber, api_key="wrong"))
    assert error(raised.value)["code"] == "invalid_api_key"
    assert (await transcribe(client_of(transcriber))).text == TEXT


async def test_a_large_file_is_413(serve: Serve, client_of: Connect) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        await transcribe(client_of(await serve(max_upload_bytes=10_000)))
    assert (raised.value.status_code, error(raised.value)["param"]) == (413, "file")


async def test_a_part_of_openais_api_that_is_not_here(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no /v1/chat/completions on transcriber"):
        await client.chat.completions.create(model="mini", messages=[])


async def test_json_in_place_of_a_form_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="send multipart/form-data"):
        await client.post("/audio/transcriptions", cast_to=object, body={"model": "mini"})
