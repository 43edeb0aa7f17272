"""A multipart/form-data body while it arrives: its file is written to disk, its fields are kept in memory."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from pathlib import PurePath

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from reelscribe.errors import BadRequest, BodyTooLarge, NoRoom
from reelscribe.temporary_files import TemporaryFolder
from transcriber.jobs.sources import Upload

FILE = "file"
FIELDS_BYTES = 64 << 10
"""Longest sum of all fields and part headers."""
WRITE_BYTES = 1 << 20
MAX_NAME_LENGTH = 255

Fields = dict[str, list[bytes]]


class Form:
    """Parses the body with :meth:`feed`, returns what it held with :meth:`finish`; :meth:`close` frees the disk.

    Args:
        content_type: header of the request.
        folder: for the file.
        max_file_bytes: a larger file is refused.
        length: of the body in bytes; 0 if it is not declared.

    Raises:
        BadRequest: the header names no boundary.
        NoRoom: the disk cannot hold that much.
    """

    def __init__(self, content_type: str, folder: TemporaryFolder, max_file_bytes: int, length: int) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not 0 < len(boundary) <= 70:
            raise BadRequest("the Content-Type multipart/form-data needs a boundary of 1 to 70 characters")
        callbacks: dict[str, Callable[..., None]] = {
            name: getattr(self, f"_{name}")
            for name in (
                *("on_part_begin", "on_header_field", "on_header_value", "on_header_end"),
                *("on_headers_finished", "on_part_data", "on_part_end", "on_end"),
            )
        }
        self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        self._file = folder.create(length, "try again later, or send a smaller file")
        self._max_file_bytes = max_file_bytes
        self._fields: Fields = {}
        self._small_bytes = 0
        self._file_name: str | None = None
        self._file_bytes = 0
        self._digest = hashlib.sha256()
        self._unwritten = bytearray()
        self._descriptor: int | None = None
        self._writing = self._ended = self._closed = False

    async def feed(self, chunk: bytes) -> None:
        """Parse more of the body.

        Raises:
            BadRequest: it is no form, or has two files.
            BodyTooLarge: the file, or everything else, is larger than allowed.
            NoRoom: the disk is full.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as malformed:
            raise BadRequest(f"the body is no multipart/form-data: {malformed}") from None
        if len(self._unwritten) >= WRITE_BYTES:
            await self._write_off_loop()

    async def finish(self) -> tuple[Fields, Upload]:
        """The fields and the file of a complete body.

        Raises:
            BadRequest: it is not complete, or has no file.
            NoRoom: the disk is full.
        """
        if not self._ended:
            raise BadRequest("the form has no end; is its boundary right?")
        if self._file_name is None:
            raise BadRequest(f"the form has no part {FILE!r}; send the recording as {FILE}=@recording.mp4")
        if not self._file_bytes:
            raise BadRequest(f"{FILE}: {self._file_name} is empty", fields=[FILE])
        await self._write_off_loop()
        # ffmpeg inherits a descriptor that cannot write.
        self._descriptor = os.open(f"/proc/self/fd/{self._file.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
        return self._fields, Upload(self._file_name, self._descriptor, self._digest.hexdigest())

    def close(self) -> None:
        """Free the disk; the upload is gone."""
        self._closed = True
        if self._writing:
            return  # the thread that writes still needs it
        self._file.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def _write_off_loop(self) -> None:
        self._writing = True
        try:
            await asyncio.to_thread(self._write)
        except OSError as failure:
            if failure.errno not in (ENOSPC, EDQUOT):
                raise
            raise NoRoom("the disk of temp_dir is full; try again later, or send a smaller file") from None
        finally:
            self._writing = False
            if self._closed:
                self.close()

    def _write(self) -> None:
        self._digest.update(self._unwritten)
        with memoryview(self._unwritten) as rest:
            written = 0
            while written < len(rest):
                written += self._file.write(rest[written:])
        self._unwritten.clear()

    def _on_part_begin(self) -> None:
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._content = bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        if not self._name:
            raise BadRequest("a part of the form has no name in its Content-Disposition")
        if self._name != FILE:
            return
        if self._file_name is not None:
            raise BadRequest(f"{FILE}: send one file", fields=[FILE])
        self._file_name = _shown(options.get(b"filename", b"").decode(errors="replace"))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name != FILE:
            self._count(end - start)
            self._content += data[start:end]
            return
        self._file_bytes += end - start
        if self._file_bytes > self._max_file_bytes:
            raise too_large(self._max_file_bytes)
        self._unwritten += data[start:end]

    def _on_part_end(self) -> None:
        if self._name != FILE:
            self._fields.setdefault(self._name, []).append(bytes(self._content))

    def _on_end(self) -> None:
        self._ended = True

    def _count(self, length: int) -> None:
        self._small_bytes += length
        if self._small_bytes > FIELDS_BYTES:
            raise BodyTooLarge(f"the form's fields are over {FIELDS_BYTES} bytes together", limit=FIELDS_BYTES)


def too_large(limit: int) -> BodyTooLarge:
    """The refusal of a file over ``limit`` bytes."""
    return BodyTooLarge(
        f"{FILE}: it is over {limit} bytes, the most that may be uploaded here ([transcriber] max_upload_bytes)",
        limit=limit,
        fields=[FILE],
    )


def _shown(name: str) -> str:
    """A file name without folders and control characters."""
    with suppress(ValueError):
        name = PurePath(name.replace("\\", "/")).name
    return "".join(filter(str.isprintable, name))[:MAX_NAME_LENGTH] or "upload"
