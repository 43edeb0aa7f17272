"""``show --history``: who edited what of a recording, and when."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.console import print_json, visible
from orchestrator.cli.options import checked
from orchestrator.jobs import queries as job_queries
from orchestrator.session import Session, print_error, run
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.edits import history
from orchestrator.transcripts.edits.history import Edit, EditedText
from reelscribe.text.srt_vtt import clock, one_line


def show(savepath: str, bucket: str | None, as_json: bool, config: Path | None) -> None:
    """Print the edits of a recording, the newest first."""
    checked(savepath)

    async def work(session: Session) -> int:
        where = session.bucket(bucket)
        async with session.pool.connection() as connection:
            job = await job_queries.newest_finished(connection, where, savepath)
            if job is None:
                why = await transcript_queries.no_transcript(connection, where, savepath, session.bucket(None))
                print_error(visible(why.message))
                return 1
            edits = await history.listed(connection, job.id)
        if as_json:
            print_json([edit.model_dump(mode="json") for edit in edits])
        elif not edits:
            print_error(f"{visible(savepath)} was never edited")
        for edit in () if as_json else edits:
            print("\n".join(map(visible, _lines(edit))))
        return 0

    run(config, work)


def _lines(edit: Edit) -> list[str]:
    notes = [f"undoes {edit.undoes}"] if edit.undoes else []
    notes += [f"undone by {edit.undone_by}"] if edit.undone_by else []
    what = "title" if edit.start is None else clock(edit.start)
    made = f"{edit.made_at.astimezone():%Y-%m-%d %H:%M}"
    head = f"{edit.revision}  {made}  {edit.author}  {what}" + (f"  ({', '.join(notes)})" if notes else "")
    if edit.start is None:
        return [head, f"  - {edit.title_before or ''}", f"  + {edit.title or ''}"]
    return [
        head,
        *(f"  - {text}" for text in _texts(edit.replaced)),
        *(f"  + {text}" for text in _texts(edit.segments)),
    ]


def _texts(segments: Sequence[EditedText]) -> list[str]:
    return [one_line(segment.text) for segment in segments]
