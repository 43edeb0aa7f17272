"""From a picture as stored to one as players show it: its size, turned upright, in the colours of BT.709."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from reelscribe.media.clips.picture_process import FirstPicture
from reelscribe.media.pictures.encoding import HD_WIDTH, HDR, SD_HEIGHT
from reelscribe.media.pictures.rotation import turns

MATRICES = {
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
"""Numbers of ITU-T H.273, as ffmpeg's ``scale`` names them."""

UNSPECIFIED = 2
FULL_RANGE = 2
HDR_NAMES = {16: "PQ", 18: "HLG"}
TONE_MAPPING = (
    "setparams=range={range}:colorspace=bt2020nc:color_primaries=bt2020:color_trc={transfer}",
    "zscale=t=linear:npl=100",
    "format=gbrpf32le",
    "zscale=p=bt709",
    "tonemap=hable:desat=0",
    "zscale=t=bt709:m=bt709:r=limited",
    "format=yuv420p",
)
TONE_MAPPERS = ("zscale", "tonemap")
"""The filters that this takes, which an ffmpeg may lack."""


@dataclass(frozen=True)
class Shown:
    """How a picture is shown.

    Attributes:
        width, height: in pixels, after it was turned.
        filters: of ffmpeg, that make it so.
        remarks: what a reader should know of its colours.
    """

    width: int
    height: int
    filters: tuple[str, ...]
    remarks: list[str] = field(default_factory=list)


def shown(first: FirstPicture, size: int | None, ffmpeg_filters: Sequence[str], *, square: bool = False) -> Shown:
    """
    Args:
        first: of the pictures to show.
        size: most pixels of the longer side; None to keep it.
        ffmpeg_filters: names of those that this ffmpeg has.
        square: pixels must be as wide as they are high.
    """
    applied = turns(first.display) if first.display else ()
    turned = any(turn.startswith("transpose") for turn in applied)
    width, height = float(first.width), float(first.height)
    square = square or size is not None
    if square and first.aspect >= 1:
        width *= first.aspect
    elif square:
        height /= first.aspect
    factor = min(1.0, size / max(width, height)) if size else 1.0
    across, down = _even(width * factor), _even(height * factor)
    colours, remarks = _colours(first, ffmpeg_filters, f"{across}:{down}")
    filters = [*colours, *applied]
    aspect = 1.0 if square else 1 / first.aspect if turned else first.aspect
    filters += [f"setsar={aspect:.6f}", "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"]
    return Shown(*((down, across) if turned else (across, down)), tuple(filters), remarks)


def _even(pixels: float) -> int:
    """H.264 with 4:2:0 has a colour for two pixels each way."""
    return max(2, 2 * round(pixels / 2))


def _colours(first: FirstPicture, ffmpeg_filters: Sequence[str], size: str) -> tuple[list[str], list[str]]:
    stored_range = "pc" if first.range == FULL_RANGE or first.format.startswith("yuvj") else "tv"
    into = "out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd"
    if first.format == "rgb24":
        return [f"scale={size}:{into}", "format=yuv420p"], []
    if transfer := HDR.get(first.transfer):
        name = HDR_NAMES[first.transfer]
        if set(TONE_MAPPERS) <= set(ffmpeg_filters):
            mapping = [step.format(transfer=transfer, range=stored_range) for step in TONE_MAPPING]
            keep = f"in_color_matrix=bt2020:out_color_matrix=bt2020:in_range={stored_range}:out_range={stored_range}"
            return [f"scale={size}:{keep}", *mapping], [f"HDR ({name}) was tone-mapped to BT.709"]
        remarks = [f"HDR ({name}) was not tone-mapped, because this ffmpeg has no zscale: its colours are pale"]
    else:
        remarks = []
    matrix = MATRICES.get(first.matrix) or (
        "bt709" if first.width >= HD_WIDTH or first.height > SD_HEIGHT else "smpte170m"
    )
    if first.matrix not in MATRICES and first.matrix not in (0, UNSPECIFIED):
        remarks.append(
            f"its colours have a matrix that is not known here (H.273: {first.matrix}); {matrix} was assumed"
        )
    return [f"scale={size}:in_color_matrix={matrix}:in_range={stored_range}:{into}", "format=yuv420p"], remarks
