"""A page of another site, in a real browser, cannot use the services on its reader's host."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chromium import CHROMIUM, SITE, dump_page, run_script
from tests.installation import Reelscribe

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")

SAVEPATH = "talks/short.mp4"

REQUESTS = """
const json = JSON.stringify({savepath: "%(savepath)s"});
const form = new FormData();
form.append("file", new Blob(["RIFF"]), "a.wav");
form.append("model", "whisper-1");
const post = (url, options) => fetch(url, {method: "POST", mode: "no-cors", ...options}).catch(() => null);
await post("%(extractor)s/extract-audio", {body: json});
await post("%(transcriber)s/transcribe", {body: json});
await post("%(transcriber)s/transcribe", {body: form});
await post("%(transcriber)s/v1/audio/transcriptions", {body: form});
await post("%(transcriber)s/models/unload");
await post("%(orchestrator)s/api/jobs", {body: json});
await post("%(orchestrator)s/api/jobs", {body: new Blob([json])});
await post("%(orchestrator)s/api/jobs", {body: json, mode: "cors", headers: {"Content-Type": "application/json"}});
await post("%(orchestrator)s/hooks/minio", {body: "{}"});
await new Promise((ended) => { new EventSource("%(orchestrator)s/api/events").onerror = ended; });
"""


def count(url: str, metric: str, **labels: str) -> int:
    """The sum of a counter over all its labels but these."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    found = [line for line in lines if re.match(rf"{metric}(_total)?\{{", line)]
    return int(sum(float(line.rpartition(" ")[2]) for line in found if all(label in line for label in wanted)))


def test_its_requests_are_refused_and_nothing_is_done(reelscribe: Reelscribe, tmp_path: Path) -> None:
    urls = {
        "extractor": reelscribe.extractor_url,
        "transcriber": reelscribe.transcriber_url,
        "orchestrator": reelscribe.orchestrator_url,
    }
    done: list[Any] = [
        (urls["extractor"], "reelscribe_extractions"),
        (urls["transcriber"], "reelscribe_transcriptions"),
        (urls["orchestrator"], "reelscribe_http_requests", {"status": "202"}),
    ]
    jobs = httpx.get(f"{urls['orchestrator']}/api/jobs").json()
    before = [count(url, metric, **dict(*labels)) for url, metric, *labels in done]
    refused = {name: count(url, "reelscribe_http_failures", code="origin_not_allowed") for name, url in urls.items()}
    run_script(REQUESTS % {**urls, "savepath": SAVEPATH}, tmp_path)
    assert {
        name: count(url, "reelscribe_http_failures", code="origin_not_allowed") - refused[name]
        for name, url in urls.items()
    } == {"extractor": 1, "transcriber": 4, "orchestrator": 5}, "each request has come, the one that asks first too"
    assert [count(url, metric, **dict(*labels)) for url, metric, *labels in done] == before
    assert httpx.get(f"{urls['orchestrator']}/api/jobs").json() == jobs
    assert httpx.get(f"{urls['transcriber']}/healthz").json()["model_state"] == "loaded"


@pytest.mark.parametrize("service", ["extractor", "transcriber", "orchestrator"])
def test_a_site_whose_name_leads_to_the_service_cannot_read_it(
    service: str, reelscribe: Reelscribe, tmp_path: Path
) -> None:
    port = httpx.URL(getattr(reelscribe, f"{service}_url")).port
    shown = dump_page(f"http://{SITE}:{port}/openapi.json", tmp_path)
    found = re.search(r"\{.*\}", shown)
    assert found and json.loads(found[0])["error"]["code"] == "host_not_allowed", shown


def test_the_browser_opens_the_services_by_their_own_names(reelscribe: Reelscribe, tmp_path: Path) -> None:
    port = httpx.URL(reelscribe.orchestrator_url).port
    for name in ("localhost", "127.0.0.1"):
        assert '"totals"' in dump_page(f"http://{name}:{port}/api/status", tmp_path)
