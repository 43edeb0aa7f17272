"""What was detected as speech and has no words: part of the receipt of a transcript."""

from collections.abc import Iterable

from pydantic import Field

from reelscribe.contracts.messages import NonNegativeSeconds, ReceivedModel

MOST_STRETCHES = 100
"""That are listed; a recording of ten hours may have thousands."""

MOST_NAMED = 3
"""In a sentence."""


class Stretch(ReceivedModel):
    """Times in seconds from the start of the recording."""

    start: NonNegativeSeconds
    end: NonNegativeSeconds


class SpeechWithoutWords(ReceivedModel):
    """Stretches that Silero VAD detects as speech, music perhaps, and that no segment covers.

    ``seconds`` and ``count`` are of all of them, ``stretches`` lists the first 100. Each has more than 1 s of speech.
    """

    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    count: int = Field(default=0, ge=0)
    stretches: list[Stretch] = Field(default_factory=list, max_length=MOST_STRETCHES)

    @property
    def sentence(self) -> str:
        """How much, and at which times of the recording; empty if there is none."""
        if not self.count:
            return ""
        times = [_clock(stretch.start) for stretch in self.stretches[:MOST_NAMED]]
        more = f" and {self.count - len(times)} more" if self.count > len(times) else ""
        named = f" at {', '.join(times)}{more}" if times else ""
        return f"{self.seconds:.1f} s detected as speech without words{named}"

    def too_long(self, most_seconds: float | None) -> str | None:
        """Why a transcript with this is incomplete, if more than so many seconds count as such."""
        if most_seconds is None or self.seconds <= most_seconds:
            return None
        return f"{self.sentence}; the request allows {most_seconds:g} s"

    def before(self, seconds: float) -> "SpeechWithoutWords":
        """Without the listed stretches after this second of the recording."""
        kept = [
            Stretch(start=stretch.start, end=min(stretch.end, seconds))
            for stretch in self.stretches
            if stretch.start < seconds
        ]
        dropped = _seconds(self.stretches) - _seconds(kept)
        return SpeechWithoutWords(
            seconds=max(0.0, round(self.seconds - dropped, 2)),
            count=max(0, self.count - len(self.stretches) + len(kept)),
            stretches=kept,
        )


def total(parts: Iterable[SpeechWithoutWords | None]) -> SpeechWithoutWords | None:
    """Of the parts of a recording, in their order; None if nothing is known of any."""
    known = [part for part in parts if part]
    if not known:
        return None
    return SpeechWithoutWords(
        seconds=round(sum(part.seconds for part in known), 2),
        count=sum(part.count for part in known),
        stretches=[stretch for part in known for stretch in part.stretches][:MOST_STRETCHES],
    )


def _seconds(stretches: Iterable[Stretch]) -> float:
    return sum(stretch.end - stretch.start for stretch in stretches)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
