"""A scripted extractor: sends the speech fixtures with honest receipts, or with the fault a test asks for."""

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from bench.recordings import samples
from reelscribe.contracts.extractor import ExtractAudioRequest, ExtractionReceipt
from reelscribe.errors import ServiceError

SPEECH = Path(__file__).parents[1] / "speech"
SAMPLE_RATE = 16_000
PLACEHOLDER = 0xFFFFFFFF


@cache
def recording(name: str) -> npt.NDArray[np.float32]:
    """A speech fixture at 16 kHz."""
    return samples(SPEECH / name)


def wav(samples: bytes) -> bytes:
    """What ffmpeg writes to a pipe: placeholder sizes, and a LIST chunk of an odd length."""
    note = b"INFOISFT" + struct.pack("<I", 13) + b"Lavf62.12.102"
    return b"".join(
        (
            struct.pack("<4sI4s", b"RIFF", PLACEHOLDER, b"WAVE"),
            struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16),
            struct.pack("<4sI", b"LIST", len(note)) + note + b"\0",
            struct.pack("<4sI", b"data", PLACEHOLDER) + samples,
        )
    )


@dataclass
class Script:
    """What this extractor does, and what it saw."""

    chunk_bytes: int = 65_536
    pause_seconds: float = 0.0
    """Before each chunk but the first."""
    delay_seconds: float = 0.0
    """Before the answer."""
    cut_after_bytes: int | None = None
    hold: asyncio.Event | None = None
    """The second half of the body is sent only when this is set; each request keeps the one it began with."""
    refuse: ServiceError | None = None
    receipt_changes: dict[str, Any] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    """Instead of the WAV, by savepath."""
    requests: list[ExtractAudioRequest] = field(default_factory=list)
    receipts: dict[str, ExtractionReceipt] = field(default_factory=dict)
    sent_bytes: int = 0
    left_early: int = 0
    done: int = 0


class ExtractAudio(RequestHandler):
    def initialize(self, script: Script) -> None:
        self.script = script

    async def post(self) -> None:
        script = self.script
        request = ExtractAudioRequest.model_validate_json(self.request.body)
        script.requests.append(request)
        hold = script.hold
        await asyncio.sleep(script.delay_seconds)
        if script.refuse:
            self.set_status(script.refuse.status)
            self.finish({"error": script.refuse.as_json()})
            return
        samples = recording(request.savepath)[round(request.start * SAMPLE_RATE) :]
        audio = (samples * 32768).astype("<i2").tobytes()
        body = script.bodies.get(request.savepath) or wav(audio)
        receipt = ExtractionReceipt(
            extraction_id=f"extraction{len(script.requests)}",
            savepath=request.savepath,
            bucket_name="videos",
            etag="etag1",
            last_modified=datetime(2026, 1, 31, 9, 5, tzinfo=UTC),
            size=1000,
            audio_format=request.audio_format or "wav",
            state="complete",
            declared_seconds=len(samples) / SAMPLE_RATE,
            delivered_seconds=len(samples) / SAMPLE_RATE,
            samples=len(samples),
            bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            decode_warnings=0,
        ).model_copy(update=script.receipt_changes)
        script.receipts[receipt.extraction_id] = receipt
        self.set_header("Content-Type", "audio/wav")
        self.set_header("X-Extraction-Id", receipt.extraction_id)
        self.set_header("X-Object-ETag", receipt.etag)
        self.set_header("X-Declared-Seconds", f"{receipt.declared_seconds:.3f}")
        try:
            await self.send(body, hold)
        except StreamClosedError:
            script.left_early += 1

    async def send(self, body: bytes, hold: asyncio.Event | None) -> None:
        script = self.script
        for start in range(0, len(body), script.chunk_bytes):
            if start:
                await asyncio.sleep(script.pause_seconds)
            if hold and start > len(body) // 2:
                await hold.wait()
            if script.cut_after_bytes is not None and start >= script.cut_after_bytes:
                self.detach().close()
                return
            self.write(body[start : start + script.chunk_bytes])
            await self.flush()
            script.sent_bytes = start + script.chunk_bytes
        script.done += 1


class Receipt(RequestHandler):
    def initialize(self, script: Script) -> None:
        self.script = script

    def get(self, extraction_id: str) -> None:
        self.finish(self.script.receipts[extraction_id].model_dump(mode="json"))


class Health(RequestHandler):
    def get(self) -> None:
        self.finish({"machine": "extractor-api", "status": "ok"})


@asynccontextmanager
async def extractor(script: Script) -> AsyncIterator[str]:
    """Run it; its URL."""
    socket, port = bind_unused_port()
    routes: list[tuple[str, type[RequestHandler], dict[str, Any]]] = [
        ("/extract-audio", ExtractAudio, {"script": script}),
        (r"/extractions/(\w+)", Receipt, {"script": script}),
        ("/healthz", Health, {}),
    ]
    server = HTTPServer(Application(routes, log_function=lambda _: None))
    server.add_socket(socket)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await server.close_all_connections()
