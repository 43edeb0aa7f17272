"""Messages of the end of jobs: written with the end, signed, delivered to a real receiver however often it fails."""

import asyncio
import json
import re
import signal

import pytest

from orchestrator.exports.deletion import Deletions
from orchestrator.jobs import transitions
from orchestrator.webhooks.signing import Secrets
from reelscribe.errors import BadRequest
from reelscribe.settings.shared import MinioSection
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import fails
from tests.orchestrator.webhooks.conftest import DOCS, SECRET
from tests.orchestrator.webhooks.receiver import Receiver


def verify(received, secret: str = SECRET) -> bool:
    """As docs/webhooks.md has it."""
    [code] = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    scope: dict = {}
    exec(code, scope)
    return scope["verify"](received.headers, received.body, secret)


async def test_a_finished_job_is_delivered_once_signed_and_without_a_proxy(
    configured, delivering, store_transcript, receiver, log_of, monkeypatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    await configured()
    job = await store_transcript("talks/ä b.mp4", "hello", "world")
    async with delivering() as registry:
        [delivery] = await log_of()
    assert registry.get_sample_value("reelscribe_webhook_attempts_total", {"outcome": "delivered"}) == 1
    [received] = receiver.received
    assert (delivery.state, delivery.attempts, delivery.status, delivery.job) == ("delivered", 1, 204, job.id)
    assert received.headers["webhook-id"] == delivery.message_id
    assert verify(received) and not verify(received._replace(body=received.body + b" "))
    assert received.message["type"] == "job.complete"
    assert received.message["data"] == {
        "job": job.id,
        "bucket": BUCKET,
        "savepath": "talks/ä b.mp4",
        "state": "done",
        "complete": True,
        "reason": None,
        "superseded": False,
        "language": "en",
        "seconds": 8.0,
        "error": None,
        "url": f"https://reelscribe.example.com/api/jobs/{job.id}",
        "transcript_url": "https://reelscribe.example.com/api/transcripts/talks/%C3%A4%20b.mp4",
    }
    assert b"hello" not in received.body
    assert set(json.loads(re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)[0])["data"]) == set(
        received.message["data"]
    )


def test_the_signature_is_that_of_the_specification_by_each_secret(tmp_path):
    file = tmp_path / "secrets"
    file.write_text(f"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n{SECRET}")
    headers = Secrets.from_file(file).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    first, second = headers["webhook-signature"].split()  # the first is what the library standardwebhooks computes
    assert first == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert second.startswith("v1,") and second != first


async def test_no_message_is_written_if_no_one_is_to_be_notified_or_the_end_did_not_happen(
    configured, store_transcript, submit, pool, sql
):
    await store_transcript("a.mp4", "hello")
    await configured("job.cancelled")
    await store_transcript("b.mp4", "hello")
    job = await submit("c.mp4")
    with pytest.raises(RuntimeError):
        async with pool.connection() as connection:
            await transitions.cancel(connection, [job.id])
            raise RuntimeError
    assert await sql("select * from webhook_deliveries") == []


async def test_each_end_has_its_event(
    configured, working, transcriber, store_transcript, submit, submissions, job_in, pool, log_of, sql
):
    await configured()
    await store_transcript("incomplete.mp4", "hello", incomplete="cut")
    cancelled, replaced = await submit("cancelled.mp4"), await submit("replaced.mp4")
    await submissions.cancel([cancelled.id])
    await submit("replaced.mp4", force=True, priority=-1)
    transcriber.scripts = [fails("not_decodable", "no audio", False)]
    failing = await submit("failing.mp4", priority=1)
    async with working():
        await job_in(failing.id, "failed")
    rows = await sql(
        "select event, data->>'savepath', data->'error'->>'code', data->>'superseded' from webhook_deliveries"
    )
    assert {
        ("job.incomplete", "incomplete.mp4", None, "false"),
        ("job.cancelled", "cancelled.mp4", None, "false"),
        ("job.cancelled", "replaced.mp4", None, "true"),
        ("job.failed", "failing.mp4", "not_decodable", "false"),
    } <= set(rows)
    assert [
        id for (id,) in await sql("select job_id from webhook_deliveries where event = 'job.cancelled' order by id")
    ] == [
        cancelled.id,
        replaced.id,
    ]


async def test_a_receiver_that_was_away_gets_the_same_message_later(configured, delivering, store_transcript, log_of):
    receiver = Receiver()
    async with receiver.listening():
        pass
    await configured(url=receiver.url)
    await store_transcript("a.mp4", "hello")
    async with delivering(max_attempts=1000):
        [waiting] = await log_of(state="pending", status=None)
        while waiting.attempts < 2:
            [waiting] = await log_of(state="pending")
        assert waiting.error == "127.0.0.1 does not answer: All connection attempts failed"
        receiver.answers = [503, (429, {"Retry-After": "0"}), 200]
        async with receiver.listening(receiver.port):
            [delivery] = await log_of()
    assert (delivery.state, delivery.status) == ("delivered", 200)
    assert len({(one.headers["webhook-id"], one.body) for one in receiver.received}) == 1
    assert len(receiver.received) == 3 and all(map(verify, receiver.received))


