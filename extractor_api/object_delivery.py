"""``GET /object``: the stored bytes of an object, for players and other programs that read a recording as it is."""

import asyncio
import hashlib
import re

from extractor_api.file_delivery import RangeSender
from extractor_api.service import ExtractorService
from reelscribe.contracts.extractor import ObjectQuery
from reelscribe.errors import NotReadable, Stopping
from reelscribe.media.content_type import content_type
from reelscribe.media.stored_object import StoredObject

_PLAIN_ETAG = re.compile(r"[!#-~]{1,200}")


class ObjectHandler(RangeSender):
    """``GET /object?savepath=&bucket_name=``: no ffmpeg runs, and nothing is read that is not sent, but for its head.

    When the client leaves, reading ends.
    """

    def initialize(self, service: ExtractorService) -> None:  # type: ignore[override]
        super().initialize(service)
        self._work: asyncio.Task[None] | None = None

    async def get(self) -> None:
        self._work = asyncio.create_task(self._send(self.read_query(ObjectQuery)))
        try:
            await self._work
        except asyncio.CancelledError:
            raise Stopping("the client left, or the extractor is stopping") from None

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._work:
            self._work.cancel()

    async def _send(self, query: ObjectQuery) -> None:
        async with (
            self.service.download_slots.take(),
            self.service.stored_object(query.savepath, query.bucket_name) as stored,
        ):
            etag = _etag(stored)
            self.set_header("ETag", etag)
            if self.check_etag_header():
                self.set_status(304)
                return
            self.set_header("Content-Type", await asyncio.to_thread(_content_type, stored))
            await self.send_range(stored.content, stored.size, etag)


def _etag(stored: StoredObject) -> str:
    """That of the object; what xl.meta has for it may be any text."""
    plain = _PLAIN_ETAG.fullmatch(stored.etag)
    return f'"{stored.etag if plain else hashlib.sha256(stored.etag.encode()).hexdigest()}"'


def _content_type(stored: StoredObject) -> str:
    try:
        return content_type(stored)
    except OSError as failure:
        raise NotReadable(f"{stored.savepath} cannot be read: {failure.strerror}") from failure
