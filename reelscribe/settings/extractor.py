"""The extractor's settings, with their defaults; the comments of config.cfg describe each key."""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from reelscribe.settings.fields import AnyPath, BucketName, CommaSeparated, OptionalPath, Port, Seconds
from reelscribe.settings.shared import Listener, Section


class ServerSection(Listener):
    """``[server]``: the extractor's listener."""

    port: Port = 8888


class PathsSection(Section):
    """``[paths]``: where the extractor finds the bucket."""

    temp_dir: AnyPath = Path(tempfile.gettempdir())
    default_audio_format: Literal["mp3", "wav", "flac", "source"] = "mp3"
    minio_data_path: AnyPath = Path("/data/minio")
    bucket_name: BucketName = "videos"
    buckets: Annotated[tuple[BucketName, ...], CommaSeparated] = ()


class ExtractionSection(Section):
    """``[extraction]``: the extractor's ffmpeg and its limits (all times in seconds)."""

    ffmpeg: OptionalPath = None
    max_ffmpeg: int = Field(default=max(2, os.cpu_count() or 2), ge=1, le=256)
    queue_length: int = Field(default=32, ge=0, le=10_000)
    start_timeout: Seconds = 30
    stall_timeout: Annotated[float, Field(ge=30, le=7 * 86400)] = 60
    max_duration: Seconds = 86400
    result_ttl: Seconds = 600
    max_downloads: int = Field(default=64, ge=1, le=10_000)
    max_decoders: int = Field(default=max(2, (os.cpu_count() or 2) // 2), ge=1, le=256)
    max_picture_pixels: int = Field(default=8192 * 4320, ge=1 << 16, le=1 << 28)
    max_samples: int = Field(default=100_000, ge=1, le=10_000_000)
    max_tar_bytes: int = Field(default=64 << 30, ge=1 << 20, le=1 << 50)
    mp3_compression_level: int = Field(default=7, ge=0, le=9)
