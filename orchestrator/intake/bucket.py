"""The objects of the bucket, as the extractor lists them, and how versions of an object are distinguished."""

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from orchestrator.jobs.object_changes import Identity
from reelscribe.errors import PeerUnreachable, ServiceError
from reelscribe.http.access.tokens import Tokens

if TYPE_CHECKING:  # a submission that asks nothing need not wait for the import of an HTTP client
    from reelscribe.contracts.extractor import ListedObject, ObjectPage
    from reelscribe.http.peers.extractor_client import ExtractorClient

PAGE = 1000
"""Most objects of one page of a listing."""


class Objects:
    """What is in the buckets, by way of the extractor.

    Args:
        url: base URL of the extractor.
        default_bucket: the one that the extractor takes when none is named.
    """

    def __init__(self, url: str, tokens: Tokens, default_bucket: str) -> None:
        self._url = url
        self._tokens = tokens
        self._default_bucket = default_bucket

    async def pages(self, bucket: str, prefix: str = "") -> AsyncIterator[list["ListedObject"]]:
        """All objects whose savepaths start with ``prefix``, in order, a page at a time.

        Raises:
            ServiceError: the extractor does not answer, or refuses.
        """
        async with self._client() as extractor:
            after: str | None = ""
            while after is not None:
                page = await self._page(extractor, bucket, prefix=prefix, after=after)
                yield page.objects
                after = page.next

    async def exist(self, bucket: str) -> bool:
        """Whether there is any in this bucket.

        Raises:
            ServiceError: the extractor does not answer, or refuses.
        """
        async with self._client() as extractor:
            return bool((await self._page(extractor, bucket, limit=1)).objects)

    async def identities(self, bucket: str, savepaths: Iterable[str]) -> dict[str, Identity]:
        """The identities of these objects; those that do not exist are left out.

        The listing is walked from one to the next, in larger steps the closer they are: a single one costs a page of
        one object, and all of a bucket no more than its listing.

        Raises:
            ServiceError: the extractor does not answer, or refuses.
        """
        wanted = sorted(savepaths, key=str.encode, reverse=True)
        found: dict[str, Identity] = {}
        step = 1
        async with self._client() as extractor:
            while wanted:
                page = await self._page(extractor, bucket, after=_just_before(wanted[-1]), limit=step)
                there = {listed.savepath: identity(listed) for listed in page.objects}
                asked = wanted.pop()
                passed = [asked]
                while wanted and (page.next is None or wanted[-1].encode() <= page.next.encode()):
                    passed.append(wanted.pop())
                if asked not in there and page.next and page.next.encode() < asked.encode():
                    exact = await self._page(extractor, bucket, prefix=asked, limit=1)
                    there |= {listed.savepath: identity(listed) for listed in exact.objects}
                found |= {savepath: there[savepath] for savepath in passed if savepath in there}
                step = min(PAGE, step * 4) if len(passed) * 2 >= step else max(1, step // 4)
        return found

    async def problem(self) -> str | None:
        """Why the extractor cannot be asked now, in a sentence without its address; None if it can.

        That a bucket is not there is said by its own health, and by the transcribers.
        """
        try:
            async with self._client() as extractor:
                await extractor.health()
        except PeerUnreachable:
            return "the extractor does not answer"
        except ServiceError as failure:
            return f"the extractor cannot be used ({failure.code})"
        return None

    def _client(self) -> "ExtractorClient":
        from reelscribe.http.peers.extractor_client import ExtractorClient

        return ExtractorClient(self._url, self._tokens)

    async def _page(
        self, extractor: "ExtractorClient", bucket: str, prefix: str = "", after: str = "", limit: int = PAGE
    ) -> "ObjectPage":
        from reelscribe.contracts.extractor import ObjectsQuery

        named = None if bucket == self._default_bucket else bucket
        try:
            return await extractor.objects(ObjectsQuery(prefix=prefix, after=after, limit=limit, bucket_name=named))
        except PeerUnreachable as away:
            raise PeerUnreachable(f"{away.message}; see [orchestrator] extractor_url") from away


def identity(listed: "ListedObject") -> Identity:
    """Of an object in a listing."""
    return Identity(listed.etag, listed.size, listed.last_modified)


def _just_before(savepath: str) -> str:
    """A text that sorts before the savepath, with hardly any name in between."""
    begin, before = savepath[:-1], ord(savepath[-1]) - 1
    if before < 1 or 0xD800 <= before <= 0xDFFF or len(savepath) >= 1024:
        return begin
    return begin + chr(before) + "\U0010ffff"
