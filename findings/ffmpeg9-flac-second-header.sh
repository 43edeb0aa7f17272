#!/usr/bin/env bash
# FFmpeg 9.0.2: of two FLAC files in one, mono and then stereo, the header between them is decoded as sound.
# Two files of 5 s become 10.2 s (with beeps and pauses instead of a tone: 11.0 s), with noise at the joint, exit code 0.
# FFmpeg 7.0.2 gives 10 s.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv old && old/bin/pip install --quiet imageio-ffmpeg==0.6.0
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
old=$(old/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
new=$(new/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
sine='sine=frequency=440:sample_rate=48000:duration=5'
"$new" -v error -f lavfi -i "$sine" -ac 1 1.flac
"$new" -v error -f lavfi -i "$sine" -ac 2 2.flac
cat 1.flac 2.flac > both.flac
seconds() { "$1" -v quiet -i both.flac -ac 1 -ar 16000 -f s16le - | wc -c | awk '{ printf "%.2f", $1 / 32000 }'; }
for binary in "$old" "$new"; do "$binary" -version | head -1; echo "$(seconds "$binary") s"; done
awk -v old="$(seconds "$old")" -v new="$(seconds "$new")" 'BEGIN { exit !(old < 10.2 && new > 10.1) }'
