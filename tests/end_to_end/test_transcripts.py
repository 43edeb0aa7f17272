"""From a video in the bucket to its words in PostgreSQL, through all three services."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jiwer
import pytest

from tests.end_to_end.conftest import normal
from tests.installation import Reelscribe

Truth = Callable[[str], dict[str, Any]]


def word_error_rate(truth: dict[str, Any], transcript: dict[str, Any]) -> float:
    rate: float = jiwer.wer(normal(truth["text"]), normal(transcript["text"]))
    return rate


def test_the_short_recording_is_exact(reelscribe: Reelscribe, ground_truth: Truth) -> None:
    reelscribe.run("submit", "talks/short.mp4", "--wait")
    assert normal(reelscribe.transcript("talks/short.mp4")["text"]) == normal(ground_truth("short.flac")["text"])


@pytest.mark.parametrize(
    ("savepath", "speech"), [("talks/minute.mkv", "minute.flac"), ("talks/ten_minutes.mp4", "ten_minutes.ogg")]
)
def test_at_most_a_tenth_of_the_words_is_wrong_and_sentences_start_on_time(
    reelscribe: Reelscribe, ground_truth: Truth, savepath: str, speech: str
) -> None:
    reelscribe.run("submit", savepath, "--wait")
    truth, transcript = ground_truth(speech), reelscribe.transcript(savepath)
    assert word_error_rate(truth, transcript) <= 0.10
    transcribed = {normal(segment["text"]): segment["start"] for segment in transcript["segments"]}
    said = {normal(sentence["text"]): sentence["start"] for sentence in truth["segments"]}
    both = transcribed.keys() & said.keys()
    assert len(both) > 0.6 * len(said)
    off = sorted(abs(transcribed[text] - said[text]) for text in both)
    assert off[int(0.98 * len(off))] < 0.5


def test_a_quiet_recording_has_no_words(reelscribe: Reelscribe) -> None:
    reelscribe.run("submit", "talks/quiet.mp4", "--wait")
    transcript = reelscribe.transcript("talks/quiet.mp4")
    assert (transcript["text"], transcript["segments"]) == ("", [])
    assert transcript["receipt"]["complete"]


def test_a_finished_transcript_proves_what_it_covers(reelscribe: Reelscribe, http: httpx.Client) -> None:
    reelscribe.run("submit", "talks/short.mp4", "--wait")
    receipt = reelscribe.transcript("talks/short.mp4")["receipt"]
    body = {"savepath": "talks/short.mp4", "audio_format": "wav", "sample_rate": 16000, "channels": 1}
    audio = http.post(f"{reelscribe.extractor_url}/extract-audio", json=body).content
    assert receipt["sha256"] == hashlib.sha256(audio).hexdigest(), "the transcript is of these very bytes"
    assert receipt["complete"] and receipt["reason"] is None
    assert receipt["covered_seconds"] == receipt["delivered_seconds"] == receipt["samples"] / 16000
    assert receipt["delivered_seconds"] == pytest.approx(receipt["declared_seconds"], abs=0.5)


def test_a_recording_cut_in_half_fails_with_its_numbers(reelscribe: Reelscribe) -> None:
    said = reelscribe.run("submit", "talks/cut.mp4", "--wait", code=1)
    assert "60.0 s are declared" in said
    (job,) = json.loads(reelscribe.run("status", "talks/cut.mp4", "--json"))["jobs"]
    assert (job["state"], job["error"]["code"]) == ("failed", "incomplete_recording")
    assert job["error"]["details"]["declared_seconds"] == pytest.approx(60, abs=0.5)
    assert 20 < job["error"]["details"]["delivered_seconds"] < 40
    assert job["attempt"] == 1, "nothing is gained by trying that again"


def test_a_recording_cut_in_half_is_the_same_error_by_its_savepath_and_as_a_file(
    reelscribe: Reelscribe, http: httpx.Client
) -> None:
    url, accept = f"{reelscribe.transcriber_url}/transcribe", {"Accept": "application/json"}
    sent = {"file": (reelscribe.bucket / "talks/cut.mp4").read_bytes()}
    stored = http.post(url, json={"savepath": "talks/cut.mp4"}, headers=accept)
    for answer in (stored, http.post(url, files=sent, headers=accept)):
        assert answer.status_code == 422
        assert (answer.json()["error"]["code"], answer.json()["error"]["retryable"]) == ("incomplete_recording", False)


def test_allow_incomplete_accepts_what_is_there_and_marks_it(reelscribe: Reelscribe, ground_truth: Truth) -> None:
    reelscribe.run("submit", "talks/cut.mp4", "--allow-incomplete", "--wait")
    transcript = reelscribe.transcript("talks/cut.mp4")
    assert transcript["receipt"]["complete"] is False
    assert "declared" in transcript["receipt"]["reason"]
    truth = ground_truth("minute.flac")["segments"]
    beginning = " ".join(sentence["text"] for sentence in truth if sentence["end"] < 25)
    assert normal(beginning)[:100] in normal(transcript["text"])


def test_a_missing_object_fails_immediately_with_the_extractors_message(reelscribe: Reelscribe) -> None:
    said = reelscribe.run("submit", "talks/nothing.mp4", "--wait", code=1)
    assert "there is no object talks/nothing.mp4" in said


def test_several_savepaths_from_standard_input(reelscribe: Reelscribe) -> None:
    reelscribe.run("submit", "-", "--wait", stdin="talks/short.mp4\n\ntalks/quiet.mp4\n")
    assert "the green hammer" in reelscribe.run("show", "talks/short.mp4").lower()


def test_the_http_api_gives_the_same_transcript(reelscribe: Reelscribe, http: httpx.Client) -> None:
    posted = http.post(f"{reelscribe.orchestrator_url}/api/jobs", json={"savepath": "talks/short.mp4"})
    assert posted.status_code == 202
    reelscribe.run("submit", "talks/short.mp4", "--wait")
    url = f"{reelscribe.orchestrator_url}/api/transcripts/talks/short.mp4"
    assert http.get(url).json() == reelscribe.transcript("talks/short.mp4")
    assert http.get(url, params={"format": "srt"}).text == reelscribe.run("show", "talks/short.mp4", "--format", "srt")


def test_real_transcripts_verify_against_their_receipts(reelscribe: Reelscribe) -> None:
    recordings = ("talks/short.mp4", "talks/minute.mkv", "talks/quiet.mp4")
    reelscribe.run("submit", *recordings, "--wait")
    assert "; 0 wrong" in reelscribe.run("verify", *recordings)


def test_a_changed_object_is_transcribed_again(reelscribe: Reelscribe, make_video: Callable[..., Path]) -> None:
    video = make_video(reelscribe.bucket / "talks/changing.mp4")
    reelscribe.run("submit", "talks/changing.mp4", "--wait")
    assert "done      talks/changing.mp4" in reelscribe.run("submit", "talks/changing.mp4")
    make_video(video, "minute.flac")
    assert "changed   talks/changing.mp4" in reelscribe.run("submit", "--prefix", "talks/changing", "--wait")
    assert reelscribe.transcript("talks/changing.mp4")["receipt"]["declared_seconds"] == pytest.approx(60, abs=1)
