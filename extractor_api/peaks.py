"""``POST /peaks``: the envelope of a waveform, in one decoding of the sound."""

import asyncio
import hashlib
import json
import uuid
from contextlib import aclosing

from extractor_api.extraction_handler import ExtractionHandler
from reelscribe.contracts.clips import ClipReceipt, Peaks, PeaksRequest
from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.media.audio import extract_audio
from reelscribe.media.clips.clip import preceded
from reelscribe.media.sound.wav import wav_header

USUAL_POINTS = 1000


class PeaksHandler(ExtractionHandler):
    """``POST /peaks``."""

    async def post(self) -> None:
        request = self.read_body(PeaksRequest)
        await self.within_limits(request.savepath, self._extract(request))

    async def _extract(self, request: PeaksRequest) -> None:
        from extractor_api.envelope import Envelope

        extraction_id, service = uuid.uuid4().hex, self.service
        wanted = ExtractAudioRequest(
            savepath=request.savepath,
            audio_format="wav",
            start=request.start,
            duration=request.duration,
            track=request.track,
            channels="all",
            allow_incomplete=request.allow_incomplete,
        )
        async with (
            service.stored_object(request.savepath, request.bucket_name) as stored,
            service.ffmpeg_slots.take(),
            extract_audio(service.ffmpeg, stored, wanted, "wav", extraction_id, service.limits) as extraction,
        ):
            head = await extraction.head(service.limits.start_timeout)
            sample_rate, channels, layout = extraction.shape
            points = None if request.per_second else request.points or USUAL_POINTS
            envelope = Envelope(channels, sample_rate, points, request.per_second)
            header = wav_header(sample_rate, channels, layout, None, room=False)
            async with aclosing(preceded(head[len(header) :], extraction.chunks())) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(envelope.add, chunk)
            sound = extraction.receipt()
        low, high = await asyncio.to_thread(envelope.result)
        seconds = envelope.samples / sample_rate
        peaks = Peaks(
            extraction_id=extraction_id,
            savepath=stored.savepath,
            bucket_name=stored.bucket_name,
            etag=stored.etag,
            start=request.start,
            seconds=seconds,
            samples=envelope.samples,
            sample_rate=sample_rate,
            channels=channels,
            per_second=float(request.per_second or len(low) / seconds),
            min=low,
            max=high,
            state="incomplete" if sound.state == "incomplete" else "complete",
            reason=sound.reason,
            remarks=sound.remarks,
        )
        body = await asyncio.to_thread(lambda: json.dumps(peaks.model_dump(mode="json")).encode())
        self.record(
            ClipReceipt(
                extraction_id=extraction_id,
                kind="peaks",
                savepath=stored.savepath,
                bucket_name=stored.bucket_name,
                etag=stored.etag,
                last_modified=stored.last_modified,
                size=stored.size,
                state=peaks.state,
                reason=peaks.reason,
                asked_seconds=request.duration,
                seconds=seconds,
                begins=request.start,
                samples=envelope.samples,
                bytes=len(body),
                sha256=hashlib.sha256(body).hexdigest(),
                track=sound.track,
                track_choice=sound.track_choice,
                remarks=sound.remarks,
            )
        )
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Extraction-Id", extraction_id)
        self.finish(body)
