"""Makes picture files of decoded pictures, for :mod:`reelscribe.media.pictures.delivery`."""

from fractions import Fraction
from typing import Any, NamedTuple

from reelscribe.media.pictures.rotation import display_matrix, turns
from reelscribe.media.pictures.source import MOST_PICTURE_BYTES, Failed

UNSPECIFIED_COLOURS = 2
HDR = {16: "smpte2084", 18: "arib-std-b67"}
"""Numbers of ITU-T H.273, table 3."""

BT601, BT709, BT2020 = 5, 1, 9
COLOURS = {1: BT709, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: BT2020, 10: BT2020}
"""libswscale's number of the matrix for each matrix of ITU-T H.273, table 4."""

HD_WIDTH, SD_HEIGHT = 1280, 576
"""Players take a picture without a named matrix for BT.709 if it is as wide, or higher."""

LIMITED, FULL = 1, 2
PLANAR = "yuv420p"
MATRICES = {BT709: "bt709", 4: "fcc", BT601: "smpte170m", 7: "smpte240m", BT2020: "bt2020nc"}
LEVELS = {LIMITED: "tv", FULL: "pc"}
"""libavfilter's names of the same."""

LONGEST_SIDE = {"jpeg": 65_500, "webp": 16_383}
"""Pixels; PNG has no limit that a picture could reach."""

CLOCK = Fraction(1, 1000)


class Colours(NamedTuple):
    """How the colours of a picture are stored.

    Attributes:
        matrix: libswscale's number.
        levels: :data:`LIMITED` or :data:`FULL`.
    """

    matrix: int
    levels: int


