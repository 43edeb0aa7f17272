"""Key frames on which nothing depends that came before them."""

import subprocess
from pathlib import Path

import av
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures.fresh_start import is_fresh_start

CODECS = {
    "h264": ("libx264", "-x264-params", "keyint=10:scenecut=0:open-gop={open}:bframes=2:b-adapt=0"),
    "hevc": ("libx265", "-x265-params", "keyint=10:min-keyint=10:scenecut=0:open-gop={open}:bframes=2:log-level=none"),
}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("is_open", [False, True])
def test_a_key_frame_that_later_pictures_look_behind_is_no_fresh_start(
    codec: str, suffix: str, is_open: bool, local_ffmpeg: FFmpeg, tmp_path: Path
) -> None:
    path = tmp_path / f"keys.{suffix}"
    options = [option.format(open=int(is_open)) for option in CODECS[codec]]
    source = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=4"]
    subprocess.run([local_ffmpeg.path, *source, "-preset", "ultrafast", "-c:v", *options, path], check=True)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
    found = [is_fresh_start(codec, stream.codec_context.extradata, bytes(packet)) for packet in packets]
    keys = [packet.is_keyframe for packet in packets]
    assert found == ([True, *[False] * 39] if is_open else keys)
    assert sum(keys) == 4


def test_nonsense_is_none() -> None:
    for packet in (b"", b"\0\0\1", b"\0" * 100, b"\xff" * 7):
        assert not is_fresh_start("h264", b"\1\0\0\0\xff", packet)
        assert not is_fresh_start("hevc", None, packet)
