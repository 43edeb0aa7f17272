"""Make demo/demo.mp4, a talk of a minute read by a neural voice, and demo/demo.json, its words and their times.

Usage: python tools/make_demo_video.py [OUTPUT]

Needs ``pip install hibari-tts==0.2.1``, an ffmpeg with libass and libx264 on PATH, and the font DejaVu Sans. The text
is ours, under the licence of this project. The engine and its voice ("heart", which is in the package) are under the
Apache License 2.0; the voice was distilled from Kokoro-82M, which is under the same licence. Nothing of them is in the
video but the speech. The same versions produce the same bytes.
"""

import argparse
import json
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hibari import SAMPLE_RATE, Hibari

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "demo" / "demo.mp4"

TALK = (
    "Good afternoon, and thank you for coming.",
    "My name is Clara Bennett, and I look after the lecture archive of a small university in Vermont.",
    "When I started there in 2009, we had four thousand hours of recordings, and no index.",
    "If a student wanted to know what Professor Okafor had said about tides, one of us had to sit down and listen.",
    "So last winter we let a computer do the listening.",
    "It took eleven nights, and it cost less than three hundred dollars.",
    "Is every word right?",
    "No: names are hard, formulas are harder, and one guest who whistled is still a mystery.",
    "But now a search takes a second, and it leads you to the minute that you need.",
    "In March, a farmer in Oregon wrote to us.",
    "He had found a talk from 1978 about the soil of his own valley, given by his grandmother.",
    "He never knew that her voice had been recorded.",
    "His letter hangs on my wall, and it is why I believe that old recordings deserve to be read.",
)

SECONDS, FRAMES_PER_SECOND = 60, 12
MARGIN_SECONDS = 0.5
"""Before the first sentence and after the last."""
SILENT, PEAK = 0.01, 0.7
"""Samples below the first count as silence; the loudest gets the second. Full scale is 1."""

WIDTH, HEIGHT, MARGIN = 1280, 720, 72
WAVE_WIDTH, WAVE_HEIGHT, WAVE_TOP = WIDTH - 2 * MARGIN, 140, 520
CAPTION_AT = rf"\pos({WIDTH // 2},300)"
BACKGROUND, WAVE = "0x10151c", "0x3fb6a8"

# Colours of ASS are &HAABBGGRR, 00 being opaque; alignments are those of a number pad.
HEADER = f"""\
[Script Info]
ScriptType: v4.00+
PlayResX: {WIDTH}
PlayResY: {HEIGHT}
WrapStyle: 0
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Alignment, MarginL, MarginR, MarginV, BorderStyle, Outline
Style: Title,DejaVu Sans,34,&H00A8B63F,1,7,72,72,52,1,0
Style: Clock,DejaVu Sans Mono,30,&H008C7F73,0,9,72,72,55,1,0
Style: Caption,DejaVu Sans,54,&H00F5F2EE,1,5,90,90,0,1,0
Style: Curtain,DejaVu Sans,20,&H481C1510,0,9,0,0,0,1,0

[Events]
Format: Layer, Start, End, Style, Text
"""


@dataclass(frozen=True)
class Sentence:
    """A sentence of the talk, in seconds of the video."""

    start: float
    end: float
    text: str


def read_aloud() -> tuple[Any, list[Sentence]]:
    """The samples of the talk, padded to :data:`SECONDS` by equal pauses between its sentences, and the sentences."""
    voice = Hibari()
    spoken = [trimmed(voice(text, seed=number)) for number, text in enumerate(TALK)]
    silence = SECONDS - 2 * MARGIN_SECONDS - sum(map(len, spoken)) / SAMPLE_RATE
    if silence < 0:
        raise SystemExit(f"the talk is {-silence:.1f} s too long")
    samples, sentences = np.zeros(SECONDS * SAMPLE_RATE, np.float32), []
    start = MARGIN_SECONDS
    for text, sound in zip(TALK, spoken, strict=True):
        first, seconds = round(start * SAMPLE_RATE), len(sound) / SAMPLE_RATE
        samples[first : first + len(sound)] = sound
        sentences.append(Sentence(round(start, 2), round(start + seconds, 2), text))
        start += seconds + silence / (len(TALK) - 1)
    return samples * (PEAK / np.abs(samples).max()), sentences


