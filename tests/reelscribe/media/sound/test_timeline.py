"""Where decoded sound belongs on the timeline of its recording: nothing is lost, and silence is as long as pauses were.

Times are in samples at 1,000 Hz, so that a sample is a millisecond.
"""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from reelscribe.media.sound.timeline import LONGEST_GAP_SECONDS, Piece, Timeline

RATE = 1000
FRAME = 20
HOUR = 3600 * RATE

Frame = tuple[int, int]


def frames(count: int, start: int = 0, size: int = FRAME) -> list[Frame]:
    """Frames that follow each other without a break: timestamp and number of samples."""
    return [(start + number * size, size) for number in range(count)]


def seconds(length: float, start: float = 0.0) -> list[Frame]:
    return frames(round(length * RATE / FRAME), round(start * RATE))


def joined(pieces: Iterable[Piece], *, kept: bool = True) -> list[tuple[str, int]]:
    """The pieces of the output, or all of them, neighbours of the same kind together."""
    result: list[tuple[str, int]] = []
    for piece in pieces:
        if kept and not piece.keep:
            continue
        kind = ("sound" if piece.sound else "silence") if piece.keep else "left out"
        before = result.pop()[1] if result and result[-1][0] == kind else 0
        result.append((kind, before + piece.samples))
    return result


def placed(timeline: Timeline, sequence: Sequence[Frame]) -> list[tuple[str, int]]:
    result = joined(timeline.place(sequence, ended=True))
    assert sum(samples for _, samples in result) == timeline.counts.delivered
    return result


def place(sequence: Sequence[Frame]) -> list[tuple[str, int]]:
    return placed(Timeline(RATE), sequence)


def test_frames_that_follow_each_other_are_joined() -> None:
    timeline = Timeline(RATE)
    assert placed(timeline, seconds(10)) == [("sound", 10_000)]
    assert (timeline.irregular, timeline.gaps, timeline.restarts, timeline.position) == (False, [], 0, 10_000)


def test_it_is_extended_by_silence_but_not_by_more_than_a_hole_may_have() -> None:
    timeline = Timeline(RATE, duration=14)
    placed(timeline, seconds(10))
    assert joined(timeline.extend(9)) == joined(timeline.extend(11 + LONGEST_GAP_SECONDS)) == []
    assert joined(timeline.extend(13)) == [("silence", 3000)]
    assert [gap.samples for gap in timeline.gaps] == [3000]


def test_a_recording_without_frames_has_no_output() -> None:
    assert place([]) == []


def test_sound_that_begins_late_has_silence_before_it_that_is_no_gap() -> None:
    timeline = Timeline(RATE)
    assert placed(timeline, seconds(5, start=4)) == [("silence", 4_000), ("sound", 5_000)]
    assert (timeline.gaps, timeline.counts.added) == ([], 4_000)


def test_a_delay_of_the_decoder_is_no_part_of_the_timeline() -> None:
    assert place(seconds(5, start=-0.04)) == [("sound", 5_000)]


def test_what_a_decoder_needs_to_begin_with_is_left_out_where_the_beginning_is_known() -> None:
    timeline = Timeline(RATE, origin=0.0, exact_origin=True)
    assert placed(timeline, seconds(5, start=-0.04)) == [("sound", 4_960)]
    assert (timeline.counts.decoded, timeline.counts.discarded) == (5_000, 40)


def test_what_is_before_the_beginning_is_left_out() -> None:
    timeline = Timeline(RATE)
    assert placed(timeline, seconds(5, start=-2)) == [("sound", 3_000)]
    assert (timeline.counts.decoded, timeline.counts.discarded) == (5_000, 2_000)


def test_a_clock_that_begins_elsewhere_counts_from_its_origin() -> None:
    assert placed(Timeline(RATE, origin=1000.0), seconds(5, start=1003)) == [("silence", 3_000), ("sound", 5_000)]


@pytest.mark.parametrize("length", [0.1, 15, 3 * 600, 7000])
def test_a_hole_is_filled_with_silence_however_long_it_is(length: float) -> None:
    timeline = Timeline(RATE)
    hole = round(length * RATE)
    expected = [("sound", 5_000), ("silence", hole), ("sound", 5_000)]
    assert placed(timeline, [*seconds(5), *seconds(5, start=5 + length)]) == expected
    (gap,) = timeline.gaps
    assert (gap.samples, gap.before, gap.after, gap.restarts) == (hole, 5_000, 5_000 + hole, 0)
    assert timeline.irregular