class Encoder:
    """Makes one picture file of a decoded picture, as players show it: upright, with square pixels."""

    def __init__(self, av: Any, stream: Any, task: dict[str, Any]) -> None:
        self._av = av
        self._stream = stream
        self._picture: str = task["picture_format"]
        self._quality: int = task["quality"]
        self._size: int | None = task["size"]
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._known_turns: dict[int, tuple[str, ...]] = {}
        self._turners: dict[tuple[Any, ...], Any] = {}
        self._colourers: dict[tuple[Any, ...], Any] = {}
        self._context: Any = None
        self._written_pictures = 0

    def encode(self, frame: Any) -> tuple[bytes, dict[str, Any]]:
        """The file, and what it holds."""
        turns = self._turns(frame)
        transfer = HDR.get(int(frame.color_trc))
        upright = self._turned(self._converted(frame, bool(transfer)), turns)
        facts = {
            "width": upright.width,
            "height": upright.height,
            "rotation": self._degrees(turns),
            "transfer": transfer,
            "tone_mapped": bool(transfer),
        }
        return self._written(upright), facts

    def _converted(self, frame: Any, hdr: bool) -> Any:
        """The pixels as the format holds them: BT.601, with square pixels, and not turned yet."""
        form = "rgb24" if self._picture == "png" else PLANAR
        (width, height), source = self._fitted(frame), _colours_of(frame)
        size, target = (width, height), Colours(BT601, LIMITED if self._picture == "webp" else FULL)
        is_rgb = form != PLANAR or frame.format.is_rgb or frame.format.has_palette
        if hdr or is_rgb or width % 2 or height % 2:  # the filter knows even numbers only
            return self._scaled(frame, size, form, source, target, hdr)
        if size != (frame.width, frame.height) or frame.format.name != PLANAR:
            frame = self._scaled(frame, size, PLANAR, source, source)
        return self._coloured(frame, source, target)

    def _scaled(
        self, frame: Any, size: tuple[int, int], form: str, source: Colours, target: Colours, hdr: bool = False
    ) -> Any:
        transfer = {"dst_color_trc": BT709, "dst_color_primaries": BT709} if hdr else {}
        interpolation = self._av.video.reformatter.Interpolation
        scaled = size != (frame.width, frame.height)
        return self._reformatter.reformat(
            frame,
            *size,
            form,
            src_colorspace=source.matrix,
            dst_colorspace=target.matrix,
            src_color_range=source.levels,
            dst_color_range=target.levels,
            # The latter takes a quarter of the time, and nothing is to be interpolated but colours.
            interpolation=interpolation.BICUBIC | interpolation.ACCURATE_RND if scaled else interpolation.BILINEAR,
            threads=1,
            **transfer,
        )

    def _coloured(self, frame: Any, source: Colours, target: Colours) -> Any:
        """The same in other colours. libswscale would convert to RGB in between: half as fast, and less exact."""
        if source == target:
            return frame
        form = (source, frame.width, frame.height)
        if form not in self._colourers:
            space = f"ispace={MATRICES[source.matrix]}:space={MATRICES[target.matrix]}"
            levels = f"irange={LEVELS[source.levels]}:range={LEVELS[target.levels]}"
            same = "iprimaries=bt709:primaries=bt709:itrc=bt709:trc=bt709"
            self._colourers = {form: self._graph(frame, (f"colorspace={space}:{levels}:{same}",))}
        return _through(self._colourers[form], frame)

    def _fitted(self, frame: Any) -> tuple[int, int]:
        """Width and height with square pixels, at most ``size``."""
        shape = self._stream.sample_aspect_ratio
        width, height = Fraction(frame.width), Fraction(frame.height)
        if shape and Fraction(1, 4) <= shape <= 4:
            width *= shape
        if self._size and max(width, height) > self._size:
            shrunk = self._size / max(width, height)
            width, height = width * shrunk, height * shrunk
        return max(2, round(width)), max(2, round(height))

    def _turns(self, frame: Any) -> tuple[str, ...]:
        """Looked at again only if the angle changes: to look makes a frame part of a cycle, and keeps it in memory."""
        if frame.rotation not in self._known_turns:
            matrix = display_matrix(frame)
            self._known_turns[frame.rotation] = turns(matrix) if matrix else ()
        return self._known_turns[frame.rotation]

    def _degrees(self, turns: tuple[str, ...]) -> int:
        if {"hflip", "vflip"} <= set(turns):
            return 180
        direction = next((turn for turn in turns if turn.startswith("transpose=")), "")
        return {"transpose=clock": 90, "transpose=cclock_flip": 90, "": 0}.get(direction, 270)

    def _turned(self, frame: Any, turns: tuple[str, ...]) -> Any:
        if not turns:
            return frame
        form = (turns, frame.width, frame.height)
        if form not in self._turners:
            self._turners = {form: self._graph(frame, turns)}
        return _through(self._turners[form], frame)

    def _graph(self, frame: Any, filters: tuple[str, ...]) -> Any:
        graph = self._av.filter.Graph()
        graph.threads = 1
        last = graph.add_buffer(template=None, width=frame.width, height=frame.height, format=frame.format,
                                time_base=CLOCK)  # fmt: skip
        for each in filters:
            name, _, value = each.partition("=")
            following = graph.add(name, value or None)
            last.link_to(following)
            last = following
        sink = graph.add("buffersink")
        last.link_to(sink)
        graph.configure()
        return graph

    def _written(self, frame: Any) -> bytes:
        longest = LONGEST_SIDE.get(self._picture)
        if longest and max(frame.width, frame.height) > longest:
            raise Failed("too_long", self._picture, frame.width, frame.height, longest)
        self._written_pictures += 1
        frame.pts, frame.time_base, frame.pict_type = self._written_pictures, CLOCK, 0
        if self._context is None or (self._context.width, self._context.height) != (frame.width, frame.height):
            self._context = self._opened(frame)
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise RuntimeError(f"{len(packets)} packets of one picture")
        if packets[0].size > MOST_PICTURE_BYTES:
            raise Failed("too_many_bytes", self._picture, frame.width, frame.height, MOST_PICTURE_BYTES >> 20)
        return bytes(packets[0])

    def _opened(self, frame: Any) -> Any:
        context = self._av.CodecContext.create({"jpeg": "mjpeg", "webp": "libwebp", "png": "png"}[self._picture], "w")
        context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
        context.time_base = CLOCK
        context.thread_count = 1
        options = {"flags": "+bitexact"}
        if self._picture == "jpeg":
            context.color_range = FULL
            context.qmin = context.qmax = max(1, round(31 - 30 * (self._quality - 1) / 99))
        elif self._picture == "webp":
            options["quality"] = str(self._quality)
        context.options = options
        return context


def _colours_of(frame: Any) -> Colours:
    matrix = int(frame.colorspace)
    if matrix == UNSPECIFIED_COLOURS:
        matrix = BT709 if frame.width >= HD_WIDTH or frame.height > SD_HEIGHT else BT601
    levels = FULL if frame.format.name.startswith("yuvj") else int(frame.color_range)
    return Colours(COLOURS.get(matrix, BT601), levels or LIMITED)


def _through(graph: Any, frame: Any) -> Any:
    frame.pts = None
    graph.push(frame)
    return graph.pull()
