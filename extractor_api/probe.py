"""What a recording holds, without decoding it: length, container, streams, and which audio track is extracted."""

import asyncio

from reelscribe.contracts.extractor import ProbedStream, ProbeResult
from reelscribe.errors import NoAudioTrack
from reelscribe.media.choice import Choice, choose_track
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import InspectedStream, Inspection, inspect
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.reading import as_input, read_structure


async def probe(ffmpeg: FFmpeg, stored: StoredObject, timeout: float) -> ProbeResult:
    """Describe an open object.

    Args:
        timeout: longest wait for libav, in seconds.

    Raises:
        NotDecodable: it cannot be opened.
        NoAudioInTime: there was no answer in time.
    """
    structure = await asyncio.to_thread(read_structure, stored)
    inspection = await inspect(ffmpeg, as_input(stored, structure), timeout, cut=structure.cut)
    seconds = {track.index: track.seconds for track in structure.audio or ()}
    choice, reason = _choice(inspection)
    return ProbeResult(
        savepath=stored.savepath,
        bucket_name=stored.bucket_name,
        size=stored.size,
        last_modified=stored.last_modified,
        etag=stored.etag,
        container=inspection.container,
        duration=inspection.duration,
        streams=[_stream(stream, seconds.get(stream.index)) for stream in inspection.streams],
        chosen_track=choice.track if choice else None,
        chosen_stream=choice.index if choice else None,
        chosen_because=reason,
    )


def _choice(inspection: Inspection) -> tuple[Choice | None, str]:
    try:
        choice = choose_track(inspection.streams, None)
    except NoAudioTrack as none:
        return None, none.message
    return choice, choice.why


def _stream(stream: InspectedStream, seconds: float | None) -> ProbedStream:
    return ProbedStream(
        index=stream.index,
        kind=stream.kind,
        codec=stream.codec,
        decodable=stream.decodable,
        language=stream.language,
        title=stream.title,
        default=stream.default,
        duration=seconds or stream.duration,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        layout=stream.layout,
    )