def test_a_pause_that_is_shorter_than_rounding_is_none() -> None:
    assert place([*seconds(5), *seconds(5, start=5.015)]) == [("sound", 10_000)]


def test_sound_in_bursts_of_speech_is_in_its_place() -> None:
    """Phones send nothing in pauses (AMR's DTX)."""
    bursts = [seconds(0.4, start=start) for start in (0, 2, 4, 9, 9.8)]
    assert place([frame for burst in bursts for frame in burst]) == [
        *(("sound", 400), ("silence", 1_600)),
        *(("sound", 400), ("silence", 1_600)),
        *(("sound", 400), ("silence", 4_600)),
        *(("sound", 400), ("silence", 400)),
        ("sound", 400),
    ]


def test_timestamps_that_begin_again_continue_without_a_pause() -> None:
    timeline = Timeline(RATE)
    assert placed(timeline, [*seconds(5), *seconds(5), *seconds(5)]) == [("sound", 15_000)]
    assert (timeline.restarts, timeline.gaps, timeline.counts.added) == (2, [], 0)


@pytest.mark.parametrize("pace", [0.9, 1.1])
def test_timestamps_of_another_pace_than_the_sound_do_not_begin_again(pace: float) -> None:
    timeline = Timeline(RATE, joined=True)
    drifting = [(round(5_000 + pace * pts), samples) for pts, samples in seconds(20)]
    assert placed(timeline, [*seconds(5), *drifting]) == [("sound", 25_000)]
    assert (timeline.restarts, timeline.gaps) == (0, [])


def test_a_second_session_may_have_a_hole_too() -> None:
    timeline = Timeline(RATE)
    sequence = [*seconds(5), *seconds(2), *seconds(3, start=10)]
    assert placed(timeline, sequence) == [("sound", 7_000), ("silence", 8_000), ("sound", 3_000)]
    assert [(gap.before, gap.after, gap.restarts) for gap in timeline.gaps] == [(2_000, 10_000, 1)]


def test_a_hole_soon_after_a_restart_is_as_long_as_it_was() -> None:
    sequence = [*seconds(30), *seconds(0.4), *seconds(5, start=20.4)]
    assert place(sequence) == [("sound", 30_400), ("silence", 20_000), ("sound", 5_000)]


def test_a_restart_soon_after_a_hole_leaves_the_hole() -> None:
    sequence = [*seconds(5), *seconds(0.4, start=9), *seconds(5)]
    assert place(sequence) == [("sound", 5_000), ("silence", 4_000), ("sound", 5_400)]


@pytest.mark.parametrize("wrong", [-100_000, -3_000, -300, 300, 3_000, 100_000, 10 * HOUR])
@pytest.mark.parametrize("at", [1, 100, 248])
def test_a_single_wrong_timestamp_is_ignored(wrong: int, at: int) -> None:
    sequence = seconds(5)
    sequence[at] = (sequence[at][0] + wrong, FRAME)
    timeline = Timeline(RATE)
    assert placed(timeline, sequence) == [("sound", 5_000)]
    assert (timeline.restarts, timeline.gaps) == (0, [])


@pytest.mark.parametrize("wrong", [-2_000, -300, 2_000, 100_000])
def test_a_wrong_timestamp_next_to_a_hole_leaves_its_length(wrong: int) -> None:
    sequence = [*seconds(5), *seconds(5, start=9)]
    sequence[253] = (sequence[253][0] + wrong, FRAME)
    assert place(sequence) == [("sound", 5_000), ("silence", 4_000), ("sound", 5_000)]


BURST = 300


def burst(times: Sequence[int]) -> list[Frame]:
    """10 s of frames in bursts of 300 ms; ``times`` are those of the frames in one burst."""
    return [(start + time, FRAME) for start in range(0, 9_900, BURST) for time in times]


@pytest.mark.parametrize(
    "times",
    [
        [0] * 15,
        list(range(15)),
        [number * 5 for number in range(15)],
        [0] * 5 + [100] * 5 + [200] * 5,
        [0, *range(20, 300, 20)],
        [0, *range(5, 19)],
    ],
    ids=["one time", "1 ms apart", "5 ms apart", "three groups", "regular", "behind the first"],
)
def test_frames_that_arrive_in_bursts_lose_and_add_nothing(times: list[int]) -> None:
    assert len(times) == 15
    assert place(burst(times)) == [("sound", 9_900)]


def test_bursts_with_the_time_of_their_end_add_nothing_between_them() -> None:
    timeline = Timeline(RATE)
    assert placed(timeline, [(0, FRAME), *burst([BURST] * 15)]) == [("sound", 9_920)]
    assert timeline.gaps == []


