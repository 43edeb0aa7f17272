"""Transcripts as resources, which people attach to a conversation: ``transcript:///`` and a savepath."""

from urllib.parse import quote, unquote

from mcp import types

from orchestrator.assistants.archive import transcript
from orchestrator.assistants.models import TranscriptArguments
from orchestrator.assistants.tools import QUOTED
from orchestrator.jobs.models import storable
from orchestrator.session import Session
from orchestrator.transcripts.queries import ListQuery, listed
from reelscribe.errors import BadRequest
from reelscribe.text.srt_vtt import clock

SCHEME = "transcript:///"
MIME_TYPE = "text/plain"
PAGE = 100

TEMPLATE = types.ResourceTemplate(
    uri_template=f"{SCHEME}{{+savepath}}",
    name="transcript",
    title="Transcript of a recording",
    description=f"The beginning of a transcript, with times; the tool transcript reads the rest. {QUOTED}",
    mime_type=MIME_TYPE,
)


async def resources(session: Session, after: str | None) -> types.ListResourcesResult:
    """A page of the transcripts of the usual bucket, in the order of their savepaths.

    Raises:
        BadRequest: ``after`` is no cursor.
    """
    try:
        storable(after or "")
    except ValueError as mistake:
        raise BadRequest(f"cursor: {mistake}") from None
    async with session.pool.connection() as connection:
        found = await listed(connection, session.bucket(None), ListQuery(limit=PAGE), after or "")
    return types.ListResourcesResult(
        resources=[
            types.Resource(uri=uri(each.savepath), name=each.savepath, title=each.title, mime_type=MIME_TYPE)
            for each in found
        ],
        next_cursor=found[-1].savepath if len(found) == PAGE else None,
    )


async def read(session: Session, address: str) -> types.ReadResourceResult:
    """The beginning of a transcript as text, with a line that says what follows.

    Raises:
        BadRequest: this is no address of a transcript.
        ValidationError: nor is this a savepath.
        TranscriptNotFound: there is none.
    """
    if not address.startswith(SCHEME):
        raise BadRequest(f"there is no such resource; a transcript is {SCHEME}SAVEPATH")
    answer = await transcript(session, TranscriptArguments(savepath=unquote(address.removeprefix(SCHEME))))
    about = [f"{answer.savepath}: {'complete' if answer.complete else f'incomplete: {answer.reason}'}"]
    said = [f"[{clock(segment.start)}] {segment.text}" for segment in answer.segments]
    follows = [answer.follows] if answer.follows else []
    text = "\n".join([*about, *said, *follows])
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=address, mime_type=MIME_TYPE, text=text)])


def uri(savepath: str) -> str:
    """The address of a transcript."""
    return SCHEME + quote(savepath)
