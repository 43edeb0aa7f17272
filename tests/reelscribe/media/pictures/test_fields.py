"""Pictures whose two fields are packets of their own, as in MPEG-TS from broadcasters.

x264 writes none; so the stream is made here, of macroblocks that hold their pixels (I_PCM).
"""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.pictures.fields import Fields
from reelscribe.media.pictures.packets import Moments, Packets
from reelscribe.media.pictures.timing import Clock

TOP, BOTTOM = 200, 60
FRAME = 3600


class Bits:
    def __init__(self) -> None:
        self.text = ""

    def take(self, count: int, value: int) -> "Bits":
        self.text += f"{value:0{count}b}"
        return self

    def numbers(self, *values: int) -> "Bits":
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code
        return self

    def aligned(self) -> "Bits":
        self.text += "0" * (-len(self.text) % 8)
        return self

    def unit(self, first: int) -> bytes:
        self.text += "1"
        self.aligned()
        payload, zeros = bytearray(), 0
        for place in range(0, len(self.text), 8):
            byte = int(self.text[place : place + 8], 2)
            if zeros == 2 and byte <= 3:
                payload.append(3)
                zeros = 0
            payload.append(byte)
            zeros = 0 if byte else zeros + 1
        return b"\0\0\0\1" + bytes([first]) + bytes(payload)


SETTINGS = (
    Bits().take(24, 77 << 16 | 30).numbers(0, 0, 0, 4, 1).take(1, 0).numbers(3, 1).take(5, 0b00100).unit(0x67)
    + Bits().numbers(0, 0).take(2, 0).numbers(0, 0, 0).take(3, 0).numbers(0, 0, 0).take(3, 0).unit(0x68)
)  # fmt: skip


def field(number: int, bottom: int, others_depend: bool) -> bytes:
    """Of the picture of this number in its group."""
    refreshes = not number and not bottom
    is_reference = not number or others_depend
    bits = Bits().numbers(0, 7 if refreshes else 5, 0).take(4, (number if others_depend else min(number, 1)) % 16)
    bits.take(2, 2 | bottom)
    if refreshes:
        bits.numbers(0)
    bits.take(8, 2 * number + bottom)
    if not refreshes:
        bits.take(2, 0)
    if is_reference:
        bits.take(2 if refreshes else 1, 0)
    bits.numbers(0)
    for _ in range(8):
        (bits.numbers(25) if refreshes else bits.numbers(0, 30)).aligned()
        bits.text += f"{BOTTOM if bottom else TOP:08b}" * 256 + "10000000" * 128
    return bits.unit((3 if is_reference else 0) << 5 | (5 if refreshes else 1))


@pytest.fixture(params=[True, False], ids=["others depend on them", "none does"])
def of_fields(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Three groups of a second."""
    path = tmp_path / "fields.ts"
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("h264", rate=25)
        stream.width = stream.height = 64
        stream.codec_context.extradata = SETTINGS
        for number in range(75):
            for bottom in (0, 1):
                opening = SETTINGS if number % 25 == 0 and not bottom else b""
                packet = av.Packet(opening + field(number % 25, bottom, request.param))
                packet.stream, packet.time_base = stream, Fraction(1, 90_000)
                packet.pts = packet.dts = 9000 + number * FRAME + bottom * FRAME // 2
                packet.is_keyframe = bool(opening)
                container.mux(packet)
    return path


@pytest.mark.parametrize("moment", ["0.4", "1.42"], ids=["of the first field", "of the second"])
def test_a_picture_has_both_of_its_fields(of_fields: Path, moment: str) -> None:
    with av.open(str(of_fields)) as container:
        stream = container.streams.video[0]
        assert Fields(stream.codec_context.extradata).may_be
        clock = Clock(Fraction(1, 90_000), Fraction(1, 10))
        moments = Moments([moment], clock)
        packets = Packets(av, container, stream, moments, may_seek=False, everything=False)
        wanted = 9000 + int(Fraction(moment) * 25) * FRAME
        lines = {
            frame.pts: frame.to_ndarray()[:4, 0].tolist()
            for packet in packets
            if isinstance(packet, av.Packet)
            for frame in stream.codec_context.decode(packet)
        }
    assert lines[wanted] == [TOP, BOTTOM, TOP, BOTTOM]


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize("form", ["yuv420p", "yuv444p"])
def test_a_whole_picture_is_no_field(
    suffix: str, interlaced: int, form: str, local_ffmpeg: FFmpeg, tmp_path: Path
) -> None:
    path = tmp_path / f"whole.{suffix}"
    source = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=1", "-pix_fmt", form]
    options = ["-c:v", "libx264", "-x264-params", f"interlaced={interlaced}:cqm=jvt"]
    subprocess.run([local_ffmpeg.path, *source, *options, path], check=True)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        found = Fields(stream.codec_context.extradata)
    assert found.may_be is bool(interlaced)
    assert not any(map(found.is_one, packets))


def test_nonsense_is_none() -> None:
    for extradata in (None, b"", b"\1", b"\0\0\1\x67", b"\0\0\1\x67\0\0\0\0\0", SETTINGS[:8]):
        assert not Fields(extradata).may_be
    for packet in (b"", b"\0\0\1\x65", b"\0\0\1\x65\0\0"):
        assert not Fields(SETTINGS).is_one(packet)
