#!/usr/bin/env bash
# FFmpeg 9.0.2: AMR narrowband with pauses as phones record it (DTX, 3GPP TS 26.093; here by its own -dtx 1 of
# libopencore_amrnb) loses its pauses, with exit code 0: its default decoder amrnb says "dtx mode is not implemented",
# and "Corrupt bitstream" for packets without data. Later sound comes earlier, by as much as was silent.
# With the decoder libopencore_amrnb, which is in the same binary, all of it is there.
# Seen: "exit code 0, amrnb 6.2 s, libopencore_amrnb 16.0 s" for 3 s of tone, 10 s of silence, 3 s of tone.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
ffmpeg=$(new/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
tone='sine=duration=3:sample_rate=8000'
"$ffmpeg" -v error -f lavfi -i "$tone" -f lavfi -i 'anullsrc=r=8000:cl=mono,atrim=0:10' -f lavfi -i "$tone" \
    -filter_complex '[0][1][2]concat=n=3:v=0:a=1,aformat=sample_fmts=s16' -c:a libopencore_amrnb -dtx 1 call.amr
seconds() {
    "$ffmpeg" -v quiet -c:a "$1" -i call.amr -f s16le "$1.raw" || echo "exit code $?" >&2
    stat -c %s "$1.raw" | awk '{ printf "%.1f", $1 / 16000 }'
}
"$ffmpeg" -version | head -1
native=$(seconds amrnb) opencore=$(seconds libopencore_amrnb)
echo "exit code 0, amrnb $native s, libopencore_amrnb $opencore s"
awk -v native="$native" -v opencore="$opencore" 'BEGIN { exit !(native < 7 && opencore > 15.9) }'
