"""What an operator should know of the database and the queue. Nothing is changed."""

from collections.abc import Sequence

from orchestrator.database.facts import DatabaseFacts, database_facts
from orchestrator.database.pool import CONNECTION_ERRORS, Pool, one_line
from orchestrator.jobs.models import TRANSCRIBE, State
from orchestrator.jobs.stats import Overview, QueueFigures, overview, queue_figures
from orchestrator.queue.entries import QueueEntries
from orchestrator.queue.rules import Rule, active_rules
from reelscribe.contracts.diagnosis import Finding

ANSWER_SECONDS = 5.0
LONG_SECONDS = 86_400.0
"""A job that has waited for so long is worth a word."""
MOST_CODES = 4
PROGRAM = "reelscribe-orchestrator"
START_WORKER = f"systemctl start {PROGRAM} (or reelscribe-worker); in a terminal: orchestrator serve, or worker"
LOOK_AT_DATABASE = "start PostgreSQL, or correct [database] url; orchestrator check says more"


async def diagnose(pool: Pool, queue: QueueEntries) -> list[Finding]:
    """Ask the database, in one short transaction."""
    try:
        async with pool.connection(timeout=ANSWER_SECONDS) as connection:
            facts = await database_facts(connection)
            if facts.missing or facts.unknown:
                return [_database(facts)]
            figures, rules = await queue_figures(connection), await active_rules(connection)
            seen = await overview(connection)
        workers = await queue.count_workers()
    except CONNECTION_ERRORS as failed:
        return [Finding.fault("database", f"it does not answer: {one_line(failed)}", LOOK_AT_DATABASE)]
    return [
        _database(facts),
        _workers(figures, workers),
        _queue(figures, seen),
        _rules(rules),
        _failed(figures),
    ]


def _database(facts: DatabaseFacts) -> Finding:
    found = f"PostgreSQL {facts.version}, {facts.bytes / 1e6:,.0f} MB"
    if facts.unknown:
        message = f"{found}; a newer Reelscribe has made its schema ({facts.unknown[-1]})"
        return Finding.fault("database", message, "upgrade Reelscribe on this host to the version of the others")
    if facts.missing:
        message = f"{found}; its schema lacks {len(facts.missing)} migrations of this version ({facts.missing[0]}, …)"
        return Finding.fault("database", message, f"back it up, then systemctl restart {PROGRAM}, which migrates it")
    return Finding.ok("database", f"{found}; the schema is that of this version")


def _workers(figures: QueueFigures, workers: int) -> Finding:
    if workers:
        return Finding.ok("workers", f"{workers} at work")
    if figures.unfinished(TRANSCRIBE):
        return Finding.fault("workers", "there is none, and jobs wait", START_WORKER)
    return Finding.warning("workers", "there is none", START_WORKER)


def _queue(figures: QueueFigures, seen: Overview) -> Finding:
    states: tuple[State, ...] = ("queued", "waiting", "running", "done")
    counts = ", ".join(f"{figures.jobs.get((TRANSCRIBE, state), 0):,} {state}" for state in states)
    oldest = figures.oldest_seconds
    message = f"{counts}; the oldest waits for {_duration(oldest)}" if oldest else counts
    if seen.no_transcriber:
        return Finding.fault("queue", f"{message}; no transcriber: {seen.no_transcriber}", "see the transcribers below")
    if seen.buckets_away:
        away = "; ".join(f"bucket {bucket} is away: {reason}" for bucket, reason in seen.buckets_away.items())
        return Finding.fault("queue", f"{message}; {away}", "see the extractor below; its jobs continue by themselves")
    if oldest and oldest > LONG_SECONDS:
        fix = "add transcribers to [orchestrator] transcriber_urls, or raise [transcriber] max_jobs and batch_size"
        return Finding.warning("queue", message, fix)
    return Finding.ok("queue", message)


def _duration(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.1f} h" if hours >= 1 else f"{seconds / 60:.0f} min"


def _rules(rules: Sequence[Rule]) -> Finding:
    paused = [
        f"{rule.prefix or 'all savepaths'} since {rule.paused_at.astimezone():%Y-%m-%d %H:%M} by {rule.paused_by}"
        for rule in rules
        if rule.paused_at
    ]
    if paused:
        return Finding.warning("pauses", "; ".join(paused), "if that is over: orchestrator resume")
    limited = sum(rule.max_running is not None for rule in rules)
    return Finding.ok("pauses", f"none; {limited} limits")


def _failed(figures: QueueFigures) -> Finding:
    jobs = figures.jobs.get((TRANSCRIBE, "failed"), 0)
    if not jobs:
        return Finding.ok("failed jobs", "none")
    by_count = sorted(figures.failed.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{count:,} {code}" for code, count in by_count[:MOST_CODES])
    fix = "orchestrator failed lists them, each with what helps"
    return Finding.warning("failed jobs", f"{jobs:,}; of the newest: {shown}", fix)
