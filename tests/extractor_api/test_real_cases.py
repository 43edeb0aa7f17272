"""What the extractor answers for intact and damaged recordings, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import SPEECH
from tests.extractor_api.conftest import Serve

SECONDS = 20.0
SHORT_SECONDS = 7.5

Change = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Source:
    """A recording made by ffmpeg; its name gives the container."""

    name: str
    options: tuple[str, ...]
    speech: str = "minute.flac"
    picture: str | None = "mpeg4"


def source(name: str, options: str, speech: str = "minute.flac", picture: str | None = "mpeg4") -> Source:
    return Source(name, tuple(options.split()), speech, picture)


FRAGMENTED = "-c:a aac -b:a 64k -g 5 -movflags frag_keyframe+empty_moov+default_base_moof"
SOURCES = {
    made.name: made
    for made in (
        source("indexed.mp4", "-c:a aac -b:a 64k -movflags +faststart"),
        source("index_last.mp4", "-c:a aac -b:a 64k"),
        source("tracks.mp4", "-c:a aac -b:a 64k -map 0:v -map 1:a -map 1:a -movflags +faststart"),
        source("short_sound.mp4", "-c:a aac -b:a 64k -movflags +faststart", "short.flac"),
        source("fragments.mp4", FRAGMENTED),
        source("short_sound_fragments.mp4", FRAGMENTED, "short.flac"),
        source("tagged.mkv", "-c:a libopus -b:a 64k"),
        source("short_sound.mkv", "-c:a libopus -b:a 64k", "short.flac"),
        source("live.mkv", "-c:a libopus -b:a 64k -live 1"),
        source("a.webm", "-c:a libopus -b:a 64k", picture="libvpx"),
        source("a.avi", "-c:a libmp3lame -b:a 64k"),
        source("short_sound.avi", "-c:a libmp3lame -b:a 64k", "short.flac"),
        source("a.flv", "-c:a aac -b:a 64k", picture="flv"),
        source("short_sound.flv", "-c:a aac -b:a 64k", "short.flac", picture="flv"),
        source("a.ts", "-c:a aac -b:a 64k", picture="mpeg2video"),
        source("short_sound.ts", "-c:a aac -b:a 64k", "short.flac", picture="mpeg2video"),
        source("a.ogg", "-c:a libvorbis", picture=None),
        source("a.opus", "-c:a libopus", picture=None),
        source("a.flac", "-c:a flac", picture=None),
        source("a.wav", "-c:a pcm_s16le", picture=None),
        source("a.mp3", "-c:a libmp3lame -b:a 64k", picture=None),
        source("bare.mp3", "-c:a libmp3lame -b:a 64k -write_xing 0 -id3v2_version 0", picture=None),
        source("a.aac", "-c:a aac -b:a 64k", picture=None),
    )
}


def intact(data: bytes) -> bytes:
    return data


def cut(percent: float) -> Change:
    """Leave that much of what follows an MP4's index, or else of the file; an odd number, to fall within a packet."""

    def change(data: bytes) -> bytes:
        body = data.index(b"mdat") if data[4:8] == b"ftyp" and data.index(b"moov") < data.index(b"mdat") else 0
        return data[: (body + int((len(data) - body) * percent / 100)) | 1]

    return change


def cut_between_packets(data: bytes) -> bytes:
    return data[: len(data) // 2 // 188 * 188]


def cut_before_samples(data: bytes) -> bytes:
    """After the third fragment's own header."""
    at = 0
    for _ in range(3):
        at = data.index(b"moof", at + 1)
    return data[: at - 4 + int.from_bytes(data[at - 4 : at], "big")]


def zeroed(data: bytes) -> bytes:
    """A tenth of the file, in its middle, as a failing disk leaves it."""
    middle = len(data) // 2
    return data[:middle] + bytes(len(data) // 10) + data[middle + len(data) // 10 :]


def says(seconds: float, *kinds: bytes) -> Change:
    """An MP4 whose headers of these kinds (version 0) declare another length; tkhd and mdhd of every track."""

    def change(data: bytes) -> bytes:
        edited = bytearray(data)
        for kind in kinds:
            at = -1
            while (at := data.find(kind, at + 1)) >= 0:
                scale_at, length_at = {b"tkhd": (None, 24), b"mvhd": (16, 20), b"mdhd": (16, 20)}[kind]
                scale = int.from_bytes(data[at + scale_at : at + scale_at + 4], "big") if scale_at else 1000
                edited[at + length_at : at + length_at + 4] = int(seconds * scale).to_bytes(4, "big")
        return bytes(edited)

    return change


def unfinished_header(data: bytes) -> bytes:
    """A WAV or FLAC as a pipe leaves it: without its length."""
    if data.startswith(b"fLaC"):
        return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]
    at = data.index(b"data") + 4
    return data[:4] + b"\xff" * 4 + data[8:at] + b"\xff" * 4 + data[at + 4 :]


def unfinished_then_cut(data: bytes) -> bytes:
    return cut(50)(unfinished_header(data))


@dataclass(frozen=True)
class Case:
    """What the extractor answers for a recording.

    Attributes:
        state: of the receipt, or the code of a refusal before the first byte.
        declared: seconds; None if the container declares none for the track.
        delivered: seconds, within 0.6.
        why: in a phrase.
    """

    name: str
    change: Change
    state: str
    declared: float | None
    delivered: float
    why: str
    label: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.label or self.change.__name__}"


