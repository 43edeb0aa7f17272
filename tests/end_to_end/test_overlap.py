"""No service waits for a complete file: the transcriber sends words while the extractor still sends audio."""

import asyncio
import json
import sys
import time
from asyncio import StreamReader, StreamWriter
from pathlib import Path

import httpx
from tornado.testing import bind_unused_port

from tests.installation import Reelscribe

BYTES_PER_SECOND = 2_000_000


class Throttle:
    """A TCP relay to the extractor with a limited rate, which records when the last audio passed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.last_audio_at = 0.0

    async def relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._forward(reader, upstream[1]), self._forward(upstream[0], writer, throttled=True))

    async def _forward(self, reader: StreamReader, writer: StreamWriter, throttled: bool = False) -> None:
        try:
            while data := await reader.read(1 << 16):
                if throttled:
                    await asyncio.sleep(len(data) / BYTES_PER_SECOND)
                    if len(data) > 10_000:
                        self.last_audio_at = time.monotonic()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def test_the_first_segment_leaves_before_the_last_byte_of_audio_arrives(
    reelscribe: Reelscribe, tmp_path: Path
) -> None:
    throttle = Throttle(httpx.URL(reelscribe.extractor_url).port or 0)
    relay = await asyncio.start_server(throttle.relay, "127.0.0.1", 0)
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
            await _healthy(transcriber)
            segments_at = []
            async with transcriber.stream("POST", "/transcribe", json={"savepath": "talks/ten_minutes.mp4"}) as events:
                async for line in events.aiter_lines():
                    event = json.loads(line)
                    if event["event"] == "segment":
                        segments_at.append(time.monotonic())
        assert event["event"] == "finished" and len(segments_at) > 100
        assert segments_at[0] < throttle.last_audio_at - 2, "seconds earlier, not by chance"
    finally:
        process.terminate()
        await process.wait()
        relay.close()


async def _healthy(service: httpx.AsyncClient) -> None:
    for _ in range(300):
        try:
            if (await service.get("/healthz")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("the transcriber did not start")
