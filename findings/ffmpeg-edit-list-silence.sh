#!/usr/bin/env bash
# FFmpeg 7.0.2 and 9.0.2: in an MP4 whose edit list has silence between two edits (an empty edit, ISO/IEC 14496-12, 8.6.6),
# the sound from the beginning of the recording is played there, with exit code 0; the rest is in its place.
# Seen for 3 s of tone, an empty edit of 2 s, and the silent rest: "loud until 5.1 s"; right is 3.0 s.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv old && old/bin/pip install --quiet imageio-ffmpeg==0.6.0
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
old=$(old/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
new=$(new/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
"$new" -v error -f lavfi -i 'sine=duration=3:sample_rate=16000,apad=whole_dur=6' -c:a aac plain.m4a
python3 - <<'PYTHON'
import struct

content = open("plain.m4a", "rb").read()
at = content.index(b"elst") - 4
(size,) = struct.unpack_from(">I", content, at)
(scale,) = struct.unpack_from(">I", content, content.index(b"mvhd") + 16)
edits = ((3 * scale, 0), (2 * scale, -1), (3 * scale, 3 * 16000))  # shown in units of the movie, first sample
table = b"elst" + bytes(4) + struct.pack(">I", len(edits)) + b"".join(struct.pack(">IiI", *edit, 1 << 16) for edit in edits)
changed = bytearray(content[:at] + struct.pack(">I", len(table) + 4) + table + content[at + size :])
for kind in (b"moov", b"trak", b"edts"):
    start = changed.index(kind) - 4
    struct.pack_into(">I", changed, start, struct.unpack_from(">I", changed, start)[0] + len(table) + 4 - size)
open("edited.m4a", "wb").write(changed)
PYTHON
loud_until() {
    "$1" -v error -i edited.m4a -f s16le - | python3 -c '
import array, sys
samples = array.array("h", sys.stdin.buffer.read())
print(round(max(at for at, value in enumerate(samples) if abs(value) > 500) / 16000, 1))'
}
for binary in "$old" "$new"; do
    "$binary" -version | head -1
    until=$(loud_until "$binary")
    echo "exit code 0, loud until $until s"
    awk -v until="$until" 'BEGIN { exit !(until > 4.8) }'
done
