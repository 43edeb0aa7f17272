"""Receivers that are gone, silent, endless, elsewhere or private: none gets more than it may, none blocks another."""

import asyncio
import socket

import pytest

from orchestrator.database.sql import fetch_column
from orchestrator.jobs import webhooks
from tests.orchestrator.webhooks.receiver import Receiver


async def test_a_receiver_that_is_gone_gets_no_more_until_it_is_named_again(
    subscribed, delivering, submissions, receiver, log_of
):
    receiver.answers = [410]
    for savepath in ("a.mp4", "b.mp4"):
        job, _ = await subscribed(savepath)
        if savepath == "a.mp4":
            await submissions.cancel([job.id])
            async with delivering():
                [gone] = await log_of()
            assert (gone.state, gone.attempts, gone.status) == ("failed", 1, 410)
    await submissions.cancel([job.id])
    async with delivering():
        [of_b, _] = await log_of()
    assert (of_b.savepath, of_b.state, len(receiver.received)) == ("b.mp4", "delivered", 2)


async def test_a_receiver_that_is_gone_is_sent_nothing_of_what_ends_later(
    subscribed, delivering, submissions, receiver, log_of
):
    jobs = [(await subscribed(savepath))[0].id for savepath in ("a.mp4", "b.mp4", "c.mp4")]
    receiver.answers = [410]
    await submissions.cancel(jobs[:1])
    async with delivering():
        await log_of()
        await submissions.cancel(jobs[1:])
        assert len(await log_of()) == 1
    assert len(receiver.received) == 1


