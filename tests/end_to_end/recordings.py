"""Recordings whose text does not depend on what else is transcribed: the transcripts of two runs can be compared."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import SPEECH

LONG = 5
"""The one of each twelve clips that contains all further sentences."""
BAD = {"bad/text.mp4": "not_decodable", "bad/cut.mp4": "incomplete_recording"}


def make_recordings(bucket: Path, run_ffmpeg: Callable[..., None], clips: int = 48) -> list[str]:
    """Make clips of complete sentences, a few of more than one window, and two bad files.

    The small model is sure of these; otherwise its words would depend on what else is in a batch. The long clips are
    lossless and have the transcriber's sample rate: a lossy decoder yields other samples if it starts in the middle.
    """
    sentences = json.loads((SPEECH / "minute.json").read_text())["segments"]
    savepaths = []
    (bucket / "clips").mkdir(parents=True)
    for number in range(clips):
        first = number % 12 if number % 12 != LONG else number // 12
        last = len(sentences) - 1 if number % 12 == LONG else first + number // 12 % 3
        begin, end = max(0.0, sentences[first]["start"] - 0.3), sentences[last]["end"] + 0.3
        savepath = f"clips/{number:02}.{'flac' if number % 12 == LONG else 'm4a'}"
        cut = ("-ss", f"{begin}", "-t", f"{end - begin}", "-i", SPEECH / "minute.flac", "-ar", "16000")
        run_ffmpeg(*cut, bucket / savepath)
        savepaths.append(savepath)
    (bucket / "bad").mkdir()
    (bucket / "bad/text.mp4").write_text("no recording")
    run_ffmpeg("-i", SPEECH / "minute.flac", "-movflags", "+faststart", bucket / "bad/intact.mp4")
    intact = (bucket / "bad/intact.mp4").read_bytes()
    (bucket / "bad/cut.mp4").write_bytes(intact[: len(intact) // 2])
    return [*savepaths[:20], *BAD, *savepaths[20:]]
