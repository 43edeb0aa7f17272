"""``orchestrator worker`` and ``watch`` with a port for monitors."""

import asyncio
import signal

import httpx
import pytest


def set_key(config, section: str, line: str) -> None:
    config.write_text(config.read_text().replace(f"[{section}]", f"[{section}]\n{line}"))


@pytest.fixture
async def http():
    async with httpx.AsyncClient() as client:
        yield client


async def test_a_worker_has_health_and_metrics_on_a_port_of_its_own(orchestrator, transcriber, http, free_port):
    set_key(orchestrator.config, "orchestrator", f"worker_port = {free_port}\npublic_url = https://api.example.com")
    worker = await orchestrator.start("worker")
    await worker.says("server running on")
    url = f"http://127.0.0.1:{free_port}"
    while "reelscribe_transcriber_up" not in (await http.get(f"{url}/metrics")).text:
        await asyncio.sleep(0.05)
    health = (await http.get(f"{url}/healthz")).json()
    assert (health["machine"], health["status"]) == ("worker", "ok")
    text = (await http.get(f"{url}/metrics")).text
    for sample in (
        f'reelscribe_transcriber_up{{transcriber="{transcriber.url}"}} 1.0',
        f'reelscribe_transcriber_slots{{transcriber="{transcriber.url}"}} 4.0',
        f'reelscribe_transcriber_free_slots{{transcriber="{transcriber.url}"}} 4.0',
        "process_cpu_seconds_total ",
        'service="worker"',
    ):
        assert sample in text
    assert "servers" not in (await http.get(f"{url}/openapi.json")).json()  # public_url is that of the API
    assert (await http.get(f"{url}/api/jobs")).status_code == 404
    assert (await worker.ends(signal.SIGTERM)).code == 0


async def test_a_folder_watch_too(orchestrator, bucket, http, free_port):
    orchestrator.config.write_text(
        orchestrator.config.read_text()
        + f"[paths]\nminio_data_path = {bucket.parent}\n[events]\nsettle_seconds = 0.1\nwatch_port = {free_port}\n"
    )
    watch = await orchestrator.start("watch")
    await watch.says("bucket videos: 3 new")
    url = f"http://127.0.0.1:{free_port}"
    health = (await http.get(f"{url}/healthz")).json()
    assert (health["machine"], health["status"]) == ("watch", "degraded")  # no extractor runs here
    assert "changed and removed objects wait" in health["problems"][0]
    assert 'reelscribe_watched_objects_total{outcome="new"} 3.0' in (await http.get(f"{url}/metrics")).text
    assert (await watch.ends(signal.SIGTERM)).code == 0
