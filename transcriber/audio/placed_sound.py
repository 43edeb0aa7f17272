"""Sound that PyAV decodes from any container, as 16 kHz mono samples on the timeline of its recording."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any

import av
import numpy as np

from reelscribe.errors import NotDecodable
from reelscribe.media.commands import DOWNMIX
from reelscribe.media.ffmpeg import CONTAINERS
from reelscribe.media.sound.timeline import Timeline
from transcriber.audio.vad import SAMPLE_RATE, Samples

BLOCK_SAMPLES = 2 * SAMPLE_RATE
"""Smaller chunks are joined: each block is handed to another thread, which costs more than a few samples."""


class PlacedSound:
    """Decodes a stream that is read in order. Memory is bounded: silence too comes in blocks.

    Attributes:
        decoded: samples that the decoder made, without silence in holes.
        damaged: packets that could not be decoded; silence takes their place.

    Args:
        read: the next bytes; empty at the end.
        begins: seconds from the beginning of the samples to the first packet; None to trust its timestamp.
        declared: seconds that the recording declares.
    """

    def __init__(self, read: Callable[[], bytes], begins: float | None, declared: float | None) -> None:
        self.damaged = 0
        self._file = _File(read)
        self._begins = begins
        self._timeline = Timeline(SAMPLE_RATE, declared=declared)
        self._resampler = _Resampler()
        self._placed_later: deque[Samples] = deque()

    @property
    def decoded(self) -> int:
        return self._timeline.counts.decoded

    def blocks(self) -> Generator[Samples, None, None]:
        """
        Raises:
            NotDecodable: PyAV cannot make sense of it.
        """
        waiting: list[Samples] = []
        length = 0
        try:
            with av.open(self._file, options={"format_whitelist": CONTAINERS}) as container:
                for samples in self._placed(container):
                    waiting.append(samples)
                    length += len(samples)
                    if length >= BLOCK_SAMPLES:
                        yield np.concatenate(waiting)
                        waiting, length = [], 0
        except (av.FFmpegError, IndexError) as undecodable:
            raise NotDecodable(f"the audio from the extractor cannot be decoded here: {undecodable}") from undecodable
        if waiting:
            yield np.concatenate(waiting)

    def _placed(self, container: Any) -> Iterator[Samples]:
        stream = container.streams.audio[0]
        shift: float | None = None
        for packet in container.demux(stream):
            if shift is None:
                first = packet.pts if packet.pts is not None else 0
                shift = 0.0 if self._begins is None else self._begins - float(first * stream.time_base)
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                yield from self._place(self._resampler.add(frame), shift)
        yield from self._place(self._resampler.end(), shift or 0.0, ended=True)

    def _place(self, frames: Iterator[Any], shift: float, *, ended: bool = False) -> Iterator[Samples]:
        places = []
        for frame in frames:
            samples = as_floats(np.frombuffer(frame.planes[0], "<i2", frame.samples))
            self._placed_later.append(samples)
            places.append((round(frame.pts + shift * SAMPLE_RATE), len(samples)))
        for piece in self._timeline.place(places, ended=ended):
            yield from self._take(piece.samples, piece.keep) if piece.sound else _silence(piece.samples * piece.keep)

    def _take(self, count: int, keep: bool) -> Iterator[Samples]:
        while count:
            samples = self._placed_later.popleft()
            if len(samples) > count:
                self._placed_later.appendleft(samples[count:])
                samples = samples[:count]
            count -= len(samples)
            if keep:
                yield samples


class _File:
    """What PyAV reads from."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._rest = b""

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = self._read()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


class _Resampler:
    """To 16 kHz mono, with timestamps in samples; a stream may change its sample rate and channels."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._shape: Any = None
        self._next_pts = 0

    def add(self, frame: Any) -> Iterator[Any]:
        shape = (frame.sample_rate, frame.format.name, frame.layout.name, frame.time_base)
        if shape != self._shape:
            yield from self.end()
            self._graph, self._shape = _graph(frame), shape
        if frame.pts is None:
            frame.pts = self._next_pts
        self._next_pts = frame.pts + round(frame.samples / frame.sample_rate / frame.time_base)
        self._graph.push(frame)
        yield from self._pulled()

    def end(self) -> Iterator[Any]:
        if self._graph:
            self._graph.push(None)
            yield from self._pulled()
            self._graph = self._shape = None

    def _pulled(self) -> Iterator[Any]:
        while True:
            try:
                yield self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return


def _graph(frame: Any) -> Any:
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_abuffer(
            format=frame.format, sample_rate=frame.sample_rate, layout=frame.layout, time_base=frame.time_base
        ),
        graph.add("aresample", f"{SAMPLE_RATE}:{DOWNMIX}"),
        graph.add("aformat", f"sample_fmts=s16:channel_layouts=mono:sample_rates={SAMPLE_RATE}"),
        graph.add("abuffersink"),
    ).configure()
    return graph


def _silence(count: int) -> Iterator[Samples]:
    for begin in range(0, count, BLOCK_SAMPLES):
        yield np.zeros(min(BLOCK_SAMPLES, count - begin), np.float32)


def as_floats(samples: np.ndarray[Any, Any]) -> Samples:
    """16-bit samples as floats from -1 to 1."""
    return samples.astype(np.float32) / 32768.0
