"""OpenAI's own Python client, unmodified, against Machine B."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.transcriber.conftest import MachineB, Serve, truth
from tests.transcriber.peer import SPEECH

SHORT = SPEECH / "short.flac"
TEXT = truth("short.flac")["text"]

Connect = Callable[..., AsyncOpenAI]


@pytest.fixture
async def client_of() -> AsyncIterator[Connect]:
    clients: list[AsyncOpenAI] = []

    def connect(machine_b: MachineB, api_key: str = "secret") -> AsyncOpenAI:
        url = (
            f"{machine_b.http.base_url}v1"
            if str(machine_b.http.base_url).endswith("/")
            else f"{machine_b.http.base_url}/v1"
        )
        clients.append(AsyncOpenAI(base_url=url, api_key=api_key, max_retries=0))
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


@pytest.fixture
async def client(machine_b: MachineB, client_of: Connect) -> AsyncOpenAI:
    return client_of(machine_b)


async def transcribe(client: AsyncOpenAI, path: Path = SHORT, **options: Any) -> Any:
    return await client.audio.transcriptions.create(**{"model": "whisper-1", "file": path, **options})


def error(failure: openai.APIStatusError) -> dict[str, Any]:
    """The error object, which the client takes out of its envelope."""
    assert isinstance(failure.body, dict)
    return failure.body


async def test_json(client: AsyncOpenAI) -> None:
    heard = await transcribe(client)
    assert heard.text == TEXT
    assert (heard.usage.type, heard.usage.seconds) == ("duration", 8)


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
    heard = await transcribe(client, response_format="verbose_json", language="en")
    assert (heard.text, heard.language, heard.duration, heard.words) == (TEXT, "english", 7.5, None)
    starts = [sentence["start"] for sentence in truth("short.flac")["segments"]]
    assert [segment.start for segment in heard.segments] == [pytest.approx(start, abs=0.5) for start in starts]
    assert [segment.id for segment in heard.segments] == [0, 1]
    assert all(segment.tokens and segment.avg_logprob < 0 for segment in heard.segments)


async def test_times_of_words(client: AsyncOpenAI) -> None:
    heard = await transcribe(client, response_format="verbose_json", timestamp_granularities=["word"])
    assert " ".join(word.word for word in heard.words) == TEXT
    assert heard.segments is None
    assert all(word.start <= word.end for word in heard.words)


async def test_times_of_words_and_segments(client: AsyncOpenAI) -> None:
    heard = await transcribe(client, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert heard.words and len(heard.segments) == 2


async def test_stream(client: AsyncOpenAI) -> None:
    told = [event async for event in await transcribe(client, stream=True)]
    assert [event.type for event in told] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in told[:-1]) == told[-1].text == TEXT


async def test_a_stream_that_fails_raises(serve: Serve, client_of: Connect) -> None:
    machine_b = await serve(batch_size=1)
    decode, heard = machine_b.machine.recogniser.decode, 0

    def broken(*arguments: Any) -> Any:
        nonlocal heard
        heard += 1
        return decode(*arguments) if heard == 1 else 1 // 0

    machine_b.machine.recogniser.decode = broken  # type: ignore[method-assign]
    stream = await transcribe(client_of(machine_b), SPEECH / "minute.flac", stream=True)
    told = []
    with pytest.raises(openai.APIError, match="the model failed on this audio"):
        async for event in stream:
            told.append(event.type)
    assert told and set(told) == {"transcript.text.delta"}


async def test_prompt_temperature_and_chunking_are_accepted(client: AsyncOpenAI) -> None:
    heard = await transcribe(
        client, prompt="Peter, Alice", temperature=0.2, chunking_strategy="auto", language="English"
    )
    assert heard.text


async def test_models(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["mini", "whisper-1"]
    model = await client.models.retrieve("mini")
    assert (model.id, model.object, model.owned_by) == ("mini", "model", "reelscribe")
    assert model.created > 1_700_000_000


async def test_the_loaded_models_own_name_is_accepted(client: AsyncOpenAI) -> None:
    assert (await transcribe(client, model="mini")).text == TEXT


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: transcribe(client, model="gpt-4o-transcribe"),
        lambda client: client.models.retrieve("gpt-4o-transcribe"),
    ],
    ids=["transcribe", "retrieve"],
)
async def test_another_model_is_not_found(client: AsyncOpenAI, ask: Callable[[AsyncOpenAI], Awaitable[Any]]) -> None:
    with pytest.raises(openai.NotFoundError, match="'gpt-4o-transcribe' is not loaded here; use 'mini'") as told:
        await ask(client)
    assert (error(told.value)["code"], error(told.value)["param"]) == ("model_not_found", "model")


@pytest.mark.filterwarnings("ignore:deprecated")  # as the newest clients call it
async def test_an_english_model_cannot_translate(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="mini knows English only and cannot translate"):
        await client.audio.translations.create(model="whisper-1", file=SHORT)


async def test_a_bad_file_is_told_in_openais_words(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as told:
        await client.audio.transcriptions.create(model="whisper-1", file=("notes.mp3", b"no sound at all"))
    assert error(told.value) == {
        "message": "notes.mp3 is no audio or video file that ffmpeg can open",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_decodable",
    }
    assert told.value.request_id


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
        ({"timestamp_granularities": ["word"]}, None),
        ({"timestamp_granularities": ["letter"], "response_format": "verbose_json"}, "timestamp_granularities.0"),
        ({"stream": True, "response_format": "srt"}, None),
        ({"include": ["logprobs"]}, "include[]"),
    ],
    ids=str,
)
async def test_what_cannot_be_done_is_refused(client: AsyncOpenAI, options: dict[str, Any], param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        await transcribe(client, **options)
    assert (error(told.value)["type"], error(told.value)["param"]) == ("invalid_request_error", param)


async def test_a_wrong_key(serve: Serve, client_of: Connect) -> None:
    machine_b = await serve(tokens=("secret",))
    with pytest.raises(openai.AuthenticationError) as told:
        await transcribe(client_of(machine_b, api_key="wrong"))
    assert error(told.value)["code"] == "invalid_api_key"
    assert (await transcribe(client_of(machine_b))).text == TEXT


async def test_a_large_file_is_413(serve: Serve, client_of: Connect) -> None:
    with pytest.raises(openai.APIStatusError) as told:
        await transcribe(client_of(await serve(max_upload_bytes=10_000)))
    assert (told.value.status_code, error(told.value)["param"]) == (413, "file")


async def test_a_part_of_openais_api_that_is_not_here(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no /v1/chat/completions on transcriber"):
        await client.chat.completions.create(model="mini", messages=[])


async def test_json_in_place_of_a_form_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="send multipart/form-data"):
        await client.post("/audio/transcriptions", cast_to=object, body={"model": "mini"})
