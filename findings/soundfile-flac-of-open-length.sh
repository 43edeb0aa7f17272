#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2) and a FLAC stream that leaves its number of samples open, as RFC 9639 (8.2) allows and FFmpeg
# writes into a pipe: 2^63 - 1 frames are reported. read() wants an array of that size, and whatever reaches the end, blocks() too, raises
# and keeps what was read; only parts that end before it come. WAV and Ogg from the same pipe are read as they are. mutagen 1.48.1 and tinytag 2.3.2 say 0 s of
# such a FLAC, and 134,218 s of 5 s of WAV, as the length that is left open there is the largest.
# The cause is named in https://github.com/libsndfile/libsndfile/issues/1038.
# Seen: "wav 80000, ogg 80000, flac 9223372036854775807: read ValueError, blocks LibsndfileError,
# 79,999 samples 79999, 80,000 samples LibsndfileError".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new
new/bin/pip install --quiet soundfile==0.14.0 mutagen==1.48.1 tinytag==2.3.2 imageio-ffmpeg==0.8.1
FFMPEG=$(new/bin/python -c "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())")
for format in wav ogg flac; do
    "$FFMPEG" -loglevel error -f lavfi -i sine=440:duration=5:sample_rate=16000 -f "$format" pipe:1 > "made.$format"
done
new/bin/python - <<'PYTHON'
import mutagen
import soundfile
from tinytag import TinyTag


def outcome(read):
    try:
        return read()
    except Exception as failure:
        return type(failure).__name__


frames = {name: soundfile.info(f"made.{name}").frames for name in ("wav", "ogg", "flac")}
whole = outcome(lambda: len(soundfile.read("made.flac")[0]))
blocks = outcome(lambda: sum(map(len, soundfile.blocks("made.flac", blocksize=16000))))
before_end, to_end = (outcome(lambda: len(soundfile.read("made.flac", frames=count)[0])) for count in (79999, 80000))
listed = ", ".join(f"{name} {count}" for name, count in frames.items())
print(f"{listed}: read {whole}, blocks {blocks}, 79,999 samples {before_end}, 80,000 samples {to_end}")
assert frames == {"wav": 80000, "ogg": 80000, "flac": 2**63 - 1}
assert (whole, blocks, before_end, to_end) == ("ValueError", "LibsndfileError", 79999, "LibsndfileError")
lengths = [round(of) for name in ("flac", "wav") for of in
           (mutagen.File(f"made.{name}").info.length, TinyTag.get(f"made.{name}").duration)]  # fmt: skip
print("seconds of FLAC and WAV, by mutagen and tinytag:", lengths)
assert lengths == [0, 0, 134218, 134218]
PYTHON