def cases(*rows: tuple[str, Change, str, float | None, float, str]) -> list[Case]:
    return [Case(*row) for row in rows]


def cuts(name: str, declared: float | None, why: str, percents: tuple[int, ...] = (10, 50, 90)) -> list[Case]:
    return [Case(name, cut(p), "incomplete", declared, SECONDS * p / 100, why, f"cut at {p} %") for p in percents]


BREAKS_OFF = "no length is declared, but the file ends inside one of its units"

TABLE = [
    # ---- MP4: every track declares its own length
    *cases(("indexed.mp4", intact, "complete", 20, 20, "all that the track declares was delivered")),
    *cuts("indexed.mp4", 20, "the index at the front declares more than was delivered"),
    *cases(
        ("indexed.mp4", zeroed, "incomplete", 20, 18, "silence in place of packets that cannot be decoded"),
        ("index_last.mp4", intact, "complete", 20, 20, "the index is found at the end"),
        ("index_last.mp4", cut(90), "not_decodable", None, 0, "without its index nothing can be read"),
        ("tracks.mp4", intact, "complete", 20, 20, "the default track"),
        ("tracks.mp4", cut(50), "incomplete", 20, 10, "the default track declares more than was delivered"),
        ("short_sound.mp4", intact, "complete", 7.5, 7.5, "the track's own length counts, not the picture's"),
        ("short_sound.mp4", cut(95), "complete", 7.5, 7.5, "only picture is lost"),
        (
            "indexed.mp4",
            says(60, b"mvhd", b"tkhd", b"mdhd"),
            "complete",
            20,
            20,
            "the sample table counts before a header that declares more than it holds",
        ),
        ("indexed.mp4", says(60, b"mvhd"), "complete", 20, 20, "the track's own length counts before the movie's"),
        ("indexed.mp4", says(5, b"mvhd", b"tkhd", b"mdhd"), "complete", 5, 20, "more than declared is not a loss"),
    ),
    # ---- fragmented MP4: the end of its last fragment; its boxes must end where the file does
    *cases(
        ("fragments.mp4", intact, "complete", 20, 20, "the end of the last fragment"),
        ("short_sound_fragments.mp4", intact, "complete", 7.5, 7.5, "the end of the sound's last fragment"),
        ("fragments.mp4", zeroed, "incomplete", 20, 10, "what follows the damage is not a box, and is never reached"),
        ("fragments.mp4", cut_before_samples, "incomplete", 3, 2, "the last fragment declares more than it holds"),
    ),
    *cuts("fragments.mp4", None, BREAKS_OFF),
    # ---- Matroska: a DURATION tag for each track, or nothing
    *cases(("tagged.mkv", intact, "complete", 20, 20, "all that the track's tag declares was delivered")),
    *cuts("tagged.mkv", 20, "the tag at the front declares more than was delivered"),
    *cases(
        ("tagged.mkv", zeroed, "incomplete", 20, 17.8, "a cluster is lost; silence takes its place"),
        ("short_sound.mkv", intact, "complete", 7.5, 7.5, "the track's own tag counts"),
        ("live.mkv", intact, "complete", None, 20, "no length, but the last cluster is complete"),
        ("a.webm", intact, "complete", 20, 20, "as Matroska"),
        ("a.webm", cut(50), "incomplete", 20, 10, "as Matroska"),
    ),
    *cuts("live.mkv", None, BREAKS_OFF),
    # ---- RIFF: lengths in the headers of each stream
    *cases(
        ("a.avi", intact, "complete", 20, 20, "the stream header's length"),
        ("a.avi", zeroed, "incomplete", 20, 17.9, "the stream header declares more than was delivered"),
        ("short_sound.avi", intact, "complete", 7.5, 7.5, "the sound's own stream header counts"),
        ("a.wav", intact, "complete", 20, 20, "the data chunk's length"),
        ("a.wav", unfinished_header, "complete", None, 20, "written to a pipe: no length"),
        ("a.wav", unfinished_then_cut, "complete", None, 10, "CANNOT BE KNOWN: bare samples have no units"),
        ("a.wav", zeroed, "complete", 20, 20, "CANNOT BE KNOWN: zeros are silence in PCM"),
    ),
    *cuts("a.avi", 20, "the stream header declares more than was delivered", (50,)),
    *cuts("a.wav", 20, "the data chunk declares more than was delivered"),
    # ---- FLV, MPEG-TS, Ogg: measured by their last packet, so only the end counts
    *cases(
        ("a.flv", intact, "complete", None, 20, "the last tag is complete"),
        ("short_sound.flv", intact, "complete", None, 7.5, "a longer picture says nothing about the sound"),
        ("a.ts", intact, "complete", None, 20, "the last packet is complete"),
        ("short_sound.ts", intact, "complete", None, 7.5, "a longer picture says nothing about the sound"),
        ("a.ts", zeroed, "incomplete", None, 18, "silence in place of lost packets"),
        ("a.ts", cut_between_packets, "complete", None, 9.9, "CANNOT BE KNOWN: a stream may end after any packet"),
        ("a.ogg", intact, "complete", 20, 20, "the last page's position"),
        ("a.ogg", zeroed, "incomplete", 20, 17, "pages with a wrong checksum are lost"),
        ("a.opus", intact, "complete", 20, 20, "the last page's position"),
    ),
    *cuts("a.flv", None, BREAKS_OFF),
    *cuts("a.ts", None, BREAKS_OFF),
    *[Case("a.ogg", cut(p), "incomplete", None, s, BREAKS_OFF, f"cut at {p} %") for p, s in ((50, 9.1), (90, 17.1))],
    # ---- bare codecs
    *cases(
        ("a.flac", intact, "complete", 20, 20, "STREAMINFO's samples"),
        ("a.flac", zeroed, "incomplete", 20, 17.8, "a gap between frames is damage"),
        ("a.flac", unfinished_header, "complete", None, 20, "written to a pipe: no length"),
        ("a.flac", unfinished_then_cut, "complete", None, 9.8, "CANNOT BE KNOWN, but the receipt counts a warning"),
        ("a.mp3", intact, "complete", 20, 20, "the Xing frame's length"),
        ("bare.mp3", intact, "complete", None, 20, "no length"),
        ("bare.mp3", cut(50), "incomplete", None, 10, "no length, but the last frame is cut"),
        ("a.aac", intact, "complete", None, 20, "no length, but the last frame is complete"),
    ),
    *cuts("a.flac", 20, "STREAMINFO declares more than was delivered"),
    *cuts("a.mp3", 20, "the Xing frame declares more than was delivered"),
    *cuts("a.aac", None, BREAKS_OFF),
]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, run_ffmpeg: Callable[..., None]) -> Path:
    folder = tmp_path_factory.mktemp("cases") / "videos"
    folder.mkdir()
    picture = ("-f", "lavfi", "-i", f"testsrc=size=64x36:rate=5:duration={SECONDS}")
    for made in SOURCES.values():
        sound = ("-t", str(SECONDS), "-i", SPEECH / made.speech)
        video = ("-c:v", made.picture, "-b:v", "50k") if made.picture else ()
        run_ffmpeg(*(picture if made.picture else ()), *sound, *video, *made.options, folder / made.name)
    return folder


