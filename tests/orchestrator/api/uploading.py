"""What the tests of uploads send."""

import random
from typing import Any

import httpx

TALK = random.Random(1).randbytes(1_500_000)
BYTES = "application/octet-stream"


async def announced(
    api: httpx.AsyncClient, savepath: str = "talks/a.mp4", content: bytes = TALK, **options: Any
) -> Any:
    answer = await api.post("/api/uploads", json={"savepath": savepath, "bytes": len(content), **options})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def send(api: httpx.AsyncClient, upload: Any, content: bytes, offset: int) -> httpx.Response:
    headers = {"Upload-Offset": str(offset), "Content-Type": BYTES}
    return await api.patch(upload["upload"], content=content, headers=headers)


async def offset(api: httpx.AsyncClient, upload: Any) -> int:
    answer = await api.head(upload["upload"])
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


async def done(api: httpx.AsyncClient, upload: Any, **query: Any) -> httpx.Response:
    return await api.post(f"{upload['upload']}/done", params=query)
