"""Whether the picture of a part is complete; ffmpeg and libav end without an error where a file is cut."""

from reelscribe.media.clips.picture_process import DoneCut
from reelscribe.media.completeness import tolerated
from reelscribe.media.inspection import Inspection
from reelscribe.media.picture_choice import PictureChoice
from reelscribe.media.structure.facts import Structure

SHORT_SECONDS = 0.05
"""A difference that is worth a remark: longer than a picture of 25 per second is shown."""
LONG_SECONDS = 0.5
"""A picture that is shown longer is worth a remark: it may be a slide, or pictures after it may be lost."""


def missing_picture(
    structure: Structure, inspection: Inspection, picture: PictureChoice, done: DoneCut, ends: float, end: float
) -> str | None:
    """A phrase if pictures of the requested part are damaged or missing, else None.

    A recording may end before the part does: that is known if it declares a length, or if its bytes show a cut.

    Args:
        done: what was written.
        ends: seconds of the recording at which the last picture of the part ends.
        end: at which the requested part ends.
    """
    if damaged := done.corrupt + done.failed:
        return f"{damaged} pictures of this part could not be decoded intact"
    declared = _declared_end(structure, inspection, picture)
    if declared is not None and min(declared, end) - ends > tolerated(0):
        return f"the picture is declared to last until {declared:.1f} s, and was found until {ends:.1f} s"
    if structure.cut and end - ends > tolerated(0):
        return f"the stored file breaks off after {ends:.1f} s: {structure.cut}"
    return None


def _declared_end(structure: Structure, inspection: Inspection, picture: PictureChoice) -> float | None:
    """When the picture ends, as the container declares it.

    The length of a container is that of its longest stream, so it counts only if there is no other, or the file is cut.
    """
    stream = picture.stream
    if stream.duration is not None:
        return (stream.start or 0.0) - (inspection.start or 0.0) + stream.duration
    others = [other for other in inspection.streams if other.kind in ("audio", "video") and other is not stream]
    return structure.seconds if structure.cut or not others else None
