#!/usr/bin/env bash
# FFmpeg 9.0.2: in MPEG-TS, sound that begins 4 s after the picture begins at 0 if the picture is not extracted.
# The earliest timestamp of the streams in use counts as the beginning, also with -copyts -start_at_zero and
# aresample=first_pts=0. From MP4 the same options give 4 s of silence first. Times of words are then 4 s early.
# Seen: "mp4 9 s, ts 5 s" (Debian's 5.1.9 gives the same).
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
ffmpeg=$(new/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
for suffix in ts mp4; do
    "$ffmpeg" -v error -f lavfi -i testsrc=size=64x36:rate=25:duration=10 -itsoffset 4 -f lavfi -i sine=d=5 -c:v mpeg2video -c:a aac "a.$suffix"
done
seconds() { "$ffmpeg" -v error -copyts -start_at_zero -i "$1" -vn -af aresample=16000:async=1:first_pts=0 -ac 1 -f s16le - | wc -c | awk '{ printf "%.0f", $1 / 32000 }'; }
"$ffmpeg" -version | head -1
echo "mp4 $(seconds a.mp4) s, ts $(seconds a.ts) s"
[ "$(seconds a.mp4)" = 9 ] && [ "$(seconds a.ts)" = 5 ]
