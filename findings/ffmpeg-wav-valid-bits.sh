#!/usr/bin/env bash
# FFmpeg 7.0.2 and 9.0.2 take the valid bits of a WAVE_FORMAT_EXTENSIBLE (wValidBitsPerSample) for the size of its samples:
# 24 valid bits in 4 bytes become nearly silent floats, 16 valid bits in 4 bytes play at half speed, with exit code 0.
# Microsoft, "WAVEFORMATEXTENSIBLE": the size is wBitsPerSample, and the valid bits are its uppermost.
# Seen for 2 s of a tone with a level of 16383: "24 in 32: 2.0 s, level 0" and "16 in 32: 4.0 s, level 16383".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv old && old/bin/pip install --quiet imageio-ffmpeg==0.6.0
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
python3 - <<'PYTHON'
import math, struct

for valid in (32, 24, 16):
    tone = (round(16383 * math.sin(2 * math.pi * 440 * at / 16000)) << 16 for at in range(32000))
    sound = b"".join(struct.pack("<i", sample) for sample in tone)
    pcm = bytes.fromhex("0100000000001000800000aa00389b71")  # KSDATAFORMAT_SUBTYPE_PCM
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16000, 64000, 4, 32, 22, valid, 4) + pcm
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(sound)) + sound
    open(f"{valid}.wav", "wb").write(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
PYTHON
measured() {
    "$1" -v error -i "$2.wav" -f s16le - | python3 -c '
import array, sys
samples = array.array("h", sys.stdin.buffer.read())
print(f"{len(samples) / 16000:.1f} s, level {max(samples)}")'
}
for wheel in old new; do
    binary=$($wheel/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
    "$binary" -version | head -1
    for expected in "32 2.0 s, level 16383" "24 2.0 s, level 0" "16 4.0 s, level 16383"; do
        valid=${expected%% *}
        found=$(measured "$binary" "$valid")
        echo "$valid in 32: $found"
        [ "$found" = "${expected#* }" ]
    done
done
