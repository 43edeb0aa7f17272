"""The command ``search``: where something was said."""

import re
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from orchestrator.access.interface import Access
from orchestrator.access.opening import run
from orchestrator.cli.console import out, print_json, visible
from orchestrator.cli.options import validated
from orchestrator.session import print_error
from orchestrator.transcripts.search import Hit, SearchQuery
from reelscribe.text.srt_vtt import clock


def search_segments(
    words: list[str],
    prefix: str,
    language: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    bucket: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Search what was said, in the newest transcript of each savepath; exit 1 if it was said nowhere."""
    query: SearchQuery = validated(
        SearchQuery,
        q=_as_typed(words),
        prefix=prefix,
        language=language,
        since=since,
        until=until,
        limit=limit,
        bucket_name=bucket,
    )

    async def work(access: Access) -> int:
        found, recordings = await access.search(query)
        if as_json:
            hits = [hit.model_dump(mode="json") for hit in found.hits]
            of_titles = [recording.model_dump() for recording in recordings]
            print_json({"hits": hits, "next": found.next, "titled": of_titles})
        else:
            for recording in recordings:
                print(f"{visible(recording.savepath)}  {visible(recording.title)}")
            _print_hits(found.hits)
            if found.next:
                print_error(f"there are more than these {limit}; see them with --limit, or narrow the search")
            elif not (found.hits or recordings):
                print_error("nothing found; fewer words, or beginnings such as hors*, find more")
        return 0 if found.hits or recordings else 1

    run(config, work)


def _as_typed(arguments: Sequence[str]) -> str:
    """The query as it was typed: the shell has taken the quotes off its phrases."""
    return " ".join(
        f'"{argument}"' if re.search(r"\s", argument) and '"' not in argument else argument for argument in arguments
    )


def _print_hits(hits: Sequence[Hit]) -> None:
    console = out(soft_wrap=True)
    for hit in hits:
        console.print(Text.assemble((visible(hit.savepath), "bold"), f"  {clock(hit.start)}"))
        console.print(Text("  ").append_text(_highlighted(hit)))
        console.print(Text(f"  {hit.link}", style="dim"))


def _highlighted(hit: Hit) -> Text:
    text, end = Text(), 0
    for start, stop in hit.marks:
        text.append(visible(hit.text[end:start])).append(visible(hit.text[max(start, end) : stop]), style="bold yellow")
        end = max(end, stop)
    return text.append(visible(hit.text[end:]))
