"""A real browser plays recordings through the orchestrator: it seeks exactly, and its clock is the recording's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.conftest import SPEECH
from tests.installation import Reelscribe

SECONDS = 60.0
PICTURE = ("-f", "lavfi", "-i", f"testsrc=size=64x36:rate=25:duration={SECONDS}", "-i", SPEECH / "minute.flac")
H264 = (*PICTURE, "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")

PLAY = """async ([url, moment]) => {
    const player = document.createElement("video");
    const happens = name => new Promise((yes, no) => {
        player.addEventListener(name, yes, {once: true});
        player.addEventListener("error", () => no(new Error(player.error.message)), {once: true});
    });
    player.muted = true;
    player.preload = "metadata";
    document.body.append(player);
    const known = happens("loadedmetadata");
    player.src = url;
    await known;
    const sought = happens("seeked");
    player.currentTime = moment;
    await sought;
    const begins = player.currentTime;
    await player.play();
    while (player.currentTime < moment + 0.5) await new Promise(done => setTimeout(done, 20));
    player.pause();
    return {
        seconds: player.duration, seekable: player.seekable.end(0), begins: begins, width: player.videoWidth,
        sound: player.webkitAudioDecodedByteCount,
    };
}"""


@pytest.fixture(scope="module")
def recordings(reelscribe: Reelscribe, run_ffmpeg: Callable[..., None]) -> Path:
    """``played/`` in the bucket."""
    folder = reelscribe.bucket / "played"
    folder.mkdir(exist_ok=True)
    run_ffmpeg(*H264, "-c:a", "aac", folder / "index_last.mp4")
    run_ffmpeg(*H264, "-c:a", "ac3", folder / "a.mkv")
    run_ffmpeg(*PICTURE, "-c:v", "mpeg4", "-c:a", "libmp3lame", folder / "a.avi")
    # Of variable rate and without a count of frames: as stored, a browser's clock is wrong by seconds.
    loud = "volume='if(lt(t,20),0,1)':eval=frame"
    run_ffmpeg("-i", SPEECH / "minute.flac", "-af", loud, *("-q:a", "4", "-write_xing", "0"), folder / "bare.mp3")
    assert (folder / "index_last.mp4").read_bytes().index(b"mdat") < 100
    return folder


@pytest.mark.parametrize(
    ("name", "playable", "route"),
    [
        ("index_last.mp4", "video", "file"),
        ("a.mkv", "audio", "audio"),
        ("a.avi", "audio", "audio"),
        ("bare.mp3", "audio", "audio"),
    ],
)
def test_it_is_played_and_sought_exactly(
    page: Page, reelscribe: Reelscribe, recordings: Path, name: str, playable: str, route: str
) -> None:
    savepath = f"played/{name}"
    described = httpx.get(f"{reelscribe.orchestrator_url}/api/media/{savepath}").json()
    assert (described["playable"], described["url"]) == (playable, f"/media/{savepath}/{route}")
    page.goto("/")
    played: dict[str, Any] = page.evaluate(PLAY, [described["url"], 41.0])
    assert played["seconds"] == pytest.approx(SECONDS, abs=0.1)
    assert described["seconds"] is None or described["seconds"] == pytest.approx(played["seconds"], abs=0.1)
    assert played["seekable"] == pytest.approx(played["seconds"], abs=0.01)
    assert played["begins"] == pytest.approx(41.0, abs=0.01)
    assert played["sound"] > 0 and bool(played["width"]) == (playable == "video")
