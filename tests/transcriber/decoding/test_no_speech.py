"""What was not said is not in the transcript."""

import numpy as np
import pytest

from reelscribe.contracts.events import Event
from tests.transcriber import sounds
from tests.transcriber.conftest import Serve, segments, text, word_error_rate
from tests.transcriber.peer import Script, recording, wav
from tests.transcriber.sounds import Sound


async def transcribe(serve: Serve, script: Script, sound: Sound, **options: object) -> list[Event]:
    transcriber = await serve()
    script.bodies["short.flac"] = wav((sound * 32767).astype("<i2").tobytes())
    script.receipt_changes = {
        key: len(sound) / sounds.SAMPLE_RATE for key in ("declared_seconds", "delivered_seconds")
    } | {"samples": len(sound)}
    return await transcriber.events("short.flac", **options)


@pytest.mark.parametrize("vad", [True, False])
@pytest.mark.parametrize("mode", ["batched", "sequential"])
@pytest.mark.parametrize("kind", ["silence", "white_noise", "pink_noise", "hum", "music"])
async def test_no_words_without_speech(serve: Serve, script: Script, kind: str, mode: str, vad: bool) -> None:
    events = await transcribe(serve, script, getattr(sounds, kind)(12.0), mode=mode, vad=vad)
    assert events[-1].event == "finished"
    assert segments(events) == []


async def test_of_noise_and_speech_only_the_speech_is_transcribed(serve: Serve, script: Script) -> None:
    sound = np.concatenate((sounds.white_noise(8.0), sounds.silence(1.0), recording("short.flac")))
    events = await transcribe(serve, script, sound)
    assert word_error_rate("short.flac", text(events)) <= 0.1
