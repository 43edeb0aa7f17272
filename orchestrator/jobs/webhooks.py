"""Who is notified of the end of transcriptions, and the messages for them: to be sent, or the log of what was.

A trigger writes each message in the transaction that ends the transcription (``0012.webhooks.sql``). An attempt to send
one is fenced by its number, as the attempts at jobs are. Functions take the connection, so that the caller says what
belongs to one transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from psycopg.rows import class_row

from orchestrator.database.sql import Connection, fetch_column, fetch_models, fetch_value
from orchestrator.jobs import transitions
from orchestrator.jobs.models import UNFINISHED, Record
from reelscribe.errors import BadRequest

MOST_OF_A_JOB = 10
"""Receivers of one job, however often it is submitted."""
MOST_COUNTED = 10_000
WINDOW = 500
"""Messages among which those to be sent next are chosen."""

DeliveryState = Literal["pending", "delivered", "failed"]


class Delivery(Record):
    """A message to one receiver.

    Attributes:
        message_id: the ``webhook-id`` that the receiver sees, of each attempt.
        job: which ended; it may be forgotten by now.
        url: of the receiver.
        attempts: so far.
        status: HTTP status of the last answer; None if there was none, and ``error`` says why.
        due_at: of a pending one: when it is sent again, at the latest.
        ended_at: when it was delivered or given up.
    """

    id: int
    message_id: str
    event: str
    job: int
    savepath: str
    url: str
    state: DeliveryState
    attempts: int
    status: int | None
    error: str | None
    created_at: datetime
    due_at: datetime | None
    ended_at: datetime | None


class Message(NamedTuple):
    """What an attempt sends; ``attempt`` is its number."""

    id: int
    message_id: str
    endpoint: int
    url: str
    event: str
    data: dict[str, Any]
    created_at: datetime
    attempt: int


async def configure(connection: Connection, urls: Sequence[str], events: Sequence[str]) -> None:
    """From now on, these receivers are notified of these events of every transcription, and no others are."""
    await connection.execute(
        "update webhook_endpoints set events = '{}' where events <> '{}' and url <> all(%s)", (list(urls),)
    )
    await connection.execute(
        """
        insert into webhook_endpoints (url, events) select distinct unnest(%s::text[]), %s::text[]
        on conflict (url) do update set events = excluded.events, gone_at = null
        """,
        (list(urls), list(events)),
    )


async def subscribe(connection: Connection, jobs: Sequence[int], url: str) -> None:
    """Notify a receiver of each end of these jobs; those that have ended count as ending now.

    Raises:
        BadRequest: one of them has too many receivers.
    """
    if not jobs:
        return
    await transitions.lock(connection, jobs)  # they end before this or after it
    endpoint = await fetch_value(
        connection,
        """
        insert into webhook_endpoints (url) values (%s)
        on conflict (url) do update set gone_at = null returning id
        """,
        (url,),
    )
    await connection.execute(
        """
        insert into job_webhooks (job_id, endpoint_id) select id, %s from jobs where id = any(%s) order by id
        on conflict do nothing
        """,
        (endpoint, list(jobs)),
    )
    too_many = await fetch_value(
        connection,
        "select job_id from job_webhooks where job_id = any(%s) group by job_id having count(*) > %s limit 1",
        (list(jobs), MOST_OF_A_JOB),
    )
    if too_many is not None:
        raise BadRequest(f"job {too_many} has {MOST_OF_A_JOB} webhooks already, which is the most")
    await connection.execute(
        """
        insert into webhook_deliveries (endpoint_id, event, job_id, data)
        select %s, webhook_event(j), j.id, webhook_data(j) from jobs j
        where j.id = any(%s) and j.state <> all(%s) order by j.id
        """,
        (endpoint, list(jobs), list(UNFINISHED)),
    )


async def take(
    connection: Connection, most: int, together: int, lost_after: float, running: Mapping[int, int]
) -> list[Message]:
    """Begin attempts at what is due: first at the endpoints with the fewest, and of one endpoint last at what was
    cancelled, which may be thousands of jobs at a time. If the oldest messages are all of busy endpoints, the others
    are looked through one by one, not all the messages that wait for a busy one.

    Args:
        together: attempts at one endpoint at the same time.
        lost_after: seconds after which an attempt whose outcome is not recorded is considered lost.
        running: attempts that run, by endpoint.
    """
    async with connection.cursor(row_factory=class_row(Message)) as cursor:
        await cursor.execute(
            """
            update webhook_deliveries d set attempts = attempts + 1,
                due_at = now() + make_interval(secs => %(lost_after)s)
            from webhook_endpoints e
            where e.id = d.endpoint_id and d.id in (
                with recursive busy (endpoint_id, attempts) as (
                    select * from unnest(%(busy)s::bigint[], %(attempts)s::integer[])
                ), oldest as materialized (
                    select endpoint_id, due_at from webhook_deliveries
                    where state = 'pending' and due_at <= now() order by due_at, id limit %(window)s
                ), waiting (endpoint_id) as (
                    select min(endpoint_id) from webhook_deliveries
                    where state = 'pending' and (select count(*) >= %(window)s from oldest)
                        and not exists (select from oldest where endpoint_id <> all(%(busy)s))
                    union all
                    select (
                        select min(next.endpoint_id) from webhook_deliveries next
                        where next.state = 'pending' and next.endpoint_id > waiting.endpoint_id
                    ) from waiting where endpoint_id is not null
                ), found (endpoint_id, due_at) as (
                    select endpoint_id, min(due_at) from oldest group by endpoint_id
                    union all
                    select endpoint_id, null from waiting where endpoint_id not in (select endpoint_id from oldest)
                ), chosen as materialized (
                    select endpoint_id, %(together)s - coalesce(attempts, 0) as room
                    from found left join busy using (endpoint_id)
                    where coalesce(attempts, 0) < %(together)s order by attempts nulls first, due_at
                )
                select free.id from chosen cross join lateral (
                    select due.id from (values (false), (true)) as of (cancelled) cross join lateral (
                        select id from webhook_deliveries
                        where endpoint_id = chosen.endpoint_id and (event = 'job.cancelled') = of.cancelled
                            and state = 'pending' and due_at <= now()
                        order by due_at, id limit chosen.room for update skip locked
                    ) due limit chosen.room
                ) free limit %(most)s
            )
            returning d.id, d.message_id, d.endpoint_id as endpoint, e.url, d.event, d.data, d.created_at,
                d.attempts as attempt
            """,
            {
                "lost_after": lost_after,
                "busy": list(running),
                "attempts": list(running.values()),
                "most": most,
                "together": together,
                "window": WINDOW,
            },
        )
        return sorted(await cursor.fetchall())


async def note_delivered(connection: Connection, message: Message, status: int) -> None:
    """The receiver has it."""
    await _end(connection, message, "delivered", status, None)


async def note_given_up(connection: Connection, message: Message, status: int | None, error: str) -> None:
    """It is not sent again."""
    await _end(connection, message, "failed", status, error)


async def note_retry(
    connection: Connection, message: Message, status: int | None, error: str, delay_seconds: float
) -> None:
    """It is sent again after some time."""
    await connection.execute(
        """
        update webhook_deliveries set status = %s, error = %s, due_at = now() + make_interval(secs => %s)
        where id = %s and attempts = %s and state = 'pending'
        """,
        (status, error, delay_seconds, message.id, message.attempt),
    )


async def hand_back(connection: Connection, message: Message) -> None:
    """Another process, or this one after its next start, sends it; this attempt counts as none."""
    await connection.execute(
        """
        update webhook_deliveries set due_at = now(), attempts = attempts - 1
        where id = %s and attempts = %s and state = 'pending'
        """,
        (message.id, message.attempt),
    )


async def note_gone(connection: Connection, message: Message, status: int, error: str) -> None:
    """The receiver wants no more messages, until config.cfg or a submission names it again."""
    await note_given_up(connection, message, status, error)
    await connection.execute("update webhook_endpoints set gone_at = now() where id = %s", (message.endpoint,))
    await connection.execute(
        """
        update webhook_deliveries set state = 'failed', error = %s, ended_at = now()
        where endpoint_id = %s and state = 'pending'
        """,
        (error, message.endpoint),
    )


async def _end(
    connection: Connection, message: Message, state: DeliveryState, status: int | None, error: str | None
) -> None:
    await connection.execute(
        """
        update webhook_deliveries set state = %s, status = %s, error = %s, ended_at = now()
        where id = %s and attempts = %s and state = 'pending'
        """,
        (state, status, error, message.id, message.attempt),
    )
    await connection.execute(  # nothing is kept of a recording that was forgotten
        """
        delete from webhook_deliveries d where id = %s and state <> 'pending'
            and not exists (select from jobs where jobs.id = d.job_id)
        """,
        (message.id,),
    )


async def send_again(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Have messages sent now, whatever became of them; the ids of those that there are."""
    return await fetch_column(
        connection,
        """
        update webhook_deliveries set state = 'pending', ended_at = null, due_at = now(),
            attempts = case when state = 'pending' then attempts else 0 end
        where id = any(%s) returning id
        """,
        (list(ids),),
    )


