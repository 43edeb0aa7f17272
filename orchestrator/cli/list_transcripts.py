"""The command ``list``: the transcripts that there are."""

import shlex
from pathlib import Path

from rich.text import Text

from orchestrator.access.interface import Access
from orchestrator.access.opening import run
from orchestrator.cli.console import length, out, print_json, visible
from orchestrator.cli.options import checked, validated
from orchestrator.cli.tables import Row, Rows, local
from orchestrator.jobs.models import removal_sentence
from orchestrator.session import print_error
from orchestrator.transcripts.queries import ListedTranscript, ListQuery

WIDEST_MODEL = 24
"""Letters of a model's name that leave room for a savepath on a terminal of 80 columns."""


def list_transcripts(
    prefix: str | None,
    language: str | None,
    after: str | None,
    limit: int,
    bucket: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """List the newest transcript of each savepath, in the order of the savepaths."""
    query: ListQuery = validated(ListQuery, prefix=prefix or "", language=language, limit=limit)
    if after is not None:
        checked(after, "--after")

    async def work(access: Access) -> int:
        found = await access.listed(access.bucket(bucket), query, after or "")
        following = found[-1].savepath if len(found) == limit else None
        if as_json:
            print_json({"transcripts": [each.model_dump(mode="json") for each in found], "next": following})
        elif found:
            out().print(rows(found))
            if following:
                print_error(
                    f"there are more; see them with: --after {visible(shlex.quote(following))}, or a higher --limit"
                )
        else:
            print_error("there is no such transcript; see what there is: orchestrator status")
        return 0 if found or as_json else 1

    run(config, work)


def rows(found: list[ListedTranscript]) -> Rows:
    """One row per transcript."""
    return Rows(
        ("WHEN", "LANGUAGE", "LENGTH", "MODEL", "SAVEPATH"),
        [
            Row(
                [
                    Text(local(each.finished_at)),
                    Text(each.language or ""),
                    Text(length(each.seconds)),
                    Text(_cell(visible(each.model or ""))),
                    Text(visible(each.savepath)),
                ],
                _notes(each),
            )
            for each in found
        ],
        right=("LENGTH",),
    )


def _cell(model: str) -> str:
    """The last part of a model's name or folder; nothing if that is too long, and is said in a note."""
    name = model.rstrip("/").rpartition("/")[2]
    return name if len(name) <= WIDEST_MODEL else ""


def _notes(transcript: ListedTranscript) -> list[str]:
    notes = [visible(transcript.title)] if transcript.title else []
    notes += [] if transcript.complete else ["incomplete"]
    if transcript.model and not _cell(visible(transcript.model)):
        notes.append(visible(f"model: {transcript.model}"))
    if removal := removal_sentence(transcript.object_removed_at):
        notes.append(removal)
    return notes
