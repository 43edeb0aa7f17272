"""Which track of a recording is extracted, and how: as its structure says, or after a closer look."""

from dataclasses import dataclass, field

from reelscribe.errors import NotDecodable
from reelscribe.media.choice import choose_track
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import SEARCHES, Search, inspect
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.facts import AudioTrack, Structure


@dataclass(frozen=True)
class Selection:
    """The track to extract.

    Attributes:
        stream: ffmpeg's name of it.
        track: its number among the audio tracks.
        why: part of a sentence.
        declared: what the container says of it, if it lists its tracks.
        search: how far ffmpeg must look for streams to find it.
    """

    stream: str
    track: int
    why: str
    declared: AudioTrack | None = None
    search: Search = field(default_factory=dict)


async def select_track(
    ffmpeg: FFmpeg, stored: StoredObject, structure: Structure, track: int | None, timeout: float
) -> Selection:
    """Choose the track.

    A recording with one track needs no closer look, and a requested track no choice.

    Raises:
        NoAudioTrack, NotDecodable, NoAudioInTime: see :func:`reelscribe.media.inspection.inspect`; NotDecodable also
            if the track is encrypted.
    """
    selection = await _selected(ffmpeg, stored, structure, track, timeout)
    if selection.declared and selection.declared.encrypted:
        raise NotDecodable(f"{stored.savepath}: its audio track is encrypted, and there is no key here")
    return selection


async def _selected(
    ffmpeg: FFmpeg, stored: StoredObject, structure: Structure, track: int | None, timeout: float
) -> Selection:
    listed = structure.audio
    if track is not None and listed and track < len(listed):
        return Selection(f"0:a:{track}", track, f"track {track}, as requested", listed[track])
    if track is None and listed is not None and len(listed) == 1:
        return Selection("0:a:0", 0, "the only audio track", listed[0])
    inspection = await inspect(ffmpeg, stored, timeout, cut=structure.cut)
    choice = choose_track(inspection.streams, track, stored.savepath)
    stream = inspection.streams[choice.index]
    microphones = not stream.layout and (stream.channels or 0) > 2
    unlisted = AudioTrack(choice.index, channels=stream.channels, microphones=microphones)
    declared = next((found for found in listed or () if found.index == choice.index), unlisted)
    return Selection(f"0:{choice.index}", choice.track, choice.why, declared, search=SEARCHES[inspection.search])
