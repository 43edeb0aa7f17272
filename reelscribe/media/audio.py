"""One extraction: its audio while ffmpeg decodes it, the verdict on what came out, and its receipt."""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from reelscribe.contracts.extractor import MP3_SAMPLE_RATES, AudioFormat, ExtractAudioRequest, ExtractionReceipt
from reelscribe.contracts.messages import ErrorObject
from reelscribe.errors import NoAudioInTime, ServiceError, UnsupportedFormat
from reelscribe.media.commands import MOST_CHANNELS, Encoding, Reading, Sound, encode_command
from reelscribe.media.completeness import declared_seconds
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.selection import Selection, select_track
from reelscribe.media.sound.beginning import beginning_with_pictures
from reelscribe.media.sound.copied_track import CopiedTrack
from reelscribe.media.sound.decoded_track import Clock, DecodedTrack, Part
from reelscribe.media.sound.encoder import Encoder, used_bitrate
from reelscribe.media.sound.wav import wav_header
from reelscribe.media.stored_object import StoredObject
from reelscribe.media.structure.facts import Structure
from reelscribe.media.structure.mpeg.first_timestamp import first_timestamp
from reelscribe.media.structure.mpeg.frames import amr_seconds
from reelscribe.media.structure.reading import as_input, read_structure
from reelscribe.media.verdict import Outcome, Verdict, judge, no_room
from reelscribe.settings.extractor import ExtractionSection
from reelscribe.temporary_files import write_all

log = logging.getLogger(__name__)

HEAD_BYTES = 4096
"""Kept until the status is decided: longer than any audio header, so that it is known to hold sound."""

LATE_TRACKS = ("mpegts", "mpeg", "flv")
"""Containers in which a track may appear that the beginning of the file does not mention."""

CLOCKS: dict[str, Clock] = {"mp4": "exact", "matroska": "rounded", "asf": "rounded"}
"""How sought containers keep time; others count samples."""

OWN_CLOCKS = ("ogg", "aac")
"""Containers in which each of several joined recordings has a clock of its own."""


@asynccontextmanager
async def extract_audio(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    request: ExtractAudioRequest,
    encoding: Encoding,
    extraction_id: str,
    limits: ExtractionSection,
    output: int | None = None,
    origin: float | None = None,
) -> AsyncIterator["AudioExtraction"]:
    """Extract audio from an open object; leaving the block ends ffmpeg.

    Args:
        ffmpeg: the binary.
        stored: the object to read.
        request: what to make of it.
        encoding: of the audio.
        extraction_id: of the receipt.
        limits: ``[extraction]`` of config.cfg.
        output: descriptor of a file to write to; without it, the audio comes as chunks.
        origin: timestamp at which the recording begins, in seconds; without it, ffmpeg's own.

    Raises:
        NoAudioTrack, NotDecodable, NoAudioInTime: there is no track to extract.
    """
    structure = await asyncio.to_thread(read_structure, stored)
    stored = as_input(stored, structure)
    selection = await select_track(ffmpeg, stored, structure, request.track, limits.start_timeout)
    extraction = AudioExtraction(ffmpeg, stored, request, encoding, extraction_id, limits, structure, selection, output)
    extraction.origin = origin
    try:
        yield extraction
    finally:
        await extraction.close()


