"""No service waits for a complete file: the transcriber sends words while the extractor still sends audio."""

import asyncio
import json
import sys
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from pathlib import Path

import httpx
from tornado.testing import bind_unused_port

from tests.installation import Reelscribe
from tests.waiting import eventually

FIRST_BYTES = 8_000_000
"""Of 19 MB: four minutes of ten."""


class Dam:
    """A TCP relay to the extractor that lets only :data:`FIRST_BYTES` pass until ``rest_may_come``."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.rest_may_come = asyncio.Event()

    async def relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._forward(reader, upstream[1]), self._forward(upstream[0], writer))

    async def _forward(self, reader: StreamReader, writer: StreamWriter) -> None:
        passed = 0
        try:
            while data := await reader.read(1 << 16):
                passed += len(data)
                if passed > FIRST_BYTES:
                    await self.rest_may_come.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def test_the_first_segment_leaves_before_the_last_byte_of_audio_arrives(
    reelscribe: Reelscribe, tmp_path: Path
) -> None:
    dam = Dam(httpx.URL(reelscribe.extractor_url).port or 0)
    relay = await asyncio.start_server(dam.relay, "127.0.0.1", 0)
    socket, port = bind_unused_port()
    socket.close()
    (tmp_path / "config.cfg").write_text(
        f"[transcriber]\nport = {port}\nextractor_url = http://127.0.0.1:{relay.sockets[0].getsockname()[1]}\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "transcriber", "--config", tmp_path / "config.cfg", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as transcriber:
            await eventually(lambda: is_healthy(transcriber))
            segments = 0
            async with transcriber.stream("POST", "/transcribe", json={"savepath": "talks/ten_minutes.mp4"}) as events:
                async for line in events.aiter_lines():
                    event = json.loads(line)
                    if event["event"] == "segment":
                        segments += 1
                        dam.rest_may_come.set()
        assert event["event"] == "finished" and segments > 100
    finally:
        process.terminate()
        await process.wait()
        relay.close()


async def is_healthy(service: httpx.AsyncClient) -> bool:
    with suppress(httpx.TransportError):
        return (await service.get("/healthz")).status_code == 200
    return False
