#!/usr/bin/env bash
# pysubs2 1.8.1 reads WebVTT as if it were SubRip: a comment (a block that begins with NOTE, W3C WebVTT, 4.1) between two cues
# becomes text of the cue before it, and "&amp;", "&lt;" and "&nbsp;", as WebVTT must write them (4.2.2), stay as they are. Converted to
# SubRip, viewers then read both. Written as WebVTT, "&" and "<" of other formats are not escaped, and by the standard's parser (6.4)
# "<3" begins a tag that lasts to the end of the cue. webvtt-py 0.6.0 leaves the comment out, and the escapes in.
# Seen: "pysubs2: 'Tom &amp; Jerry\NNOTE checked by a person'; webvtt-py: 'Tom &amp; Jerry'; written: 'We <3 you & me'".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new
new/bin/pip install --quiet pysubs2==1.8.1 webvtt-py==0.6.0
new/bin/python - <<'PYTHON'
import pysubs2
import webvtt

VTT = """WEBVTT

00:01.000 --> 00:02.000
Tom &amp; Jerry

NOTE checked by a person

00:03.000 --> 00:04.000
next
"""
SRT = "1\n00:00:01,000 --> 00:00:02,000\nWe <3 you & me\n"

read = [line.text.replace(r"\N\N", r"\N") for line in pysubs2.SSAFile.from_string(VTT, "vtt")]
other = [cue.text for cue in webvtt.from_string(VTT)]
written = pysubs2.SSAFile.from_string(SRT, "srt").to_string("vtt").splitlines()[4]
print(f"pysubs2: '{read[0]}'; webvtt-py: '{other[0]}'; written: '{written}'")
assert read == [r"Tom &amp; Jerry\NNOTE checked by a person", "next"]
assert other == ["Tom &amp; Jerry", "next"]
assert written == "We <3 you & me"
PYTHON
