"""Playing a large recording in a real browser through both services; the baseline is the extractor alone, one hop less,
in the same browser: python -m bench.browser.media

Prints a table and writes bench/results/page_media.json.
"""

import json
import os
import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil
import typer
from playwright.sync_api import Browser
from rich.console import Console
from rich.table import Table

from bench import hardware
from bench.browser.chromium import chromium
from bench.database import temporary_database
from bench.services import extractor, orchestrator
from bench.workers.dispatching import summary
from reelscribe.media import ffmpeg

RESULTS = Path(__file__).parent.parent / "results" / "page_media.json"
SAVEPATH = "large.mp4"
BITS_PER_SECOND = 20_000_000
LIMIT_MS, LIMIT_MB = 1000.0, 50.0
READERS = 8

SEEK = """async ([url, moments]) => {
    document.body.replaceChildren();
    const player = document.createElement("video");
    const happens = name => new Promise((yes, no) => {
        player.addEventListener(name, yes, {once: true});
        player.addEventListener("error", () => no(new Error(player.error.message)), {once: true});
    });
    player.muted = true;
    player.preload = "metadata";
    document.body.append(player);
    const begun = performance.now();
    const known = happens("loadedmetadata");
    player.src = url;
    await known;
    const opened = performance.now() - begun;
    await player.play();
    const times = [];
    for (const share of moments) {
        const moment = share * player.duration, since = performance.now();
        player.currentTime = moment;
        await happens("seeked");
        while (!(player.currentTime > moment)) await new Promise(done => setTimeout(done, 2));
        times.push(performance.now() - since);
    }
    player.removeAttribute("src");
    player.load();
    return {opened: opened, times: times};
}"""
"""Milliseconds until the length is known, and from each seek until the clock runs from there."""


def main(
    size: Annotated[int, typer.Option(min=1 << 20, help="Bytes of the recording.")] = 2 << 30,
    seeks: Annotated[int, typer.Option(min=1, help="Seeks, to anywhere.")] = 40,
    quick: Annotated[bool, typer.Option("--quick", help="Just enough to show that it runs; nothing is saved.")] = False,
) -> None:
    """Measure playing and print the results."""
    if quick:
        size, seeks = 20 << 20, 2
    report: dict[str, Any] = {"machine": hardware.describe(), "load_before": round(os.getloadavg()[0], 1)}
    with temporary_database() as (folder, database), chromium() as browser:
        bucket = folder / "minio" / "videos"
        bucket.mkdir(parents=True)
        _make_recording(bucket / SAVEPATH, size)
        report |= {"browser": f"Chromium {browser.version}", "bytes": (bucket / SAVEPATH).stat().st_size}
        with extractor(bucket) as (c_url, c_process), orchestrator(folder, database, c_url) as (a_url, a_process):
            processes = {"orchestrator": a_process, "extractor": c_process}
            stored, played = f"/object?savepath={SAVEPATH}", f"/media/{SAVEPATH}/file"
            for name, address, path in (("extractor alone", c_url, stored), ("both", a_url, played)):
                report[name] = _seek(browser, f"{address}/healthz", path, seeks)
                report[name]["mb_per_s"] = _read(f"{address}{path}", 1, {})[0]
            speed, memory = _read(f"{a_url}{played}", READERS, processes)
            report |= {"readers": READERS, "readers_mb_per_s": speed, "memory_mb": memory}
            report["left_open"] = _left_open(c_process)
    _show(report)
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def _left_open(process: psutil.Process) -> int:
    """How many files of the recording are open once it had time to close them."""
    for _ in range(20):
        if not (left := sum(SAVEPATH in file.path for file in process.open_files())):
            break
        time.sleep(0.5)
    return left


def _make_recording(path: Path, size: int) -> None:
    """An mp4 with its index at the end, most of whose bytes fill it up to a constant rate."""
    seconds = size * 8 / BITS_PER_SECOND
    rate = f"{BITS_PER_SECOND}"
    command = [
        *(str(ffmpeg.locate(None).path), "-v", "error", "-nostdin", "-y"),
        *("-f", "lavfi", "-i", f"testsrc=size=160x90:rate=10:duration={seconds}"),
        *("-f", "lavfi", "-i", f"sine=duration={seconds}", "-c:a", "aac"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-pix_fmt", "yuv420p", "-b:v", rate),
        *("-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr", path),
    ]
    subprocess.run(command, check=True)


def _seek(browser: Browser, page_url: str, path: str, seeks: int) -> dict[str, Any]:
    chosen = random.Random(1)
    moments = [chosen.uniform(0.02, 0.95) for _ in range(seeks)]
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(page_url)
        found = page.evaluate(SEEK, [path, moments])
    return {"opened_ms": round(found["opened"], 1), "seek": summary(found["times"])}


def _read(url: str, readers: int, processes: dict[str, psutil.Process]) -> tuple[float, dict[str, float]]:
    """MB/s of readers that each read all of it at the same time, and how much more memory the processes need then."""
    before = {name: process.memory_info().rss for name, process in processes.items()}
    most, done = dict(before), threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for name, process in processes.items():
                most[name] = max(most[name], process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    since = time.monotonic()
    with ThreadPoolExecutor(readers) as pool:
        read = sum(pool.map(_read_one, [url] * readers))
    speed = read / 1e6 / (time.monotonic() - since)
    done.set()
    watching.join()
    return round(speed, 1), {name: round((most[name] - before[name]) / 1e6, 1) for name in processes}


def _read_one(url: str) -> int:
    with httpx.stream("GET", url, timeout=60) as answer:
        return sum(len(chunk) for chunk in answer.iter_raw())


def _show(report: dict[str, Any]) -> None:
    table = Table("", "length known after", "seek: p50", "p95", "worst", "limit", "reading")
    for name in ("extractor alone", "both"):
        row = report[name]
        seek = (f"{row['seek'][key]:.0f} ms" for key in ("p50_ms", "p95_ms", "max_ms"))
        table.add_row(name, f"{row['opened_ms']:.0f} ms", *seek, f"{LIMIT_MS:.0f} ms", f"{row['mb_per_s']:.0f} MB/s")
    console = Console()
    console.print(f"{report['machine']}; {report['browser']}; {report['bytes'] / 1e9:.2f} GB")
    console.print(table)
    memory = ", ".join(f"{name} {more:.0f} MB more" for name, more in report["memory_mb"].items())
    console.print(
        f"{report['readers']} readers: {report['readers_mb_per_s']:.0f} MB/s in all; {memory} "
        f"(limit {LIMIT_MB:.0f} MB); files left open by the extractor: {report['left_open']}"
    )


if __name__ == "__main__":
    typer.run(main)
