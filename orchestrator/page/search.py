"""The page that finds what was said: a form, and what it found by recording. It works without a script."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import urlencode

from orchestrator.page.handler import PageHandler
from orchestrator.transcripts.addresses import moment, recording_path
from orchestrator.transcripts.search import FoundRecordings, Hit, Recording, SearchQuery, search_recordings
from orchestrator.transcripts.titles import TitledRecording, titled
from reelscribe import languages
from reelscribe.errors import BadRequest
from reelscribe.http.server.parsing import parse_query

FIELDS = ("q", "prefix", "language", "since", "until", "bucket_name", "after")
FILTERS = {"prefix": "recordings that begin with", "language": "language", "since": "from", "until": "until"}
"""Fields of the form that narrow a search, by their labels."""
LANGUAGES = sorted((languages.name(code).title(), code) for code in languages.NAMES)


class Piece(NamedTuple):
    """A part of a text; ``found``: it is what was searched for."""

    text: str
    found: bool


class SearchPage(PageHandler):
    """``GET /search``: the state of the form and of the page of results is the address."""

    page = "search"

    async def get(self) -> None:
        given = {name: text for name in FIELDS if (text := self.get_query_argument(name, "").strip())}
        found, named, mistake = None, list[TitledRecording](), None
        if "q" in given:
            try:
                found, named = await self._found(given)
            except BadRequest as refused:
                mistake = _sentence(refused)
                self.set_status(refused.status)
        shown = {name: text for name, text in given.items() if name != "after"}
        await self.render(
            "search.html",
            given=given,
            found=found,
            named=named,
            mistake=mistake,
            narrowed=[FILTERS[name] for name in FILTERS if name in given],
            languages=LANGUAGES,
            without_filters=_address({"q": given.get("q", "")}),
            first=_address(shown),
            older=_address({**shown, "after": found.next}) if found and found.next else None,
            moment=self._moment,
            page_of=self._page,
            media=self._media,
            pieces=pieces,
            position=position,
            path=PurePosixPath,
            language_name=languages.name,
        )

    async def _found(self, given: dict[str, str]) -> tuple[FoundRecordings, list[TitledRecording]]:
        """Recordings in which it was said and, on the first page, those with such a title."""
        arguments = {name: [text.encode()] for name, text in given.items()}
        query: SearchQuery = parse_query(SearchQuery, {**arguments, "grouped": [b"true"], "limit": [b"10"]})
        async with self.service.pool.connection() as connection:
            named = [] if query.after else await titled(connection, query, self.service.default_bucket)
            return await search_recordings(connection, query, self.service.default_bucket), named

    def _page(self, recording: TitledRecording) -> str:
        return self._address("/media/", recording)

    def _moment(self, recording: Recording, hit: Hit) -> str:
        """Where a recording's own page shows a hit, with the words as they are written there."""
        said = hit.text[slice(*hit.marks[0])] if hit.marks else ""
        return self._address("/media/", recording, q=said) + moment(hit.start)

    def _media(self, recording: Recording) -> str:
        """What says how a browser can play it."""
        return self._address("/api/media/", recording)

    def _address(self, before: str, recording: Recording | TitledRecording, **query: str) -> str:
        bucket = None if recording.bucket == self.service.default_bucket else recording.bucket
        return recording_path(before, recording.savepath, bucket_name=bucket, **query)


def _sentence(refused: BadRequest) -> str:
    """What is wrong, with the label of the field in place of its name."""
    name, _, rest = refused.message.partition(": ")
    sentence = rest if name == "q" else f"{FILTERS[name]}: {rest}" if name in FILTERS else refused.message
    return f"{sentence[0].upper()}{sentence[1:]}."


def _address(fields: dict[str, str]) -> str:
    return f"/search?{urlencode(fields)}"


def pieces(hit: Hit) -> Iterator[Piece]:
    """The text of a hit, cut where what was searched for begins and ends."""
    end = 0
    for start, stop in hit.marks:
        if stop <= end:
            continue
        if start > end:
            yield Piece(hit.text[end:start], False)
        yield Piece(hit.text[max(start, end) : stop], True)
        end = stop
    if end < len(hit.text):
        yield Piece(hit.text[end:], False)


def position(seconds: float) -> str:
    """A time of a recording: 0:07, 12:34, 1:02:03."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
