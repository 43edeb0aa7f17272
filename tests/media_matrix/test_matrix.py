"""The matrix itself: its beep finder sees what is wrong, and its tables are complete."""

from dataclasses import replace

import numpy as np
import pytest

from tests.media_matrix.answers import Answer, faults
from tests.media_matrix.beeps import SAMPLE_RATE, Beep, find_beeps
from tests.media_matrix.kinds import CODECS, CONTAINERS, KINDS, OPEN_ENDINGS, Ending
from tests.media_matrix.samples import SAMPLE, sample
from tests.media_matrix.variants import CASES, LEFT_OUT, Case, Variant, left_out


def case(name: str) -> Case:
    return next(one for one in CASES if str(one) == name)


INTACT = Answer(
    200, None, "complete", 10.0, 10.0, None, 10.0, (Beep(1.0, 2.0, 440), Beep(6.0, 7.0, 440))
)  # fmt: skip


def test_beeps_are_found_with_their_times_and_frequencies() -> None:
    time = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    sound = np.zeros(len(time))
    for start, end, frequency in ((0.5, 1.5, 440), (4.25, 4.5, 1000), (9.5, 10, 440)):
        span = (time >= start) & (time < end)
        sound[span] = 0.3 * np.sin(2 * np.pi * frequency * time[span])
    found = find_beeps((sound * 32767).astype(np.int16))
    assert [(beep.start, beep.end) for beep in found] == [(0.5, 1.5), (4.25, 4.5), (9.5, 10)]
    assert [beep.frequency for beep in found] == pytest.approx([440, 1000, 440], abs=2)


def test_silence_has_no_beep() -> None:
    assert find_beeps(np.zeros(SAMPLE_RATE, np.int16)) == find_beeps(np.zeros(0, np.int16)) == []


def test_a_right_answer_has_no_fault() -> None:
    assert faults(case("mp4-aac_intact"), INTACT, 0) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "incomplete", "reason": "cut"},
        {"seconds": 9.8},
        {"delivered": 10.2},
        {"declared": 11.0},
        {"beeps": INTACT.beeps[:1]},
        {"beeps": (INTACT.beeps[0], Beep(6.1, 7.1, 440))},
        {"beeps": (INTACT.beeps[0], Beep(6.0, 7.2, 440))},
        {"beeps": (INTACT.beeps[0], Beep(6.0, 7.0, 1000))},
    ],
    ids=lambda changed: " ".join(changed),
)
def test_a_wrong_answer_has_a_fault(changed: dict[str, object]) -> None:
    assert faults(case("mp4-aac_intact"), replace(INTACT, **changed), 0)  # type: ignore[arg-type]


def test_a_cut_recording_is_incomplete_and_has_what_can_be_decoded() -> None:
    cut = case("mp4-aac_cut-50")
    answer = replace(INTACT, state="incomplete", delivered=5.0, reason="cut", beeps=INTACT.beeps[:1])
    assert faults(cut, answer, 5.0) == []
    assert faults(cut, replace(answer, state="complete", reason=None), 5.0)
    assert faults(cut, replace(answer, declared=None), 5.0)
    assert faults(cut, replace(answer, delivered=3.0), 5.0)
    assert faults(cut, Answer(422, "not_decodable"), 5.0)
    assert faults(cut, Answer(422, "not_decodable"), 0.0) == []


def test_a_cut_that_cannot_be_known_may_be_called_complete() -> None:
    answer = replace(INTACT, declared=None, delivered=5.0, beeps=INTACT.beeps[:1])
    assert faults(case("ac3-ac3_cut-50"), answer, 5.0) == []


def test_the_matrix_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 400
    assert len({str(one) for one in CASES}) == len(CASES)


def test_the_sample_has_every_container_and_every_variant() -> None:
    chosen = sample(CASES, SAMPLE)
    assert len(chosen) == SAMPLE
    assert {one.kind.container for one in chosen} == {container.name for container in CONTAINERS}
    assert {one.variant for one in chosen} == set(Variant)


def test_every_container_whose_cut_cannot_be_known_has_its_reason() -> None:
    assert {container.name for container in CONTAINERS if container.ending is Ending.OPEN} == OPEN_ENDINGS.keys()


def test_every_codec_is_used_and_every_omission_is_one() -> None:
    assert {kind.codec for kind in KINDS} == CODECS.keys()
    kinds = {str(kind): kind for kind in KINDS}
    assert [name for name, _ in LEFT_OUT if name not in kinds] == []
    assert all(left_out(kinds[name], variant) for name, variant in LEFT_OUT)