def test_a_hole_between_bursts_is_at_most_a_burst_shorter() -> None:
    """Whether a burst has the time of its beginning or of its end is not known: no silence is added that was not."""
    early = burst([0] * 15)[:150]
    late = [(pts + 4_000, samples) for pts, samples in burst([0] * 15)[150:]]
    assert place([*early, *late]) == [("sound", 3_000), ("silence", 4_000 - BURST + FRAME), ("sound", 6_900)]


def test_timestamps_rounded_to_a_millisecond_add_nothing() -> None:
    rounded = [(round(number * 1024 / 44.1) * 48, 1114) for number in range(1000)]
    timeline = Timeline(48_000)
    joined(timeline.place(rounded, ended=True))
    assert timeline.counts.added == 0
    exact = Timeline(44_100)
    jitter = [(round(round(number * 1024 / 44.1) * 44.1), 1024) for number in range(1000)]
    assert joined(exact.place(jitter, ended=True)) == [("sound", 1_024_000)]
    assert not exact.irregular


def test_sound_that_is_slower_than_its_clock_is_filled_up_in_small_steps() -> None:
    """A sound card of 999 Hz that says 1,000: after 1,000 s, a second of silence keeps the sound in its place."""
    drifting = [(number * FRAME * 1001 // 1000, FRAME) for number in range(50_000)]
    timeline = Timeline(RATE)
    joined(timeline.place(drifting, ended=True))
    assert timeline.counts.added == pytest.approx(1_000, abs=20)
    assert max(gap.samples for gap in timeline.gaps) <= 20


def test_sound_that_is_faster_than_its_clock_is_kept() -> None:
    drifting = [(number * FRAME * 999 // 1000, FRAME) for number in range(10_000)]
    assert place(drifting) == [("sound", 200_000)]


def test_start_and_duration_are_cut_to_the_sample() -> None:
    timeline = Timeline(RATE, start=1.234, duration=2.345)
    assert placed(timeline, seconds(10)) == [("sound", 2_345)]
    assert timeline.finished
    assert timeline.counts.discarded == 1_234 + (3_580 - 3_579)


def test_a_part_may_begin_in_silence_and_end_in_it() -> None:
    sequence = [*seconds(5), *seconds(5, start=9)]
    assert placed(Timeline(RATE, 5.5, 2), sequence) == [("silence", 2_000)]
    assert placed(Timeline(RATE, 4.5, 3), sequence) == [("sound", 500), ("silence", 2_500)]
    assert placed(Timeline(RATE, 8.5, 1), sequence) == [("silence", 500), ("sound", 500)]


def test_a_part_after_the_end_is_empty_and_never_finished() -> None:
    timeline = Timeline(RATE, 20, 1)
    assert (placed(timeline, seconds(10)), timeline.finished) == ([], False)


def test_nothing_is_placed_after_the_end_of_the_part() -> None:
    timeline = Timeline(RATE, 0, 1)
    placed(timeline, seconds(10))
    assert list(timeline.place(seconds(1, start=10), ended=True)) == []
    assert timeline.counts.decoded == 1_000


SESSIONS = [*seconds(5), *seconds(2), *seconds(3, start=10), *seconds(4)]
"""With two restarts and a hole of 8 s, from 7 to 15 s."""


@pytest.mark.parametrize("start", [0.0, 4.999, 5.0, 6.5, 7.0, 12.3, 15.0, 18.001, 21.9])
@pytest.mark.parametrize("duration", [0.5, 9.0, None])
def test_a_start_behind_a_restart_is_the_slice_of_the_complete_extraction(start: float, duration: float | None) -> None:
    complete = [kind for kind, samples in place(SESSIONS) for _ in range(samples)]
    part = [kind for kind, samples in placed(Timeline(RATE, start, duration), SESSIONS) for _ in range(samples)]
    first = round(start * RATE)
    assert part == complete[first : None if duration is None else first + round(duration * RATE)]


def test_after_a_seek_the_first_frame_says_where_it_is() -> None:
    timeline = Timeline(RATE, 60, 1, sought=True)
    assert placed(timeline, seconds(5, start=59.5)) == [("sound", 1_000)]
    assert (timeline.counts.decoded, timeline.counts.discarded) == (1_500, 500)


def test_after_a_seek_into_a_hole_the_part_begins_with_its_rest() -> None:
    assert placed(Timeline(RATE, 60, 2, sought=True), seconds(5, start=61)) == [("silence", 1_000), ("sound", 1_000)]


def test_silence_that_timestamps_leave_out_is_put_back() -> None:
    """AVI: the header says where the empty chunks are that ffmpeg drops."""
    timeline = Timeline(RATE, holes=[(0.0, 2.0), (7.0, 3.0)])
    assert placed(timeline, seconds(10)) == [
        *(("silence", 2_000), ("sound", 5_000)),
        *(("silence", 3_000), ("sound", 5_000)),
    ]


def test_a_clock_that_starts_over_after_its_cycle_continues() -> None:
    """MPEG's clock has 33 bits: 26.5 hours."""
    cycle = 95_443.717
    end = round(cycle * RATE)
    sequence = [(time % end, FRAME) for time, _ in seconds(10, start=cycle - 5)]
    timeline = Timeline(RATE, origin=cycle - 5, cycle=cycle)
    assert placed(timeline, sequence) == [("sound", 10_000)]
    assert timeline.counts.added == 0


def test_a_clock_whose_cycle_ends_before_the_first_sound_has_silence_first() -> None:
    cycle = 95_443.717
    timeline = Timeline(RATE, origin=cycle - 5, cycle=cycle)
    assert placed(timeline, seconds(5, start=3)) == [("silence", 8_000), ("sound", 5_000)]


def test_a_jump_of_more_than_two_hours_is_another_clock() -> None:
    timeline = Timeline(RATE)
    sequence = [*seconds(5), *seconds(5, start=5 + LONGEST_GAP_SECONDS + 1)]
    assert placed(timeline, sequence) == [("sound", 10_000)]
    assert (timeline.restarts, timeline.gaps) == (1, [])


def test_a_jump_of_more_than_two_hours_is_a_hole_if_the_recording_declares_that_it_is_so_long() -> None:
    timeline = Timeline(RATE, declared=4 * 3600.0)
    sequence = [*seconds(5), *seconds(5, start=3 * 3600)]
    assert placed(timeline, sequence) == [("sound", 5_000), ("silence", 3 * HOUR - 5_000), ("sound", 5_000)]


def test_a_first_frame_after_more_than_two_hours_is_of_another_clock() -> None:
    assert place(seconds(5, start=3 * 3600)) == [("sound", 5_000)]


anything = some.lists(
    some.tuples(
        some.sampled_from([-HOUR, -5_000, -900, -300, -20, -1, 0, 0, 0, 0, 1, 16, 300, 4_000, 3 * HOUR]),
        some.integers(1, 40),
        some.integers(1, 60) | some.just(1_500),
    ),
    max_size=12,
)
"""Jumps, with the number and size of the frames that follow each of them."""


def sequence_of(jumps: Sequence[tuple[int, int, int]]) -> list[Frame]:
    result: list[Frame] = []
    clock = 0
    for jump, count, size in jumps:
        clock += jump
        result += frames(count, clock, size)
        clock += count * size
    return result


@given(anything, some.floats(0, 10), some.none() | some.floats(0.001, 10))
def test_no_decoded_sample_is_lost_whatever_the_timestamps(
    jumps: list[tuple[int, int, int]], start: float, duration: float | None
) -> None:
    timeline, sequence = Timeline(RATE, start, duration), sequence_of(jumps)
    pieces = list(timeline.place(sequence, ended=True))
    counts = timeline.counts
    sound = sum(piece.samples for piece in pieces if piece.sound)
    kept = sum(piece.samples for piece in pieces if piece.keep)
    assert sound == counts.decoded
    assert kept == counts.delivered == counts.decoded - counts.discarded + counts.added
    if not timeline.finished:
        assert sound == sum(samples for _, samples in sequence)
    elif duration is not None:
        assert kept == round(start * RATE) + round(duration * RATE) - round(start * RATE)
    assert all(piece.samples > 0 for piece in pieces)


@example([(0, 1, 1_500), (16, 2, 1), (0, 1, 1_500)], [2], 0.0, None)
@given(anything, some.lists(some.integers(0, 50), max_size=40), some.floats(0, 10), some.none() | some.floats(0.001, 5))
def test_frames_may_come_in_any_chunks(
    jumps: list[tuple[int, int, int]], sizes: list[int], start: float, duration: float | None
) -> None:
    sequence = sequence_of(jumps)
    together = Timeline(RATE, start, duration)
    expected = list(together.place(sequence, ended=True))
    apart, pieces, rest = Timeline(RATE, start, duration), list[Piece](), sequence
    for size in sizes:
        pieces += apart.place(rest[:size])
        rest = rest[size:]
    pieces += apart.place(rest, ended=True)
    assert pieces == expected
    assert (apart.counts, apart.gaps, apart.restarts) == (together.counts, together.gaps, together.restarts)
