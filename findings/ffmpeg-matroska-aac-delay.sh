#!/usr/bin/env bash
# FFmpeg 7.0.2 states the delay of AAC in Matroska (CodecDelay, 21.333 ms at 48 kHz), and reads its own file with 1,024 samples more
# than it should: it takes the delay off the timestamps, but leaves no samples out (its Opus decoder does so by itself). FFmpeg 9.0.2
# leaves them out. So one and the same file has 97,280 samples in one and 96,256 in the other, and who counts samples from the first one,
# or takes pictures and sound from two versions, is 21 ms off. (FFmpeg 5.1 of Debian 12 writes no delay for AAC, and reads as 7.0.2.)
# What helps: decode with -copyts, and drop what comes before the beginning that FFmpeg 9.0.2 states (0; 7.0.2 states -0.021).
# Seen: "read by 7.0.2: first at -1008, 97280 samples", "read by 9.0.2: first at 0, 96256 samples" (timestamps are milliseconds: 21 of
# the 21.333).
set -euo pipefail
cd "$(mktemp -d)"
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target old imageio-ffmpeg==0.6.0
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target new imageio-ffmpeg==0.8.1
old=$(echo old/imageio_ffmpeg/binaries/ffmpeg-*) new=$(echo new/imageio_ffmpeg/binaries/ffmpeg-*)
"$old" -v error -f lavfi -i testsrc=s=64x48:r=25:d=2 -f lavfi -i sine=r=48000:d=2 -c:v mpeg4 -c:a aac made.mkv

read_by() {
    local first samples
    first=$("$1" -v error -copyts -i made.mkv -map 0:a -f framecrc report.txt && awk -F, '/^[0-9]/ { print $3 + 0; exit }' report.txt)
    samples=$(($("$1" -v error -i made.mkv -map 0:a -f s16le - | wc -c) / 2))
    rm report.txt
    echo "read by $2: first at $first, $samples samples"
}

seen="$(read_by "$old" 7.0.2)
$(read_by "$new" 9.0.2)"
echo "$seen"
[ "$seen" = "read by 7.0.2: first at -1008, 97280 samples
read by 9.0.2: first at 0, 96256 samples" ]
