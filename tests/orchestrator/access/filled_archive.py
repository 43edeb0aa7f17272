"""An archive with a job in each state that lasts, all of it made long ago."""

from datetime import UTC, datetime

from orchestrator.database.pool import make_pool
from orchestrator.intake.submission import Submissions
from orchestrator.jobs import transitions
from orchestrator.jobs.models import Options
from orchestrator.queue.procrastinate import Queue
from orchestrator.worker.progress import TranscriptionProgress
from reelscribe.contracts.events import Started
from tests.orchestrator.scripted import finished, segment

CALLED_LIKE_ROUTES = ("named/about", "named/segments")
LONG_AGO = "'2026-01-01T12:00:00Z'::timestamptz"


async def fill(url: str) -> None:
    """An archive with a job in each state that lasts."""
    async with make_pool(url) as pool:
        queue = Queue(pool)
        await queue.open()
        submissions, progress = Submissions(pool, queue), TranscriptionProgress(pool, queue)
        recordings = [("talks/a.mp4", "en", None), ("talks/a.wav", "de", None), ("cut.mp4", "en", "its end is missing")]
        recordings += [(savepath, "en", None) for savepath in CALLED_LIKE_ROUTES]
        for savepath, language, incomplete in recordings:
            [(job, _)] = await submissions.submit("videos", [savepath], Options(allow_incomplete=bool(incomplete)))
            async with pool.connection() as connection:
                [(entry,)] = await (
                    await connection.execute("select queue_job from jobs where id = %s", (job.id,))
                ).fetchall()
                attempt = await transitions.begin(connection, entry, job.id)
            assert attempt
            started = Started(model="mini", language=language, language_probability=0.9, duration=8.0, etag="e")
            await progress.start(attempt, "http://transcriber", started)
            await progress.store(attempt, [segment(0, 3, "a happy horse"), segment(4, 7, "on Friday")], 8.0)
            end = finished(8.0, incomplete, 2)
            modified = datetime(2026, 1, 1, tzinfo=UTC)
            await progress.finish(
                attempt, [], end.model_copy(update={"last_modified": modified, "size": 1, "etag": "e"})
            )
        await submissions.submit("videos", ["failed.mp4", "queued.mp4", "queued2.mp4"], Options())
        await submissions.submit("more", ["failed.mp4"], Options(language="fr"))
        async with pool.connection() as connection:
            await connection.execute(
                "update jobs set state = 'failed', error_code = 'object_not_found', finished_at = now(),"
                " error_message = 'videos has no failed.mp4' where media_id in"
                " (select id from media where savepath = 'failed.mp4')"
            )
            await connection.execute(f"update jobs set created_at = {LONG_AGO}")
            await connection.execute(f"update jobs set started_at = {LONG_AGO} where started_at is not null")
            await connection.execute(f"update jobs set finished_at = {LONG_AGO} where finished_at is not null")
            await connection.execute(f"update attempts set started_at = {LONG_AGO}, ended_at = {LONG_AGO}")
            await connection.execute(
                "insert into vocabularies values ('', '{Reelscribe}', now(), 'ann'), ('raw/', '{Ann,Bo}', now(), 'ann')"
            )
