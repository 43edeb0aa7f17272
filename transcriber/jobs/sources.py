"""The audio of a transcription: of a recording in the bucket, by way of the extractor, or of an uploaded file."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from reelscribe.contracts.extractor import ExtractAudioRequest, ExtractionReceipt
from reelscribe.contracts.transcriber import TranscribeFields
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.media.audio import AudioExtraction, extract_audio
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.stored_object import open_file
from reelscribe.settings.extractor import ExtractionSection
from transcriber.audio.decoding import AudioStream, StreamFormat
from transcriber.audio.vad import SAMPLE_RATE

TO_EXTRACT = {"track", "channel", "start", "allow_incomplete"}
"""Fields of a request to transcribe that say what to extract."""


class Upload(NamedTuple):
    """A file that has arrived.

    Attributes:
        name: given by the client, safe to show.
        descriptor: open for reading, of a file without a name.
        sha256: of its content.
    """

    name: str
    descriptor: int
    sha256: str


class AudioSource(Protocol):
    """A recording whose audio can be extracted.

    Attributes:
        name: for the log and for people.
        audio_format: of the stream.
    """

    @property
    def name(self) -> str: ...

    @property
    def audio_format(self) -> StreamFormat: ...

    def open(self, request: TranscribeFields) -> AbstractAsyncContextManager[AudioStream]:
        """The audio that a request asks for; leaving the block ends its extraction."""


@dataclass(frozen=True)
class StoredRecording:
    """A recording of the bucket."""

    extractor: ExtractorClient
    name: str
    bucket_name: str | None
    audio_format: StreamFormat

    def open(self, request: TranscribeFields) -> AbstractAsyncContextManager[AudioStream]:
        """
        Raises:
            RemoteError, PeerUnreachable: see :meth:`reelscribe.http.peers.extractor_client.ExtractorClient.extract`.
        """
        return self.extractor.extract(_extraction(request, self.name, self.audio_format, self.bucket_name))


@dataclass(frozen=True)
class UploadedFile:
    """A file on our own disk, read in the same way as the extractor reads files of the bucket."""

    upload: Upload
    ffmpeg: FFmpeg
    limits: ExtractionSection
    audio_format: StreamFormat = "wav"

    @property
    def name(self) -> str:
        return self.upload.name

    @asynccontextmanager
    async def open(self, request: TranscribeFields) -> AsyncIterator[AudioStream]:
        """
        Raises:
            ServiceError: see :meth:`reelscribe.media.audio.AudioExtraction.head`.
        """
        stored = open_file(self.upload.descriptor, self.name, origin="upload", etag=self.upload.sha256)
        wanted = _extraction(request, self.name, self.audio_format)
        async with extract_audio(self.ffmpeg, stored, wanted, "wav", uuid.uuid4().hex, self.limits) as extraction:
            yield _LocalExtraction(extraction, await extraction.head(self.limits.start_timeout))


class _LocalExtraction:
    def __init__(self, extraction: AudioExtraction, head: bytes) -> None:
        self._extraction = extraction
        self._head = head
        self.receipt: ExtractionReceipt | None = None

    @property
    def etag(self) -> str:
        return self._extraction.receipt().etag

    @property
    def declared_seconds(self) -> float | None:
        return self._extraction.declared_seconds

    @property
    def begins(self) -> float | None:
        return self._extraction.begins

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._head
        async for chunk in self._extraction.chunks():
            yield chunk
        self.receipt = self._extraction.receipt()


def _extraction(
    request: TranscribeFields, savepath: str, audio_format: StreamFormat, bucket_name: str | None = None
) -> ExtractAudioRequest:
    as_stored = audio_format == "source" and request.channel is None
    return ExtractAudioRequest(
        **request.model_dump(include=TO_EXTRACT),
        savepath=savepath,
        bucket_name=bucket_name,
        audio_format="wav" if audio_format == "source" and not as_stored else audio_format,
        sample_rate=None if as_stored else SAMPLE_RATE,
        channels=None if as_stored else 1,
    )
