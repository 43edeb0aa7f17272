"""What an extractor answers for a case, and whether that is right."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np

from tests.media_matrix.beeps import SAMPLE_RATE, Beep, find_beeps
from tests.media_matrix.kinds import BYTES_ONLY, Ending
from tests.media_matrix.variants import MAY_STOP, SECONDS, Case, Certainty, Right

BODY = {"audio_format": "wav", "sample_rate": SAMPLE_RATE, "channels": 1, "allow_incomplete": True}
TOLERATED_SECONDS = 0.05
"""For the place of a beep; twice that for the length, and as much again for each joint."""
TOLERATED_HZ = 20.0
TOLERATED_CUT_SECONDS = 0.5
NOTHING_SECONDS = 0.1
"""Less than this is no audio."""
UNREADABLE = {"not_decodable", "no_audio_track"}


@dataclass(frozen=True)
class Answer:
    """The answer to a request for a recording, with its receipt.

    Attributes:
        status, code: of the response; the code of an error, else None.
        state, declared, delivered, reason: of the receipt.
        seconds: of audio in the body.
        beeps: in the body.
        remarks: of the receipt.
    """

    status: int
    code: str | None = None
    state: str | None = None
    declared: float | None = None
    delivered: float = 0.0
    reason: str | None = None
    seconds: float = 0.0
    beeps: tuple[Beep, ...] = ()
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.code:
            return f"{self.status} {self.code}"
        declared = "no length" if self.declared is None else f"{self.declared:.2f} s"
        beeps = " ".join(f"{beep.start:.2f}-{beep.end:.2f}" for beep in self.beeps)
        hertz = {round(beep.frequency) for beep in self.beeps}
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.state}, {declared} declared, {self.delivered:.2f} s delivered, beeps {beeps} {hertz}{reason}"


async def ask(extractor: httpx.AsyncClient, savepath: str) -> Answer:
    """Have a recording extracted as 16 kHz mono."""
    body = bytearray()
    async with extractor.stream("POST", "/extract-audio", json={"savepath": savepath, **BODY}) as response:
        if response.status_code != 200:
            await response.aread()
            return Answer(response.status_code, response.json()["error"]["code"])
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
        except httpx.RemoteProtocolError:
            pass  # the receipt says why the stream was cut
    receipt = (await extractor.get(f"/extractions/{response.headers['X-Extraction-Id']}")).json()
    samples = np.frombuffer(samples_of(bytes(body)), np.int16)
    return Answer(
        status=200,
        state=receipt["state"],
        declared=receipt["declared_seconds"],
        delivered=receipt["delivered_seconds"],
        reason=receipt["reason"],
        remarks=tuple(receipt["remarks"]),
        seconds=len(samples) / SAMPLE_RATE,
        beeps=tuple(find_beeps(samples)),
    )


def samples_of(wav: bytes) -> bytes:
    """What follows the header of the data chunk, whose length a stream leaves open."""
    at = 12
    while at + 8 <= len(wav):
        name, length = struct.unpack_from("<4sI", wav, at)
        if name == b"data":
            rest = wav[at + 8 :]
            return rest[: len(rest) // 2 * 2]
        at += 8 + length + length % 2
    return b""


def faults(case: Case, answer: Answer, held_seconds: float) -> list[str]:
    """What is wrong with an answer; empty if it is right.

    Args:
        case: what was asked for.
        answer: to it.
        held_seconds: for a cut recording, how much of its audio can be decoded.
    """
    if case.variant.cut_percent:
        return list(_faults_of_a_cut(case, answer, held_seconds))
    if answer.state == "incomplete" and answer.reason and (str(case.kind), case.variant) in MAY_STOP:
        return []
    return list(_faults_of_a_complete_one(case.right, answer))


def _faults_of_a_complete_one(right: Right, answer: Answer) -> Iterator[str]:
    assert right.seconds is not None
    expected = f"complete, {right.seconds:.2f} s, beeps at {right.beeps} of {right.frequency:.0f} Hz"
    if answer.state != "complete":
        yield f"not complete; expected: {expected}"
        return
    tolerance = TOLERATED_SECONDS * (1 + right.joints)
    for name, seconds in (("body", answer.seconds), ("receipt", answer.delivered)):
        if not -2 * tolerance <= seconds - right.seconds <= 2 * tolerance + right.padding:
            yield f"{seconds:.2f} s in the {name}; expected: {expected}"
    if answer.declared is not None and not _may_be_declared(right, answer.declared):
        yield f"{answer.declared:.2f} s declared; expected: {expected}"
    found = answer.beeps
    if len(found) != len(right.beeps) or any(
        abs(beep.start - start) > tolerance
        or abs(beep.end - start - 1) > tolerance
        or abs(beep.frequency - right.frequency) > TOLERATED_HZ
        for beep, start in zip(found, right.beeps, strict=True)
    ):
        yield f"beeps are out of place; expected: {expected}"


def _may_be_declared(right: Right, declared: float) -> bool:
    assert right.seconds is not None
    allowed = [seconds for seconds in (right.seconds, right.declared) if seconds is not None]
    allowed += [right.seconds / 2] if right.joints else []
    return any(abs(declared - seconds) <= TOLERATED_CUT_SECONDS for seconds in allowed)


def _faults_of_a_cut(case: Case, answer: Answer, held_seconds: float) -> Iterator[str]:
    if answer.status != 200:
        if answer.code not in UNREADABLE or held_seconds >= NOTHING_SECONDS:
            yield f"refused; expected: {case.right.certainty}, {held_seconds:.2f} s"
        return
    states = {"incomplete"} if case.right.certainty is Certainty.INCOMPLETE else {"incomplete", "complete"}
    if answer.state not in states or (answer.state == "incomplete") != bool(answer.reason):
        yield f"{answer.state}; expected: {' or '.join(sorted(states))}, with the reason"
    if abs(answer.delivered - held_seconds) > TOLERATED_CUT_SECONDS:
        yield f"{answer.delivered:.2f} s delivered; expected: {held_seconds:.2f} s"
    if (
        case.kind.ending is Ending.STATED
        and str(case.kind) not in BYTES_ONLY
        and abs((answer.declared or 0) - SECONDS) > TOLERATED_CUT_SECONDS
    ):
        yield f"{answer.declared} s declared; expected: {SECONDS:.0f} s"
    for beep, start in zip(answer.beeps, case.right.beeps, strict=False):
        if abs(beep.start - start) > TOLERATED_SECONDS or beep.end > start + 1 + TOLERATED_SECONDS:
            yield f"a beep is out of place; expected: {start} s"
