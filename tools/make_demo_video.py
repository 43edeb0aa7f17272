"""Make demo/demo.mp4: the speech of tests/speech/minute.flac, its waveform, and its sentences as captions.

Usage: python tools/make_demo_video.py [OUTPUT]

Needs an ffmpeg with libass and libx264 on PATH, and the font DejaVu Sans.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "tests" / "speech" / "minute.flac"
CAPTIONS = SPEECH.with_suffix(".json")
OUTPUT = ROOT / "demo" / "demo.mp4"

SECONDS, FRAMES_PER_SECOND = 60, 12
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
Style: Caption,DejaVu Sans,62,&H00F5F2EE,1,5,90,90,0,1,0
Style: Curtain,DejaVu Sans,20,&H481C1510,0,9,0,0,0,1,0

[Events]
Format: Layer, Start, End, Style, Text
"""


def ass_time(seconds: float) -> str:
    """``h:mm:ss.cc``, the format of times in ASS."""
    minutes, seconds = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{seconds:05.2f}"


def event(start: float, end: float, style: str, text: str) -> str:
    return f"Dialogue: 0,{ass_time(start)},{ass_time(end)},{style},{text}\n"


def subtitles() -> str:
    """Title, clock, curtain and captions as one ASS script; each caption stays until the next sentence begins."""
    sentences = json.loads(CAPTIONS.read_text(encoding="utf-8"))["segments"]
    corner = rf"\pos({WIDTH - MARGIN},{WAVE_TOP})\an9"
    curtain = f"m 0 0 l {WAVE_WIDTH} 0 {WAVE_WIDTH} {WAVE_HEIGHT} 0 {WAVE_HEIGHT}"
    lines = [
        event(0, SECONDS, "Title", "Reelscribe demo"),
        event(0, SECONDS, "Curtain", rf"{{{corner}\fscx100\t(0,{SECONDS * 1000},\fscx0)\p1}}{curtain}"),
    ]
    lines += [event(second, second + 1, "Clock", f"0:{second:02} / 1:00") for second in range(SECONDS)]
    ends = [sentence["start"] for sentence in sentences[1:]] + [SECONDS]
    for sentence, end in zip(sentences, ends, strict=True):
        lines.append(event(sentence["start"], end, "Caption", rf"{{{CAPTION_AT}\fad(120,120)}}{sentence['text']}"))
    return HEADER + "".join(lines)


def make_video(output: Path) -> None:
    """Draw the waveform of the full minute once, and uncover it with time."""
    frames = f"rate={FRAMES_PER_SECOND}:duration={SECONDS}"
    graph = (
        f"color={BACKGROUND}:size={WIDTH}x{HEIGHT}:{frames}[back];"
        f"[0:a]showwavespic=size={WAVE_WIDTH}x{WAVE_HEIGHT}:colors={WAVE}:filter=peak:scale=sqrt[wave];"
        f"[back][wave]overlay={MARGIN}:{WAVE_TOP},ass=captions.ass,format=yuv420p[picture]"
    )
    command = [
        *("ffmpeg", "-hide_banner", "-loglevel", "warning", "-y", "-i", str(SPEECH)),
        *("-filter_complex", graph, "-map", "[picture]", "-map", "0:a", "-t", str(SECONDS)),
        *("-c:v", "libx264", "-preset", "veryslow", "-crf", "26", "-tune", "animation"),
        *("-c:a", "aac", "-b:a", "64k", "-ac", "1"),
        *("-movflags", "+faststart", "-map_metadata", "-1", "-metadata", "title=Reelscribe demo"),
        # No versions and dates in the file: the same ffmpeg produces the same bytes.
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
        str(output.resolve()),
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "captions.ass").write_text(subtitles(), encoding="utf-8")
        subprocess.run(command, check=True, cwd=folder)  # a path in a filter graph would need escaping


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the demo video from the bundled speech.")
    parser.add_argument("output", nargs="?", type=Path, default=OUTPUT)
    output: Path = parser.parse_args().output
    make_video(output)
    print(f"{output}: {output.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
