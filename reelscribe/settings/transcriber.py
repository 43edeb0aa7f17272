"""The transcriber's settings, with their defaults; the comments of config.cfg describe each key."""

from typing import Annotated, Literal

from pydantic import Field

from reelscribe.settings.fields import CommaSeparated, GpuIndex, Port, Url
from reelscribe.settings.shared import Listener


class TranscriberSection(Listener):
    """``[transcriber]``: the transcriber's listener, model and capacity."""

    port: Port = 8889
    extractor_url: Url = "http://127.0.0.1:8888"
    audio_format: Literal["wav", "flac", "source"] = "wav"
    model: str = Field(default="mini", min_length=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: Literal[
        "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
    ] = "auto"
    device_index: Annotated[tuple[GpuIndex, ...], CommaSeparated, Field(min_length=1)] = (0,)
    cpu_threads: int = Field(default=0, ge=0, le=1024)
    batch_size: int = Field(default=8, ge=1, le=256)
    audio_context: Literal["full", "fitted"] = "fitted"
    max_jobs: int = Field(default=4, ge=1, le=1000)
    queue_length: int = Field(default=64, ge=0, le=10_000)
    stall_seconds: float = Field(default=900, ge=0, le=30 * 86400)
    idle_unload_seconds: float = Field(default=0, ge=0, le=30 * 86400)
    max_upload_bytes: int = Field(default=2 << 30, ge=1, le=1 << 50)
