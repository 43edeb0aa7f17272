#!/usr/bin/env bash
# FFmpeg 7.0.2 and 9.0.2, bitstream filter setts with -c copy: an expression for dts alone overwrites pts too, and so does
# pts=PTS written out. With an encoder instead of copy, pts stays (Debian's 5.1.9 keeps it in both cases).
# Whoever numbers packets by dts, to see timestamps that go back, gets the numbers as timestamps. Durations survive.
# Seen: third packet of mp3 in Matroska: "copied: pts -999998", its dts; as pcm_s16le: its true time.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv old && old/bin/pip install --quiet imageio-ffmpeg==0.6.0
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
old=$(old/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
new=$(new/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
"$new" -v error -f lavfi -i sine=d=1:r=16000 -c:a libmp3lame a.mkv
third() { "$1" -v error -copyts -i a.mkv -c:a "$2" -bsf:a "setts=dts=N-1000000:pts=PTS" -f framecrc - | grep -v '^#' | sed -n 3p | cut -d, -f3 | tr -d ' '; }
for binary in "$old" "$new"; do
    "$binary" -version | head -1
    echo "copied: pts $(third "$binary" copy), encoded: pts $(third "$binary" pcm_s16le)"
    [ "$(third "$binary" copy)" = -999998 ] && [ "$(third "$binary" pcm_s16le)" -gt 0 ]
done
