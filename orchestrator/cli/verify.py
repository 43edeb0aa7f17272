"""The command ``verify``."""

from pathlib import Path
from typing import Any

from orchestrator.cli.console import counted, print_json, visible
from orchestrator.cli.options import checked_all, usage
from orchestrator.jobs.models import as_argument
from orchestrator.session import Session, print_error, run
from orchestrator.transcripts import queries as transcript_queries
from orchestrator.transcripts.verify import Evidence, Finding, evidence, findings
from reelscribe.contracts.speech_without_words import MOST_NAMED


def verify(
    savepaths: list[str] | None, everything: bool, bucket: str | None, as_json: bool, config: Path | None
) -> None:
    """Verify that transcripts are intact."""
    if bool(savepaths) == everything:
        usage("name savepaths, or give --all")
    named = checked_all(savepaths) or None

    async def work(session: Session) -> int:
        default = session.bucket(None)
        bucket_name = session.bucket(bucket) if named else bucket
        found: list[Finding] = []
        without_words: list[dict[str, Any]] = []
        verified: set[str] = set()
        verified_count = incomplete = without_words_count = 0
        async for transcripts in evidence(session.pool, bucket_name, named):
            for transcript in transcripts:
                verified_count += 1
                incomplete += not transcript.complete
                for finding in findings(transcript):
                    found.append(finding)
                    if not as_json:
                        _print_finding(finding, default)
                if transcript.speech_without_words and transcript.speech_without_words.count:
                    without_words_count += 1
                    if as_json:
                        without_words.append(_without_words(transcript))
                    else:
                        sentence = transcript.speech_without_words.sentence
                        print(visible(f"{transcript.savepath}: {sentence}"), flush=True)
            if named:
                verified.update(transcript.savepath for transcript in transcripts)
        missing = [savepath for savepath in named or () if savepath not in verified]
        if as_json:
            wrong = [finding.model_dump() for finding in found]
            print_json(
                {
                    "verified": verified_count,
                    "incomplete": incomplete,
                    "speech_without_words": without_words,
                    "findings": wrong,
                    "missing": missing,
                }
            )
        else:
            by_request = f", {incomplete} of them incomplete, as their receipts say" if incomplete else ""
            transcripts_verified = f"{counted(verified_count, 'transcript')} verified"
            lacking = f", {without_words_count} with speech without words" if without_words_count else ""
            print(f"{transcripts_verified}{by_request}{lacking}; {len(found)} wrong")
        async with session.pool.connection() as connection:
            for savepath in missing:
                why = await transcript_queries.no_transcript(connection, session.bucket(bucket), savepath, default)
                print_error(visible(why.message))
        return 1 if found or missing else 0

    run(config, work)


def _print_finding(finding: Finding, default_bucket: str) -> None:
    again = f"orchestrator submit --force {as_argument(finding.savepath, finding.bucket, default_bucket)}"
    print(visible(f"{finding.savepath}: {finding.message}; have it made again: {again}"), flush=True)


def _without_words(transcript: Evidence) -> dict[str, Any]:
    """Of a transcript that has some, with the first of its times: a large archive has many such transcripts."""
    assert transcript.speech_without_words
    shown = transcript.speech_without_words.model_dump()
    shown["stretches"] = shown["stretches"][:MOST_NAMED]
    return {**transcript.model_dump(include={"job", "bucket", "savepath"}), **shown}
