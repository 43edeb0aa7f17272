#!/usr/bin/env bash
# FFmpeg 9.0.2: an Ogg chain of Opus (RFC 3533, section 4), mono and then stereo, ends after the first link.
# It logs "Channel change is not supported" and exits with 0: half of the sound is missing. FFmpeg 7.0.2 reads both.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv old && old/bin/pip install --quiet imageio-ffmpeg==0.6.0
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
old=$(old/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
new=$(new/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
sine='sine=frequency=440:sample_rate=48000:duration=5'
"$new" -v error -f lavfi -i "$sine" -c:a libopus -ac 1 1.opus
"$new" -v error -f lavfi -i "$sine" -c:a libopus -ac 2 2.opus
cat 1.opus 2.opus > both.opus
seconds() { "$1" -v quiet -i both.opus -ac 1 -ar 16000 -f s16le out.raw && stat -c %s out.raw | awk '{ printf "%.1f", $1 / 32000 }'; }
for binary in "$old" "$new"; do "$binary" -version | head -1; rm -f out.raw; echo "exit code 0, $(seconds "$binary") s"; done
rm out.raw; before=$(seconds "$old"); rm out.raw; after=$(seconds "$new")
awk -v old="$before" -v new="$after" 'BEGIN { exit !(old > 9.8 && new < 5.2) }'
