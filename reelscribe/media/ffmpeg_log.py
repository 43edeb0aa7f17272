"""Reads what ffmpeg logs about one run at level verbose: streams, samples, silence that was filled in, errors."""

import re
from collections import deque
from dataclasses import dataclass, field

KEPT_LINES = 12
KEPT_CHARACTERS = 300

_INPUT = re.compile(r"Input #0, (\S+), from")
_DURATION = re.compile(r"^\s+Duration: (\d+):(\d+):([\d.]+), start: (-?[\d.]+)")
_STREAM = re.compile(r"Stream #0:(\d+)(?:\[\w+\])?(?:\((\w+)\))?: ((?:Audio|Video|Subtitle|Data|Attachment).*)")
_STREAM_DURATION = re.compile(r"DURATION\s*: (\d+):(\d+):([\d.]+)", re.IGNORECASE)
_MAPPING = re.compile(r"Stream #0:(\d+) -> #0:0 ")
_SOURCE_RATE = re.compile(r"ch:\d+ chl:.* r:(\d+)Hz -> ch:\d+ .* r:(\d+)Hz")
_SILENCE = re.compile(r"adding (\d+) audio samples of silence")
_ENCODED = re.compile(r"Output stream #0:0 \(audio\): \d+ frames encoded \((\d+) samples\)")
_TIME = re.compile(r"time=(\d+):(\d+):([\d.]+)")
_REFUSED_VIDEO = re.compile(r"not on whitelist|Failed to open codec in avformat_find_stream_info")
_DAMAGED_PACKET = re.compile(r"Packet corrupt|Packet mismatch")
_LEVEL = re.compile(r"^(?:\[[^]]* @ 0x[0-9a-f]+\] )*\[(verbose|info|warning|error|fatal|panic)\] ?(.*)$")


@dataclass(frozen=True)
class StreamDescription:
    """One line such as ``Audio: aac (LC), 48000 Hz, stereo, fltp, 128 kb/s (default)``."""

    language: str | None
    text: str


@dataclass
class FFmpegLog:
    """The facts in ffmpeg's standard error; feed it every line with :meth:`read`.

    Attributes:
        container: the demuxer's name; None until the input is open.
        container_seconds: the ``Duration`` of the container, None if it declares none.
        start_seconds: the recording's first time stamp; what comes out begins there.
        streams: each input stream by index, as ffmpeg describes it.
        stream_seconds: Matroska's DURATION tag by stream index.
        stream_index: the input stream that is extracted.
        samples: samples of one channel that were encoded.
        sample_rate: of the output, Hz.
        copied_seconds: end time of the output; all that is known about a stream that is copied without decoding.
        damaged_seconds: silence put in place of audio that could not be decoded.
        decode_warnings: lines of level error or worse after the input was open.
        disk_full: ffmpeg could no longer write.
        estimated: the duration is not declared but a guess from the bit rate.
        output_begun: the input has been described, and the output begins.
        last_lines: warnings and errors, for our log only; they hold paths.
    """

    container: str | None = None
    container_seconds: float | None = None
    start_seconds: float = 0.0
    streams: dict[int, StreamDescription] = field(default_factory=dict)
    stream_seconds: dict[int, float] = field(default_factory=dict)
    stream_index: int | None = None
    samples: int | None = None
    sample_rate: int | None = None
    copied_seconds: float = 0.0
    damaged_seconds: float = 0.0
    decode_warnings: int = 0
    disk_full: bool = False
    estimated: bool = False
    output_begun: bool = False
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _source_rate: int | None = None
    _early_end: bool = False
    _corrupt_packet: bool = False
    _described_stream: int | None = None
    _damage_since_silence: bool = False

    def read(self, line: str) -> None:
        """Take in one line."""
        match = _LEVEL.match(line)
        if not match:
            return
        level, text = match.groups()
        if level in ("warning", "error", "fatal", "panic"):
            self._complain(level, text)
        elif not self.output_begun:
            self._describe_input(text)
        self._count(text)

    def _complain(self, level: str, text: str) -> None:
        if _REFUSED_VIDEO.search(text):
            return  # our own whitelist did that
        self.last_lines.append(text[:KEPT_CHARACTERS])
        self.disk_full |= "No space left on device" in text
        self.estimated |= "Estimating duration from bitrate" in text
        self._early_end |= "File ended prematurely" in text
        self._corrupt_packet |= "Packet corrupt" in text
        if self.container and level != "warning":
            self.decode_warnings += 1
            self._damage_since_silence = True
        self._damage_since_silence |= _DAMAGED_PACKET.search(text) is not None

    def _describe_input(self, text: str) -> None:
        if match := _INPUT.search(text):
            self.container = match[1]
        elif match := _DURATION.match(text):
            self.container_seconds = _seconds(match)
            self.start_seconds = float(match[4])
        elif match := _STREAM.search(text):
            self._described_stream = int(match[1])
            self.streams[self._described_stream] = StreamDescription(language=match[2], text=match[3])
        elif (match := _STREAM_DURATION.search(text)) and self._described_stream is not None:
            self.stream_seconds[self._described_stream] = _seconds(match)
        self.output_begun = text.startswith("Output #0")

    def _count(self, text: str) -> None:
        if match := _MAPPING.search(text):
            self.stream_index = int(match[1])
        elif match := _SOURCE_RATE.search(text):
            self._source_rate, self.sample_rate = int(match[1]), int(match[2])
        elif match := _SILENCE.search(text):
            # Long silence is logged in several lines; damage before the first accounts for all of them, and silence
            # without damage before it is a hole in the recording itself. A bare FLAC has no holes: its frames follow
            # each other, and ffmpeg 5.1 skips damaged ones without logging it.
            if (self._damage_since_silence or self.container == "flac") and self._source_rate:
                self.damaged_seconds += int(match[1]) / self._source_rate
        elif match := _ENCODED.search(text):
            self.samples = int(match[1])
        elif text.startswith("size=") and (match := _TIME.search(text)):
            self.copied_seconds = _seconds(match)

    @property
    def delivered_seconds(self) -> float:
        """Length of the audio that was delivered, without the silence in place of damaged parts."""
        if self.samples is None or not self.sample_rate:
            return self.copied_seconds
        return self.samples / self.sample_rate - self.damaged_seconds

    @property
    def ended_in_a_packet(self) -> bool:
        """Whether the file ended in the middle of its data (Matroska, ADTS)."""
        return self._early_end or (self._corrupt_packet and self.container == "aac")

    @property
    def audio_tracks(self) -> int:
        """How many audio streams the input has."""
        return sum(stream.text.startswith("Audio") for stream in self.streams.values())


def _seconds(match: re.Match[str]) -> float:
    hours, minutes, seconds = match.groups()[:3]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