def trimmed(sound: Any) -> Any:
    """Without the silence before and after the words."""
    loud = np.flatnonzero(np.abs(sound) > SILENT)
    return sound[loud[0] : loud[-1] + 1]


def write_wav(path: Path, samples: Any) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def ass_time(seconds: float) -> str:
    """``h:mm:ss.cc``, the format of times in ASS."""
    minutes, seconds = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{seconds:05.2f}"


def event(start: float, end: float, style: str, text: str) -> str:
    return f"Dialogue: 0,{ass_time(start)},{ass_time(end)},{style},{text}\n"


def subtitles(sentences: list[Sentence]) -> str:
    """Title, clock, curtain and captions as one ASS script; each caption stays until the next sentence begins."""
    corner = rf"\pos({WIDTH - MARGIN},{WAVE_TOP})\an9"
    curtain = f"m 0 0 l {WAVE_WIDTH} 0 {WAVE_WIDTH} {WAVE_HEIGHT} 0 {WAVE_HEIGHT}"
    lines = [
        event(0, SECONDS, "Title", "Reelscribe demo"),
        event(0, SECONDS, "Curtain", rf"{{{corner}\fscx100\t(0,{SECONDS * 1000},\fscx0)\p1}}{curtain}"),
    ]
    lines += [event(second, second + 1, "Clock", f"0:{second:02} / 1:00") for second in range(SECONDS)]
    ends = [sentence.start for sentence in sentences[1:]] + [SECONDS]
    for sentence, end in zip(sentences, ends, strict=True):
        lines.append(event(sentence.start, end, "Caption", rf"{{{CAPTION_AT}\fad(120,120)}}{sentence.text}"))
    return HEADER + "".join(lines)


def make_video(output: Path) -> list[Sentence]:
    """Draw the waveform of the full minute once, and uncover it with time."""
    frames = f"rate={FRAMES_PER_SECOND}:duration={SECONDS}"
    graph = (
        f"color={BACKGROUND}:size={WIDTH}x{HEIGHT}:{frames}[back];"
        f"[0:a]showwavespic=size={WAVE_WIDTH}x{WAVE_HEIGHT}:colors={WAVE}:filter=peak:scale=sqrt[wave];"
        f"[back][wave]overlay={MARGIN}:{WAVE_TOP},ass=captions.ass,format=yuv420p[picture]"
    )
    command = [
        *("ffmpeg", "-hide_banner", "-loglevel", "warning", "-y", "-i", "talk.wav"),
        *("-filter_complex", graph, "-map", "[picture]", "-map", "0:a", "-t", str(SECONDS)),
        *("-c:v", "libx264", "-preset", "veryslow", "-crf", "26", "-tune", "animation"),
        *("-c:a", "aac", "-b:a", "64k", "-ac", "1"),
        *("-movflags", "+faststart", "-map_metadata", "-1", "-metadata", "title=Reelscribe demo"),
        # No versions and dates in the file: the same ffmpeg produces the same bytes.
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
        str(output.resolve()),
    ]
    samples, sentences = read_aloud()
    with tempfile.TemporaryDirectory() as folder:
        write_wav(Path(folder) / "talk.wav", samples)
        (Path(folder) / "captions.ass").write_text(subtitles(sentences), encoding="utf-8")
        subprocess.run(command, check=True, cwd=folder)  # a path in a filter graph would need escaping
    return sentences


def as_json(sentences: list[Sentence]) -> str:
    """In the form of tests/speech/*.json."""
    segments = [{"start": one.start, "end": one.end, "text": one.text} for one in sentences]
    return json.dumps({"text": " ".join(TALK), "segments": segments}, indent=1) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the demo video, and the file of its words.")
    parser.add_argument("output", nargs="?", type=Path, default=OUTPUT)
    output: Path = parser.parse_args().output
    sentences = make_video(output)
    output.with_suffix(".json").write_text(as_json(sentences), encoding="utf-8")
    print(f"{output}: {output.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