async def test_what_fails_to_the_last_attempt_is_given_up_shown_and_sent_again_by_hand(
    configured, delivering, store_transcript, receiver, log_of, commands, serving, orchestrator_service, caplog
):
    await configured()
    await store_transcript("a.mp4", "hello")
    receiver.answers = [500, 500, 500]
    async with delivering(max_attempts=3):
        [given_up] = await log_of()
        assert (given_up.state, given_up.attempts, given_up.status) == ("failed", 3, 500)
        assert given_up.error == "gave up after 3 attempts: 127.0.0.1 answered HTTP 500"
        shown = (await commands.run("webhooks", "list", "--state", "failed")).out
        assert given_up.error in shown and "a.mp4" in shown and receiver.url in shown
        assert json.loads((await commands.run("webhooks", "list", "--json")).out)[0]["id"] == given_up.id
        again = await commands.run("webhooks", "retry", str(given_up.id), "999")
        assert (again.code, "1 message will be sent" in again.out, "no message 999" in again.err) == (1, True, True)
        [delivery] = await log_of(state="delivered")
    assert (delivery.id, delivery.attempts, len(receiver.received)) == (given_up.id, 1, 4)
    in_json = await commands.run("webhooks", "retry", str(given_up.id), "999", "--json")
    assert (in_json.code, json.loads(in_json.out)) == (1, {"retried": [given_up.id]})
    assert (await commands.run("webhooks", "list", "--state", "failed")).out == "no message is failed\n"


async def test_a_webhook_of_a_submission_is_notified_of_its_jobs_alone_and_of_what_is_done_now(
    subscribed, configured, delivering, submit, submissions, store_transcript, receiver, log_of
):
    await store_transcript("done.mp4", "hello")
    assert (await subscribed("done.mp4"))[1] == "done"
    other, (mine, _) = await submit("other.mp4"), await subscribed("mine.mp4")
    assert (await subscribed("mine.mp4"))[1] == "known"
    await configured("job.cancelled")  # the same receiver: one message nevertheless
    await submissions.cancel([mine.id])
    await configured("job.failed")
    await submissions.cancel([other.id])
    async with delivering():
        await log_of()
    assert [(one.message["type"], one.message["data"]["savepath"]) for one in receiver.received] == [
        ("job.complete", "done.mp4"),
        ("job.cancelled", "mine.mp4"),
    ]


async def test_a_job_has_ten_webhooks_at_most(subscribed, sql):
    for number in range(10):
        await subscribed(url=f"https://example.com/{number}")
    with pytest.raises(BadRequest, match="has 10 webhooks already"):
        await subscribed(url="https://example.com/10")
    assert await sql("select count(*) from job_webhooks") == [(10,)]


async def test_old_entries_of_the_log_are_removed(configured, delivering, store_transcript, sql, log_of):
    await configured()
    await store_transcript("a.mp4", "hello")
    async with delivering():
        await log_of()
    await sql("update webhook_deliveries set ended_at = now() - interval '31 days'")
    job = await store_transcript("b.mp4", "hello")
    async with delivering():
        assert len(await log_of(job=job.id, state="delivered")) == 1


async def test_of_a_forgotten_recording_only_what_is_not_delivered_is_kept_until_it_is(
    configured, delivering, store_transcript, submit, pool, queue, receiver, sql, log_of
):
    await configured()
    await store_transcript("a.mp4", "hello")
    async with delivering():
        await log_of()
    await submit("a.mp4", force=True)
    await Deletions(pool, queue, MinioSection()).delete(BUCKET, ["a.mp4"])
    assert await sql("select event, state from webhook_deliveries") == [("job.cancelled", "pending")]
    async with delivering():
        await receiver.gets(2)
        while await sql("select from webhook_deliveries"):
            await asyncio.sleep(0.02)


async def test_a_kill_between_the_end_of_a_job_and_its_delivery_loses_nothing_and_no_secret_is_logged(
    orchestrator, receiver, secret_file, submit, job_in, sql, log_of
):
    with orchestrator.config.open("a") as config:
        config.write(f"\n[webhooks]\nurls = {receiver.url}\nsecret_file = {secret_file}\nallowed_hosts = 127.0.0.1\n")
    receiver.answers = [None]
    job = await submit("a.mp4")
    serve = await orchestrator.start("serve")
    await job_in(job.id, "done")
    await receiver.gets(1)
    log = (await serve.ends(signal.SIGKILL)).err
    assert (await log_of(state="pending"))[0].attempts == 1
    await sql("update webhook_deliveries set due_at = now()")  # as after some time
    serve = await orchestrator.start("serve")
    await receiver.gets(2)
    await log_of(state="delivered")
    log += (await serve.ends(signal.SIGTERM)).err
    assert len({(one.headers["webhook-id"], one.body) for one in receiver.received}) == 1
    assert all(map(verify, receiver.received))
    assert "delivered at attempt 2" in log
    stored = str(await sql("select * from webhook_deliveries, webhook_endpoints"))
    assert not [word for word in (SECRET, SECRET.removeprefix("whsec_")) if word in log + stored]
    assert "url-secret" not in log
