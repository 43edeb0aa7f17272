"""The command ``submit``: put savepaths into the queue, and follow them if asked to."""

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from orchestrator.access.interface import Access, Submitting
from orchestrator.access.opening import run
from orchestrator.cli.console import counted, visible
from orchestrator.cli.options import (
    STANDARD_INPUT,
    Mode,
    checked,
    checked_webhook,
    open_list,
    parsed_options,
    place_of,
    usage,
)
from orchestrator.cli.queue_rules import pause_lines
from orchestrator.cli.submission import savepath_lists
from orchestrator.cli.submission.local_files import local_uploads, refuse_local_files, upload_all
from orchestrator.cli.submission.submit_report import MOST_NAMED, SubmitReport, bar
from orchestrator.intake import event_intake
from orchestrator.intake.submission import Outcome, take_all
from orchestrator.jobs.models import Job
from orchestrator.session import print_error
from reelscribe.savepath import mistake_in_prefix

WATCH_SECONDS = 0.5
"""How often ``submit --wait`` looks."""


class SubmitInput(NamedTuple):
    """What to submit: named savepaths and open lists of them in their order, or all that start with ``prefix``."""

    named: list[str | BinaryIO]
    prefix: str | None

    @property
    def size(self) -> int | None:
        """Bytes to read, if that is known."""
        lists = [item for item in self.named if not isinstance(item, str)]
        return sum(os.fstat(file.fileno()).st_size for file in lists) or None

    def sources(
        self, access: Access, bucket: str, advance: Callable[[int], None], skip: Callable[[str], None]
    ) -> Iterator[savepath_lists.Source]:
        """Where the savepaths come from; ``advance`` is called with the number of bytes read of a list, ``skip``
        with what is listed and is not a recording.
        """
        if self.prefix is not None:
            session = access.session("submit --prefix or --all")
            is_recording = event_intake.RecordingFilter(session.settings).is_recording
            yield savepath_lists.listed(session.objects, bucket, self.prefix, is_recording, skip)
        for item in self.named:
            yield savepath_lists.named(item) if isinstance(item, str) else savepath_lists.lines(item, advance)


def _checked_name(name: str, arguments: Sequence[str], bucket: str | None) -> str:
    """The savepath, if it can be one; else the command ends with what is wrong, and what submits a folder."""
    where = place_of(name, arguments)
    if name.endswith("/") and not mistake_in_prefix(name):
        option = f" --bucket {shlex.quote(bucket)}" if bucket else ""
        command = f"orchestrator submit --prefix {shlex.quote(name)}{option}"
        usage(visible(f"{where}: {name} is a folder; submit all recordings in it with: {command}"))
    return checked(name, where)


