"""Small recordings of kinds that ffmpeg alone gets wrong (tests/cases), each with its right answer.

Each sound begins with silence and has a beep of one second at 1, 6, 11, 16 s …, if the table does not say otherwise.
"""

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.media_matrix.answers import Answer, ask

RECORDINGS = Path(__file__).parents[1] / "cases"
HERTZ = 440
TOLERATED_SECONDS = 0.1
"""Delay of mp3, mp2, AAC and WMA, whose encoders begin with a frame of silence."""


@dataclass(frozen=True)
class Right:
    """The right answer.

    Attributes:
        name: of the recording.
        seconds: delivered.
        beeps: where they begin.
        declared: seconds.
        reason: part of it; None if the recording is complete.
    """

    name: str
    seconds: float
    beeps: tuple[float, ...]
    declared: float | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return self.name


TABLE = (
    Right("01-mono-then-stereo.mp3", 10, (1, 6)),
    Right("02-two-mediarecorder-sessions.webm", 20, (1, 6, 11, 16)),
    Right("03-comment-duration-dots.opus", 5, (1,), declared=5),
    Right("04-cut-gsm.wav", 10, (1, 6), declared=20, reason="20.0 s are declared, 10.0 s were delivered"),
    Right("04-cut-half.wmv", 5, (1,), declared=10, reason="10.0 s are declared, 4.9 s were delivered"),
    Right("05-comment-duration.opus", 5, (1,), declared=5),
    Right("05-stale-duration-tag.opus", 5, (1,), declared=5),
    Right("06-pt-BR-sound-shorter.mkv", 5, (1,), declared=5),
    Right("06-sound-shorter.mpg", 5, (1,)),
    Right("06-sound-shorter.wmv", 5, (1,)),
    Right("07-hole-15s.ts", 25, (1, 21)),
    Right("09-sound-begins-4s-late.ts", 9, (5,)),
    Right("10-sound-appears-after-12s.ts", 16.9, (12.9,)),
    Right("11-arecord-pipe-80000000.wav", 4, (1,)),
    Right("11-byte-rate-half.wav", 4, (1,), declared=4),
    Right("12-6-channels-voice-on-4.wav", 2, (1,), declared=2),
    Right("13-antiphase.wav", 4, (1,), declared=4),
)
SPEECH = ("02-speech-two-sessions.webm", "14-dtx.amr")
OPEN = ("08-audio-pid-changes.ts",)
"""Several answers are right."""


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "videos").symlink_to(RECORDINGS)
    return await serve(each_ffmpeg, data_path=tmp_path)


@pytest.mark.parametrize("right", TABLE, ids=str)
async def test_every_beep_is_in_its_place_and_the_state_is_right(extractor: httpx.AsyncClient, right: Right) -> None:
    answer = await ask(extractor, right.name)
    assert answer.state == ("incomplete" if right.reason else "complete"), answer
    assert (right.reason or "") in (answer.reason or ""), answer
    assert answer.declared == (right.declared and pytest.approx(right.declared, abs=TOLERATED_SECONDS)), answer
    assert (answer.seconds, answer.delivered) == pytest.approx((right.seconds, right.seconds), abs=TOLERATED_SECONDS)
    assert starts(answer) == pytest.approx(right.beeps, abs=0.08), answer
    assert all(beep.end - beep.start == pytest.approx(1, abs=0.03) for beep in answer.beeps), answer
    assert all(beep.frequency == pytest.approx(HERTZ, abs=2) for beep in answer.beeps), answer


async def test_two_sessions_of_speech_follow_each_other(extractor: httpx.AsyncClient) -> None:
    answer = await ask(extractor, "02-speech-two-sessions.webm")
    assert (answer.state, answer.seconds) == ("complete", pytest.approx(14.5, abs=0.05)), answer
    sentences = [(0.5, 2.8), (4.6, 6.5), (8.0, 10.8), (12.0, 14.0)]
    assert all(any(start < beep.start and beep.end < end for beep in answer.beeps) for start, end in sentences), answer
    assert all(any(start < beep.start and beep.end < end for start, end in sentences) for beep in answer.beeps), answer


async def test_pauses_without_data_are_silence(extractor: httpx.AsyncClient) -> None:
    answer = await ask(extractor, "14-dtx.amr")
    assert (answer.state, answer.seconds) == ("complete", pytest.approx(20, abs=0.05)), answer
    seconds = {int(beep.start) for beep in answer.beeps} | {int(beep.end) for beep in answer.beeps}
    assert seconds <= {1, 6, 11, 16}, "all that is loud is in the seconds that have data"
    assert {1, 16} <= seconds, answer


async def test_sound_that_continues_in_another_pid_is_found_or_said_to_be_missing(
    extractor: httpx.AsyncClient,
) -> None:
    answer = await ask(extractor, "08-audio-pid-changes.ts")
    if answer.state == "complete":
        assert starts(answer) == pytest.approx((1, 6), abs=0.05), answer
        assert answer.seconds == pytest.approx(10, abs=TOLERATED_SECONDS), answer
    else:
        assert (answer.state, bool(answer.reason)) == ("incomplete", True), answer
        assert starts(answer)[:1] == pytest.approx((1,), abs=0.05), answer


async def test_the_track_with_an_odd_language_is_listed(extractor: httpx.AsyncClient) -> None:
    probed = (await extractor.get("/probe", params={"savepath": "06-pt-BR-sound-shorter.mkv"})).json()
    assert [stream["language"] for stream in probed["streams"] if stream["kind"] == "audio"] == ["pt-BR"]


async def test_the_receipt_remarks_on_what_was_done(extractor: httpx.AsyncClient) -> None:
    expected = {
        "02-two-mediarecorder-sessions.webm": "timestamps begin again;",
        "07-hole-15s.ts": "15.0 s of silence",
        "13-antiphase.wav": "cancel each other",
        "01-mono-then-stereo.mp3": None,
    }
    for name, phrase in expected.items():
        response = await extractor.post("/extract-audio", json={"savepath": name, "audio_format": "wav", "channels": 1})
        receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
        assert [phrase in remark for remark in receipt["remarks"]] == ([True] if phrase else []), receipt


def test_every_recording_of_the_folder_has_a_right_answer() -> None:
    assert {path.name for path in RECORDINGS.iterdir()} == {right.name for right in TABLE} | {*SPEECH, *OPEN}


def starts(answer: Answer) -> tuple[float, ...]:
    return tuple(beep.start for beep in answer.beeps)
