"""Whether a packet of H.264 holds one field of a picture, by its bytes (ITU-T H.264, 7.3.2.1.1 and 7.3.3).

Two such packets make one picture: a decoder that skips one of them gives the other one twice, or nothing.
"""

from reelscribe.media.pictures.fresh_start import H264_PICTURES, units

SETTINGS = 7
"""Type of a sequence parameter set (ITU-T H.264, table 7-1)."""

WITH_CHROMA = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
"""Profiles whose settings say how colours are stored."""


class Fields:
    """What the settings of a stream say of its fields.

    Args:
        extradata: of the stream.

    Attributes:
        may_be: there may be fields.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._extradata = extradata or b""
        self._number_bits = 0
        self._has_planes = self.may_be = False
        is_avcc = self._extradata[:1] == b"\1"
        found = [self._extradata[8:]] if is_avcc else units("h264", b"", self._extradata)
        settings = next((unit for unit in found if unit and unit[0] & 31 == SETTINGS), None)
        if settings:
            try:
                self._read(_Bits(settings))
            except IndexError:
                self.may_be = False

    def is_one(self, packet: bytes) -> bool:
        """Whether a packet is a field."""
        if not self.may_be:
            return False
        for unit in units("h264", self._extradata, packet):
            if unit[0] & 31 in H264_PICTURES:
                try:
                    return self._is_field(_Bits(unit))
                except IndexError:
                    return False
        return False

    def _is_field(self, bits: "_Bits") -> bool:
        for _ in range(3):
            bits.number()
        bits.take((2 if self._has_planes else 0) + self._number_bits)
        return bool(bits.take(1))

    def _read(self, bits: "_Bits") -> None:
        profile = bits.take(24) >> 16
        bits.number()
        if profile in WITH_CHROMA:
            chroma = bits.number()
            self._has_planes = chroma == 3 and bool(bits.take(1))
            bits.number(), bits.number(), bits.take(1)
            if bits.take(1):
                for place in range(12 if chroma == 3 else 8):
                    if bits.take(1):
                        bits.skip_scaling(16 if place < 6 else 64)
        self._number_bits = bits.number() + 4
        order = bits.number()
        if order == 0:
            bits.number()
        elif order == 1:
            bits.take(1), bits.number(), bits.number()
            for _ in range(min(bits.number(), 255)):
                bits.number()
        bits.number(), bits.take(1), bits.number(), bits.number()
        self.may_be = not bits.take(1)


class _Bits:
    """Those of a unit after its first byte.

    Raises:
        IndexError: by each method, if there are no more.
    """

    def __init__(self, unit: bytes) -> None:
        self._bytes = unit[1:].replace(b"\0\0\3", b"\0\0")
        self._place = 0

    def take(self, count: int) -> int:
        """As a number."""
        value = 0
        for _ in range(count):
            value = value << 1 | self._bytes[self._place >> 3] >> (7 - self._place % 8) & 1
            self._place += 1
        return value

    def number(self) -> int:
        """An exp-Golomb code (9.1), as if it had no sign."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def skip_scaling(self, size: int) -> None:
        """One scaling list (7.3.2.1.1.1)."""
        last = following = 8
        for _ in range(size):
            if following:
                code = self.number()
                following = (last + (code + 1) // 2 * (1 if code % 2 else -1)) % 256
            last = following or last