def submit(
    savepaths: list[str] | None,
    from_file: str | None,
    prefix: str | None,
    everything: bool,
    bucket: str | None,
    dry_run: bool,
    wait: bool,
    force: bool,
    allow_incomplete: bool,
    priority: int | None,
    language: str | None,
    languages: str | None,
    word_timestamps: bool,
    mode: Mode | None,
    option: list[str] | None,
    upload: bool,
    into: str | None,
    overwrite: bool,
    webhook: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Put savepaths into the queue."""
    if upload:
        if from_file or prefix is not None or everything or dry_run or not savepaths:
            usage("--upload takes the names of local files, and neither lists of savepaths nor --dry-run")
        uploads = local_uploads(savepaths, into, config, bucket)
        savepaths = list(uploads)
    elif into is not None or overwrite:
        usage("--into and --overwrite go with --upload")
    else:
        uploads = {}
        refuse_local_files(savepaths or (), config, bucket)
    arguments = savepaths or []
    names = [name if name == STANDARD_INPUT else _checked_name(name, arguments, bucket) for name in arguments]
    if bool(names or from_file) + (prefix is not None) + everything != 1:
        usage("name at least one savepath, or a file of them with --from-file FILE, or give --prefix or --all")
    if dry_run and wait:
        usage("--dry-run queues nothing that --wait could follow")
    if webhook is not None:
        checked_webhook(webhook)
    options = parsed_options(
        option or (),
        language=language,
        languages=languages,
        mode=mode and mode.value,
        word_timestamps="true" if word_timestamps else None,
        allow_incomplete="true" if allow_incomplete else None,
    )
    named: list[str | BinaryIO] = [open_list(name) if name == STANDARD_INPUT else name for name in names]
    given = SubmitInput(named + ([open_list(from_file)] if from_file else []), "" if everything else prefix)

    async def work(access: Access) -> int:
        bucket_name = access.bucket(bucket)
        if webhook and not access.takes_webhooks:
            usage("--webhook: set [webhooks] secret_file in config.cfg first, with which messages are signed")
        if uploads:
            await upload_all(access.session("submit --upload"), bucket_name, uploads, overwrite)
        report = SubmitReport()
        submission = access.begin(bucket_name, options, priority, force, webhook, dry_run)
        await _take_all(access, submission, given, report)
        jobs = await submission.jobs(list(report.outcomes or ()))
        if not as_json:
            report.print(jobs, dry_run, access.default_bucket)
        if submission.warning:
            new = "what is new counts as existing, and what is done as unchanged" if dry_run else None
            print_error(f"{new or 'what is done counts as unchanged'}: {submission.warning}")
        for pause in await _pauses(access, report) if report.unfinished and not dry_run else ():
            print_error(pause)
        if report.unfinished and not dry_run and not await access.count_workers():
            print_error("no worker is running; the jobs wait for one: orchestrator up (or serve, or worker)")
        too_many = wait and report.outcomes is None
        if too_many:
            print_error(f"--wait follows {MOST_NAMED} jobs at most; see their progress with: orchestrator status")
        elif wait:
            jobs = await _follow(access, jobs, as_json)
        if as_json:
            report.print_json(jobs, dry_run)
        failed = wait and any(job.state in ("failed", "cancelled") for job in jobs)
        return 1 if failed or too_many or report.refusals or not report.submitted else 0

    run(config, work, creates=not dry_run)


async def _pauses(access: Access, report: SubmitReport) -> list[str]:
    """The pauses that block jobs of this submission."""
    return [
        line
        for rule in await access.rules()
        if report.outcomes is None or any(savepath.startswith(rule.prefix) for savepath in report.outcomes)
        for line in pause_lines(rule)
    ]


async def _take_all(access: Access, submission: Submitting, given: SubmitInput, report: SubmitReport) -> None:
    with bar(given.size) as (advance, show):
        found = given.sources(access, submission.bucket, advance, report.skip)

        def taken(outcomes: dict[str, Outcome]) -> None:
            report.add(outcomes)
            show(report.submitted)

        try:
            await take_all(submission.take, savepath_lists.chunks(found, report.refuse), taken)
            await submission.finish()
        except asyncio.CancelledError:
            print_error(
                f"stopped after {counted(report.submitted, 'savepath')} ({report.summary()}); run it again to continue"
            )
            raise


async def _follow(access: Access, jobs: list[Job], as_json: bool) -> list[Job]:
    """Show jobs until all are finished."""
    from orchestrator.cli.submission.progress import ProgressBars, ProgressLines, ProgressView

    view: ProgressView = ProgressBars() if sys.stderr.isatty() and not as_json else ProgressLines()
    unfinished, finished = {job.id for job in jobs}, {}
    try:
        with view:
            while unfinished:
                for job in await access.jobs_by_id(sorted(unfinished)):
                    view.show(job)
                    if job.finished:
                        finished[job.id] = job
                        unfinished.discard(job.id)
                if unfinished:
                    await asyncio.sleep(WATCH_SECONDS)
    except asyncio.CancelledError:
        print_error("the jobs continue without you; see them with: orchestrator status")
        raise
    return [finished[job.id] for job in jobs]