@pytest.mark.parametrize("case", TABLE, ids=str)
async def test_a_recording_answers_as_the_table_says(serve: Serve, recordings: Path, case: Case) -> None:
    savepath = f"changed/{case.name}"
    (recordings / "changed").mkdir(exist_ok=True)
    (recordings / savepath).write_bytes(case.change((recordings / case.name).read_bytes()))
    extractor: httpx.AsyncClient = await serve(data_path=recordings.parent)
    body = {"savepath": savepath, "audio_format": "wav", "allow_incomplete": True}
    response = await extractor.post("/extract-audio", json=body)
    if response.status_code != 200:
        assert (response.json()["error"]["code"], case.delivered) == (case.state, 0), case.why
        return
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    assert (receipt["state"], bool(receipt["reason"])) == (case.state, case.state == "incomplete"), receipt["reason"]
    assert receipt["declared_seconds"] == (case.declared and pytest.approx(case.declared, abs=0.15)), case.why
    assert receipt["delivered_seconds"] == pytest.approx(case.delivered, abs=0.6), case.why
    declared = response.headers.get("X-Declared-Seconds")
    assert (declared and float(declared)) == (case.declared and pytest.approx(case.declared, abs=0.15))


@pytest.mark.parametrize(
    "name", ["a.ts", "a.flv", "fragments.mp4", "live.mkv", "a.wav", "a.mp3", "tagged.mkv", "a.avi"]
)
async def test_a_start_past_the_end_is_reported_if_the_end_is_known(serve: Serve, recordings: Path, name: str) -> None:
    extractor: httpx.AsyncClient = await serve(data_path=recordings.parent)
    response = await extractor.post("/extract-audio", json={"savepath": name, "start": 100, "audio_format": "wav"})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "past_the_end")


async def test_what_is_incomplete_is_refused_or_cut_unless_the_request_allows_it(
    serve: Serve, recordings: Path
) -> None:
    extractor: httpx.AsyncClient = await serve(data_path=recordings.parent)
    (recordings / "half.aac").write_bytes(cut(50)((recordings / "a.aac").read_bytes()))
    body = {"savepath": "half.aac", "audio_format": "wav"}
    with pytest.raises(httpx.RemoteProtocolError):
        await extractor.post("/extract-audio", json=body)
    refused = await extractor.post("/extract-audio", json={**body, "delivery": "file"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "incomplete_recording")
    assert "breaks off" in refused.json()["error"]["message"]
    part = await extractor.post("/extract-audio", json={**body, "start": 2, "duration": 3})
    assert part.status_code == 200, "the requested part is complete"