class AudioExtraction:
    """The audio of one extraction, and what is known of it; :func:`extract_audio` starts one."""

    def __init__(
        self,
        ffmpeg: FFmpeg,
        stored: StoredObject,
        request: ExtractAudioRequest,
        encoding: Encoding,
        extraction_id: str,
        limits: ExtractionSection,
        structure: Structure,
        selection: Selection,
        output: int | None,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._stored = stored
        self._request = request
        self._encoding = encoding
        self._format: AudioFormat = "source" if encoding == "matroska" or encoding == "adts" else encoding
        self._id = extraction_id
        self._limits = limits
        self._structure = structure
        self._selection = selection
        self._output = output
        self.origin: float | None = None
        self._cpu_seconds = limits.max_duration * (os.cpu_count() or 1)
        self._decoded: DecodedTrack | None = None
        self._copied: CopiedTrack | None = None
        self._encoder: Encoder | None = None
        self._verdict: Verdict | None = None
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._ended = False
        self._body = self._make_body()

    @property
    def declared_seconds(self) -> float | None:
        """Length of the requested part as the container declares it."""
        return declared_seconds(self._structure, self._selection.declared, self._request.start, self._request.duration)

    @property
    def shape(self) -> tuple[int, int, str | None]:
        """Sample rate, channels and layout of decoded sound, once its head is known."""
        assert self._decoded
        return self._decoded.sample_rate, self._decoded.channels, self._decoded.layout

    @property
    def track(self) -> int:
        """Which audio track it is of, as in a request."""
        return self._selection.track

    @property
    def begins(self) -> float | None:
        """Time in the recording of the first sound in the body, in seconds; None before it is known."""
        return self._copied.begins if self._copied else self._request.start

    async def head(self, timeout: float) -> bytes:
        """The first bytes. If the audio ends within them, they are the complete body, and it has been judged.

        Args:
            timeout: longest wait, in seconds.

        Raises:
            NoAudioInTime: ffmpeg made no byte in time.
            NoAudioTrack, NotDecodable, PastTheEnd, IncompleteRecording: why there is no audio to send.
        """
        head = b""
        try:
            while len(head) < HEAD_BYTES and not self._ended:
                async with asyncio.timeout(timeout):
                    head += await self._read()
        except TimeoutError:
            raise self._too_late(timeout) from None
        if self._ended:
            await self._judge()
        return head

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The rest of the body, then the verdict.

        Raises:
            IncompleteRecording, NotDecodable: the body so far must not look complete.
        """
        if self._ended:
            return
        while chunk := await self._read():
            yield chunk
        await self._judge()

    async def finish(self, timeout: float) -> None:
        """Wait until everything is written to ``output``, and judge it.

        Args:
            timeout: longest wait for the first sound, in seconds.

        Raises:
            NoAudioInTime: ffmpeg made no sound in time.
            NoRoom, NoAudioTrack, NotDecodable, PastTheEnd, IncompleteRecording: the file is of no use.
        """
        writing = asyncio.create_task(self._read_all())
        try:
            await asyncio.wait({writing}, timeout=timeout)
            if not writing.done() and not self._outcome().delivered:
                raise self._too_late(timeout)
            await writing
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        await self._judge()

    async def close(self) -> None:
        """End ffmpeg."""
        await self._body.aclose()

    def receipt(self, failure: ServiceError | None = None) -> ExtractionReceipt:
        """What was delivered. ``failure`` says why the body was cut; without it, the extraction has ended by itself."""
        outcome = self._outcome()
        reason = self._verdict.reason if self._verdict else None
        damaged = self._verdict.damaged if self._verdict else 0.0
        timeline = self._decoded.timeline if self._decoded else None
        return ExtractionReceipt(
            extraction_id=self._id,
            savepath=self._stored.savepath,
            bucket_name=self._stored.bucket_name,
            etag=self._stored.etag,
            last_modified=self._stored.last_modified,
            size=self._stored.size,
            audio_format=self._format,
            state="failed" if failure else ("incomplete" if reason else "complete"),
            reason=failure.message if failure else reason,
            error=ErrorObject.model_validate(failure.as_json()) if failure else None,
            declared_seconds=self.declared_seconds,
            delivered_seconds=self._copied.seconds if self._copied else outcome.delivered - damaged,
            begins=self.begins,
            samples=timeline.counts.delivered if timeline else None,
            decoded_samples=timeline.counts.decoded if timeline else None,
            discarded_samples=timeline.counts.discarded if timeline else None,
            added_samples=timeline.counts.added if timeline else None,
            bitrate_kbps=used_bitrate(self._encoding, self._request, self._decoded.sample_rate if self._decoded else 0),
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            decode_warnings=outcome.errors,
            track=self._selection.track,
            track_choice=self._selection.why,
            remarks=self._verdict.remarks if self._verdict else [],
        )

    def _too_late(self, timeout: float) -> NoAudioInTime:
        savepath = self._stored.savepath
        return NoAudioInTime(
            f"{savepath}: ffmpeg made no audio within {timeout:g} s; try again, or raise start_timeout"
        )

    async def _read_all(self) -> None:
        while await self._read():
            pass

    async def _read(self) -> bytes:
        chunk = await anext(self._body, b"")
        self._digest.update(chunk)
        self._bytes += len(chunk)
        self._ended = not chunk
        return chunk

    async def _make_body(self) -> AsyncGenerator[bytes, None]:
        log.info("%s: ffmpeg started (%s)", self._stored.savepath, self._encoding)
        origin = await asyncio.to_thread(first_timestamp, self._stored)
        with_pictures = await self._beginning_with_pictures() if origin is None and self.origin is None else None
        if self._format == "source":
            reading = replace(self._reading, own_clock=with_pictures is not None, origin=with_pictures)
            self._copied = CopiedTrack(
                self._ffmpeg, self._stored, self._sound, reading, origin=origin, cpu_seconds=self._cpu_seconds
            )
            body = self._copied.chunks(self._request, self._encoding, self._output)
        else:
            body = self._start_decoding(with_pictures if origin is None else origin)
        async with aclosing(body) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _beginning_with_pictures(self) -> float | None:
        search = self._selection.search
        return await beginning_with_pictures(
            self._ffmpeg, self._stored, self._structure, search, cpu_seconds=self._cpu_seconds
        )

    def _start_decoding(self, origin: float | None) -> AsyncGenerator[bytes, None]:
        track, structure, request = self._selection.declared, self._structure, self._request
        part = Part(
            start=request.start,
            duration=request.duration,
            seekable=structure.seekable,
            clock="samples" if track and track.counts_samples else CLOCKS.get(structure.container, "samples"),
            origin=origin if self.origin is None else self.origin,
            exact_origin=self.origin is not None,
            declared=structure.seconds,
            holes=track.holes if track else (),
            joined=structure.joined and structure.container in OWN_CLOCKS,
            may_appear_late=structure.container in LATE_TRACKS,
            search=self._selection.search,
            mono=bool(track and track.channels == 1),
            ends=self._end_of_pauses,
        )
        self._decoded = DecodedTrack(self._ffmpeg, self._stored, self._sound, part, cpu_seconds=self._cpu_seconds)
        if self._encoding == "wav":
            return self._wav() if self._output is None else self._write_wav(self._output)
        url = "pipe:1" if self._output is None else f"file:/proc/self/fd/{self._output}"
        command = encode_command(self._ffmpeg, self._encoding, request, self._limits.mp3_compression_level, url)
        self._encoder = Encoder(self._ffmpeg, command, cpu_seconds=self._cpu_seconds, output=self._output)
        return self._encoder.encode(self._wav())

    def _end_of_pauses(self) -> float | None:
        track = self._selection.declared
        if not track or not track.pauses or self._structure.cut:
            return None
        return amr_seconds(self._stored) if self._structure.container == "amr" else track.seconds

    async def _wav(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._samples()) as samples:
            header = False
            async for chunk in samples:
                if not header:
                    header = True
                    self._check_channels()
                    yield self._header(None)
                yield chunk

    async def _write_wav(self, output: int) -> AsyncGenerator[bytes, None]:
        """Write to a file, with exact sizes in the end; yields nothing."""
        position = 0
        async with aclosing(self._samples()) as samples:
            async for chunk in samples:
                position = position or len(self._header(None))
                await asyncio.to_thread(write_all, output, chunk, position, no_room(self._stored.savepath))
                position += len(chunk)
        if position:
            os.pwrite(output, self._header(position - len(self._header(None))), 0)
        return
        yield b""

    def _samples(self) -> AsyncGenerator[bytes, None]:
        assert self._decoded
        return self._decoded.chunks()

    def _header(self, data_bytes: int | None) -> bytes:
        track = self._decoded
        assert track
        return wav_header(track.sample_rate, track.channels, track.layout, data_bytes, room=self._output is not None)

    def _check_channels(self) -> None:
        """
        Raises:
            UnsupportedFormat: there are more than the encoding can hold.
        """
        assert self._decoded
        channels, most = self._decoded.channels, MOST_CHANNELS.get(self._encoding)
        if most and channels > most:
            raise UnsupportedFormat(
                f"{self._stored.savepath} has {channels} channels, and {self._encoding} can hold {most}; "
                "take wav, or mix them down with channels = 1, or name one with channel"
            )

    @property
    def _sound(self) -> Sound:
        declared, request = self._selection.declared, self._request
        channels = declared.channels if declared and declared.microphones else None
        return Sound(
            stream=self._selection.stream,
            sample_rates=(request.sample_rate,) if request.sample_rate else self._encodable_rates,
            channels=None if request.channels == "all" else request.channels,
            at_most_stereo=self._encoding == "mp3" and request.channels != "all",
            microphones=channels,
            channel=request.channel,
        )

    @property
    def _encodable_rates(self) -> tuple[int, ...]:
        return MP3_SAMPLE_RATES if self._encoding == "mp3" else ()

    @property
    def _reading(self) -> Reading:
        seek = self._request.start if self._structure.seekable and self._request.start else None
        return Reading(seek, self._selection.search)

    def _outcome(self) -> Outcome:
        source = self._decoded or self._copied
        timeline = self._decoded.timeline if self._decoded else None
        if timeline and self._decoded:
            delivered = timeline.counts.delivered / self._decoded.sample_rate
        else:
            delivered = self._copied.seconds + self._copied.silence if self._copied and self._copied.seconds else 0.0
        return Outcome(
            delivered=delivered,
            exit_code=source.exit_code if source else 0,
            encoder_exit_code=self._encoder.exit_code if self._encoder else 0,
            errors=source.errors if source else 0,
            messages=[*(source.messages if source else ()), *(self._encoder.messages if self._encoder else ())],
            decoded=self._decoded,
        )

    async def _judge(self) -> None:
        self._verdict = await judge(
            self._ffmpeg,
            self._stored,
            self._request,
            self._structure,
            self._selection,
            self._outcome(),
            self._output,
            cpu_seconds=self._cpu_seconds,
        )
        self._verdict.check(self._stored.savepath, self._request.allow_incomplete)