async def test_a_private_address_is_refused_unless_its_name_is_allowed_and_looked_up_once(
    configured, delivering, store_transcript, receiver, log_of, monkeypatch
):
    look_up, looked_up = socket.getaddrinfo, []

    def counted(host, *arguments, **options):
        looked_up.extend([host] if host == "receiver.example" else [])
        return look_up("127.0.0.1" if host == "receiver.example" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", counted)
    await configured(url=f"http://receiver.example:{receiver.port}/")
    await store_transcript("a.mp4", "hello")
    async with delivering(max_attempts=1):
        [refused] = await log_of()
    assert refused.error == (
        "gave up after 1 attempts: receiver.example has a private address (127.0.0.1); if messages may go there, add "
        "receiver.example to [webhooks] allowed_hosts"
    )
    await store_transcript("b.mp4", "hello")
    async with delivering(max_attempts=1, allowed_hosts="receiver.example"):
        assert (await log_of())[0].state == "delivered"
    assert looked_up == ["receiver.example"] * 2
    assert receiver.received[0].headers["Host"] == f"receiver.example:{receiver.port}"


async def test_each_spelling_of_a_private_address_is_refused(subscribed, submissions, delivering, receiver, log_of):
    hosts = [
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "localhost",
        "[fe80::1]",
        "10.1.2.3",
        "169.254.169.254",
    ]
    for host in hosts:
        job, _ = await subscribed(url=f"http://{host}:{receiver.port}/")
    await submissions.cancel([job.id])
    async with delivering(max_attempts=1):
        refused = await log_of()
    assert [one.url for one in refused if "has a private address" not in (one.error or "")] == []
    assert (len(refused), receiver.received) == (len(hosts), [])


async def test_a_redirect_is_not_followed(configured, delivering, store_transcript, receiver, log_of):
    await configured()
    await store_transcript("a.mp4", "hello")
    receiver.answers = [(302, {"Location": "/elsewhere"})]
    async with delivering(max_attempts=1):
        [delivery] = await log_of()
    assert delivery.error == "gave up after 1 attempts: 127.0.0.1 answered HTTP 302, a redirect, which is not followed"
    assert [one.path for one in receiver.received] == ["/hook?key=url-secret"]


async def drips(reader, writer):
    """Headers without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(ConnectionError):
        while True:
            writer.write(b"X-More: x\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)


async def floods(reader, writer):
    """A body without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(ConnectionError):
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()


@pytest.mark.parametrize(("answer", "error"), [(drips, "127.0.0.1 has not answered within 0.5 s"), (floods, None)])
async def test_a_receiver_that_answers_without_end_is_cut(
    configured, delivering, store_transcript, log_of, answer, error
):
    ended = asyncio.Event()

    async def serve(reader, writer):
        await answer(reader, writer)
        writer.close()
        ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await configured(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await store_transcript("a.mp4", "hello")
        async with delivering(max_attempts=1, timeout=0.5):
            [delivery] = await log_of()
            await asyncio.wait_for(ended.wait(), 60)
    assert delivery.error == (error and f"gave up after 1 attempts: {error}")


async def test_one_receiver_that_does_not_answer_does_not_block_the_others(
    subscribed, delivering, submissions, receiver, log_of
):
    async with Receiver().listening() as silent:
        silent.answers = [None] * 50
        jobs = [(await subscribed(f"{number}.mp4", silent.url))[0].id for number in range(20)]
        await submissions.cancel(jobs)
        await submissions.cancel([(await subscribed("last.mp4"))[0].id])
        async with delivering(timeout=60):
            await receiver.gets(1)
            await log_of(state="delivered")
        received = len(silent.received)
    pending = [one for one in await log_of(state="delivered") if one.state == "pending"]
    assert (received, len(pending)) == (4, 20)
    assert {one.attempts for one in pending} == {0}, "an attempt that was interrupted counts"


async def test_what_is_no_http_is_quoted_in_part(configured, delivering, store_transcript, log_of):
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\0" * 60_000 + b"\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server:
        await configured(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await store_transcript("a.mp4", "hello")
        async with delivering(max_attempts=1):
            [failed] = await log_of()
    assert "illegal status line" in (failed.error or "") and len(failed.error or "") < 500


async def test_messages_that_wait_for_a_busy_receiver_are_not_read_for_those_of_another(pool, sql):
    async def add(url: str, count: int) -> int:
        [(endpoint,)] = await sql("insert into webhook_endpoints (url) values (%s) returning id", url)
        await sql(
            """
            insert into webhook_deliveries (endpoint_id, event, job_id, data)
            select %s, 'job.complete', 1, '{}' from generate_series(1, %s) returning id
            """,
            endpoint,
            count,
        )
        return int(endpoint)

    busy, other = await add("https://busy.example/", 5000), await add("https://other.example/", 1)
    await sql("analyze webhook_deliveries")
    async with pool.connection() as connection:
        [taken] = await webhooks.take(connection, 16, 4, 30, {busy: 4})
        [read] = await fetch_column(
            connection,
            """
            select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'webhook_deliveries'
            """,
        )
    assert taken.endpoint == other and read < 2000


async def test_a_message_that_is_not_answered_leaves_the_other_places_to_those_behind_it(
    subscribed, delivering, submissions, receiver, log_of
):
    receiver.answers = [None, *[200] * 29]
    jobs = [(await subscribed(f"{number}.mp4"))[0].id for number in range(30)]
    await submissions.cancel(jobs)
    async with delivering(timeout=300):
        received = await receiver.gets(30)
        pending = [one for one in await log_of(state="delivered") if one.state == "pending"]
    assert len({one.connection for one in received}) < 15, "connections are not kept"
    assert len(pending) == 1


async def test_connections_of_two_names_of_one_address_are_not_mixed(
    subscribed, delivering, submissions, receiver, log_of, monkeypatch
):
    look_up = socket.getaddrinfo
    names = ("one.example", "two.example")
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: look_up("127.0.0.1" if host in names else host, *rest, **more),
    )
    jobs = [
        (await subscribed(f"{number}.mp4", f"http://{name}:{receiver.port}/"))[0].id
        for number in range(8)
        for name in names
    ]
    await submissions.cancel(jobs)
    async with delivering(allowed_hosts=", ".join(names)):
        await log_of()
    of_one, of_two = (
        {one.connection for one in receiver.received if one.headers["Host"].startswith(name)} for name in names
    )
    assert of_one and of_two and not of_one & of_two


async def test_what_was_transcribed_is_reported_before_what_was_cancelled_earlier(
    configured, submissions, submit, store_transcript, delivering, receiver, log_of
):
    await configured()
    jobs = [(await submit(f"{number}.mp4")).id for number in range(30)]
    await submissions.cancel(jobs)
    await store_transcript("a.mp4", "hello")
    async with delivering():
        await log_of()
    assert "job.complete" in [one.message["type"] for one in receiver.received[:4]]


async def test_a_receiver_with_a_backlog_leaves_room_for_one_without(pool, sql):
    first, *others = [
        id
        for (id,) in await sql(
            "insert into webhook_endpoints (url) select 'https://' || n from generate_series(1, 5) n returning id"
        )
    ]
    await sql(
        """
        insert into webhook_deliveries (endpoint_id, event, job_id, data, due_at)
        select e.id, 'job.complete', 1, '{}', now() - case when e.id = %s then interval '0' else interval '1 h' end
        from webhook_endpoints e, generate_series(1, 600) returning id
        """,
        first,
    )
    async with pool.connection() as connection:
        [taken] = await webhooks.take(connection, 1, 4, 30, dict.fromkeys(others, 3))
    assert taken.endpoint == first
