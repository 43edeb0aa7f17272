"""What a recording holds, from ffmpeg's description, without decoding it: length, container and streams."""

import asyncio
import re

from reelscribe.contracts.extractor import ProbedStream, ProbeResult
from reelscribe.errors import NoAudioInTime, NotDecodable
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.ffmpeg_log import StreamDescription
from reelscribe.media.process import FFmpegProcess
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.tracks import track_seconds

_CODEC = re.compile(r"\w+: (\w+)")
_SAMPLE_RATE = re.compile(r"(\d+) Hz, ([^,]+)")
_CHANNELS = {"mono": 1, "stereo": 2}
_MANY_CHANNELS = re.compile(r"(\d+)(?:\.(\d+)| channels)")


async def probe(ffmpeg: FFmpeg, stored: StoredObject, timeout: float) -> ProbeResult:
    """Describe an open object.

    Args:
        timeout: longest wait for ffmpeg, in seconds.

    Raises:
        NotDecodable: ffmpeg cannot open it.
        NoAudioInTime: ffmpeg did not answer in time.
    """
    command = [str(ffmpeg.path), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info"]
    command += ffmpeg.input_arguments(stored.url, stored.protocols)
    async with FFmpegProcess(ffmpeg.sandbox, command, stored, cpu_seconds=timeout) as process:
        try:
            async with asyncio.timeout(timeout):
                await process.wait()
        except TimeoutError:
            raise NoAudioInTime(
                f"{stored.savepath}: ffmpeg did not describe it within {timeout:g} s; try again"
            ) from None
    log = process.log
    if failure := stored.read_failure():
        raise failure
    if not log.container:
        raise NotDecodable(f"{stored.savepath} is not an audio or video file that ffmpeg can open")
    tracks = await asyncio.to_thread(track_seconds, stored)
    return ProbeResult(
        savepath=stored.savepath,
        bucket_name=stored.bucket_name,
        size=stored.size,
        last_modified=stored.last_modified,
        etag=stored.etag,
        container=log.container,
        duration=None if log.estimated else log.container_seconds,
        streams=[
            _stream(index, described, tracks.get(index) or log.stream_seconds.get(index))
            for index, described in log.streams.items()
        ],
    )


def _stream(index: int, described: StreamDescription, seconds: float | None) -> ProbedStream:
    codec = _CODEC.match(described.text)
    shape = _SAMPLE_RATE.search(described.text) if described.text.startswith("Audio") else None
    return ProbedStream(
        index=index,
        kind=described.text.split(":")[0].lower(),
        codec=codec[1] if codec else "unknown",
        language=described.language if described.language != "und" else None,
        default="(default)" in described.text,
        duration=seconds,
        sample_rate=int(shape[1]) if shape else None,
        channels=_channels(shape[2]) if shape else None,
    )


def _channels(layout: str) -> int | None:
    if layout in _CHANNELS:
        return _CHANNELS[layout]
    match = _MANY_CHANNELS.match(layout)
    return int(match[1]) + int(match[2] or 0) if match else None
