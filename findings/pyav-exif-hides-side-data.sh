#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8) raises ValueError for all side data of a frame if it does not know the type of one piece: of a
# motion JPEG with EXIF, as cameras write it, neither its pieces nor its display matrix can be read, though `rotation` can.
# PyAV 19 has the missing types (https://github.com/PyAV-Org/PyAV/pull/2392), but wants Python 3.12; for 3.11, 18.1.0 is the last.
# Seen: "plain: 0 pieces, rotation 0", "exif: ValueError: 31 is not a valid Type, rotation -90".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv env && env/bin/pip install --quiet av==18.1.0 numpy==2.2.6
env/bin/python - <<'PYTHON' | tee seen
import struct
from fractions import Fraction

import av
import numpy as np

encoder = av.CodecContext.create("mjpeg", "w")
encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "yuvj420p", Fraction(1, 5)
black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8)).reformat(format="yuvj420p")
(packet,) = encoder.encode(black)
plain = bytes(packet)
entry = struct.pack("<HHHIHH", 1, 0x0112, 3, 1, 6, 0)  # orientation: a camera that was held upright
block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entry + bytes(4)
exif = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
for name, picture in (("plain", plain), ("exif", exif)):
    with open(f"{name}.mjpeg", "wb") as file:
        file.write(picture)
    with av.open(f"{name}.mjpeg", format="mjpeg") as container:
        frame = next(container.decode(video=0))
    try:
        found = f"{len(frame.side_data)} pieces"
    except ValueError as error:
        found = f"ValueError: {error}"
    print(f"{name}: {found}, rotation {frame.rotation}")
PYTHON
diff seen - <<'SEEN'
plain: 0 pieces, rotation 0
exif: ValueError: 31 is not a valid Type, rotation -90
SEEN
