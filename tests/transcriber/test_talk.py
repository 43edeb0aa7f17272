"""The demo's talk, natural English of a minute, with Whisper's own tiny.en: through the service, as a client sends it.

Needs the weights of tiny.en, which the extra ``test`` installs; without them, all of this is skipped.
"""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import jiwer
import pytest

from bench.scores import normal
from reelscribe.contracts.events import Event, Finished
from tests.transcriber.api.test_uploads import upload
from tests.transcriber.conftest import Serve, segments, text
from transcriber.model.loading import LoadedModel, load_model
from transcriber.model.packaged import PACKAGED, folder_of, is_installed

TALK = Path(__file__).parents[2] / "demo" / "demo.mp4"
SAID: dict[str, Any] = json.loads(TALK.with_suffix(".json").read_text())
WORDS = len(normal(SAID["text"]).split())
MOST_WRONG = 0.03
HINTS = "Okafor, Bennett, Vermont, Oregon"

pytestmark = [
    pytest.mark.real_words,
    pytest.mark.skipif(not is_installed(PACKAGED["tiny.en"]), reason="the weights of tiny.en are not installed"),
]


@pytest.fixture(scope="session")
def tiny_en() -> LoadedModel:
    return load_model(str(folder_of(PACKAGED["tiny.en"])), "cpu", "int8")


Transcribe = Callable[..., Any]


@pytest.fixture(scope="session")
def answers() -> dict[frozenset[tuple[str, str]], list[Event]]:
    """What was answered for the talk already, by the fields of the request."""
    return {}


@pytest.fixture
async def transcribe(
    serve: Serve, tiny_en: LoadedModel, answers: dict[frozenset[tuple[str, str]], list[Event]]
) -> Transcribe:
    async def events_of(path: Path = TALK, **fields: str) -> list[Event]:
        if path != TALK:
            return await upload(await serve(loaded=tiny_en), path, **fields)
        request = frozenset(fields.items())
        if request not in answers:
            answers[request] = await upload(await serve(loaded=tiny_en), TALK, **fields)
        return answers[request]

    return events_of


def wrong(transcribed: str, said: str = SAID["text"]) -> float:
    return float(jiwer.wer(normal(said), normal(transcribed)))


@pytest.mark.parametrize(
    "fields", [{}, {"mode": "sequential"}, {"vad": "false"}, {"mode": "sequential", "vad": "false"}]
)
async def test_few_words_are_wrong(transcribe: Transcribe, fields: dict[str, str]) -> None:
    events = await transcribe(**fields)
    assert wrong(text(events)) <= MOST_WRONG, text(events)
    assert isinstance(events[-1], Finished) and events[-1].complete


async def test_segments_follow_each_other_until_the_last_word(transcribe: Transcribe) -> None:
    answer = await transcribe()
    said = segments(answer)
    assert all(later.start >= earlier.end - 0.1 for earlier, later in pairwise(said))
    assert text(answer).endswith("to be read.") and said[-1].end == pytest.approx(59.5, abs=0.5)


async def test_times_of_words_are_those_of_the_voice_and_change_no_word(transcribe: Transcribe) -> None:
    timed = await transcribe(word_timestamps="true")
    assert text(timed) == text(await transcribe())
    words = [word for segment in segments(timed) for word in segment.words or []]
    assert max(word.end - word.start for word in words) < 2
    assert all(min(abs(word.start - sentence["start"]) for word in words) < 0.4 for sentence in SAID["segments"])


@pytest.mark.parametrize(
    "hint",
    [
        {"hotwords": "Okafor"},
        {"hotwords": HINTS, "mode": "sequential"},
        {"initial_prompt": HINTS},
        {"initial_prompt": HINTS, "mode": "sequential"},
    ],
)
async def test_hints_cost_no_words(transcribe: Transcribe, hint: dict[str, str]) -> None:
    transcribed = text(await transcribe(**hint))
    assert len(normal(transcribed).split()) >= 0.98 * WORDS
    assert wrong(transcribed) <= MOST_WRONG, transcribed


async def test_a_hint_gets_a_name_right(transcribe: Transcribe) -> None:
    assert "Okafor" not in text(await transcribe())
    assert "Okafor" in text(await transcribe(hotwords="Okafor"))


async def test_no_words_are_lost_without_a_pause_to_cut_at(
    transcribe: Transcribe, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    speech = "+".join(f"between(t,{one['start']},{one['end']})" for one in SAID["segments"])
    hurried = tmp_path / "hurried.wav"
    run_ffmpeg("-i", TALK, "-af", f"asetnsamples=240,aselect='{speech}',asetpts=N/SR/TB", hurried)
    transcribed = text(await transcribe(hurried))
    assert wrong(transcribed) <= 2 * MOST_WRONG, transcribed


async def test_no_words_are_lost_of_speech_with_more_words_than_a_call_of_the_model_has_tokens_for(
    transcribe: Transcribe, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    """In a window of 23 s: Whisper stops after 224."""
    fast = tmp_path / "fast.wav"
    run_ffmpeg("-i", TALK, "-af", "atempo=2.6", fast)
    answer = await transcribe(fast)
    assert len(normal(text(answer)).split()) >= 0.92 * WORDS, text(answer)
    assert segments(answer)[-1].end == pytest.approx(59.5 / 2.6, abs=0.5)


async def test_speech_after_a_long_silence_is_found(
    transcribe: Transcribe, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    late = tmp_path / "late.wav"
    run_ffmpeg("-t", "8.9", "-i", TALK, "-af", "adelay=45000", late)
    said = segments(await transcribe(late))
    assert wrong(" ".join(one.text for one in said), " ".join(one["text"] for one in SAID["segments"][:2])) == 0
    assert said[0].start == pytest.approx(45.5, abs=0.5)


ZEROS, NOISE, HUM = "anullsrc=r=16000", "anoisesrc=r=16000:a=0.02:seed=1", "sine=100:r=16000"


@pytest.mark.parametrize(
    ("sound", "vad"),
    [
        *((sound, "true") for sound in (ZEROS, NOISE, HUM)),
        *((sound, "false") for sound in (ZEROS, NOISE, HUM)),
    ],
)
async def test_sounds_that_are_not_speech_give_no_words(
    transcribe: Transcribe, run_ffmpeg: Callable[..., None], tmp_path: Path, sound: str, vad: str
) -> None:
    path = tmp_path / "sound.wav"
    run_ffmpeg("-f", "lavfi", "-i", sound, "-t", "25", path)
    assert text(await transcribe(path, vad=vad)) == ""