_IN_STATE: dict[DeliveryState, str] = {state: f"d.state = '{state}'" for state in ("pending", "delivered", "failed")}


async def deliveries(
    connection: Connection, state: DeliveryState | None = None, after: int | None = None, limit: int = 100
) -> list[Delivery]:
    """The newest first; ``after`` is the last id of the page before."""
    given = [_IN_STATE[state]] if state else []  # a literal: the index is of two states alone
    given += ["d.id < %(after)s"] if after is not None else []
    return await fetch_models(
        connection,
        Delivery,
        f"""
        select d.id, d.message_id, d.event, d.job_id as job, d.data->>'savepath' as savepath, e.url, d.state,
            d.attempts, d.status, d.error, d.created_at, case when d.state = 'pending' then d.due_at end as due_at,
            d.ended_at
        from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
        {"where " + " and ".join(given) if given else ""} order by d.id desc limit %(limit)s
        """,
        {"after": after, "limit": limit},
    )


async def count_pending(connection: Connection) -> int:
    """Messages that are not delivered yet, as far as :data:`MOST_COUNTED`."""
    return int(
        await fetch_value(
            connection,
            "select count(*) from (select from webhook_deliveries where state = 'pending' limit %s) pending",
            (MOST_COUNTED,),
        )
    )


async def look_after(connection: Connection, longest_pause: float, kept_days: float, most: int) -> int:
    """Remove some of the log that is older than ``kept_days``, how much; and have sent what is due later than it can
    be: the clock was set back since.
    """
    await connection.execute(
        """
        update webhook_deliveries set due_at = now()
        where state = 'pending' and due_at > now() + make_interval(secs => %s)
        """,
        (longest_pause,),
    )
    cursor = await connection.execute(
        """
        delete from webhook_deliveries where id in (
            select id from webhook_deliveries where ended_at < now() - make_interval(secs => %s)
            order by ended_at limit %s for update skip locked
        )
        """,
        (kept_days * 86400, most),
    )
    return cursor.rowcount
