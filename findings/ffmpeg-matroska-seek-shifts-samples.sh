#!/usr/bin/env bash
# FFmpeg 7.0.2 and 9.0.2: half a second of a Matroska file (-ss before -i) is not the same samples as that part of the complete
# decode, although the seek is called accurate: timestamps are rounded to milliseconds, and samples are counted from the first packet
# that is read. Seen for a decaying tone at 48 kHz, from 4.56, 9.12 and 13.68 s on: with 7.0.2 AAC is 16 samples off and Opus 41 or 42,
# with 9.0.2 AAC 8 and Opus 48. Right is 0: frames follow each other, so that their number gives the place.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv old && old/bin/pip install --quiet imageio-ffmpeg==0.6.0
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
old=$(old/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
new=$(new/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
sound='aevalsrc=0.8*exp(-150*mod(t\,0.0501))*sin(2*PI*700*t):sample_rate=48000:duration=20'
"$new" -v error -f lavfi -i "$sound" -c:a aac -b:a 128k aac.mka
"$new" -v error -f lavfi -i "$sound" -c:a libopus -b:a 96k opus.mka
shift_of() { # binary, file, seconds
    "$1" -v error -i "$2" -f s16le -ac 1 -y whole.raw
    "$1" -v error -ss "$3" -i "$2" -t 0.5 -f s16le -ac 1 -y part.raw
    python3 - "$3" <<'PYTHON'
import array, sys

whole, part = (array.array("h", open(name, "rb").read()) for name in ("whole.raw", "part.raw"))
at, window = round(float(sys.argv[1]) * 48000), range(8_000, 14_000, 3)
error = {by: sum(abs(part[i] - whole[at + by + i]) for i in window) for by in range(-100, 101)}
print(abs(min(error, key=error.get)))
PYTHON
}
for binary in "$old" "$new"; do
    "$binary" -version | head -1
    for file in aac.mka opus.mka; do
        shifts=$(for start in 4.56 9.12 13.68; do shift_of "$binary" "$file" "$start"; done | xargs)
        echo "$file: $shifts samples"
        for shift in $shifts; do [ "$shift" -ge 8 ] && [ "$shift" -le 48 ]; done
    done
done
