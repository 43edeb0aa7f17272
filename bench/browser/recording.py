"""The page of a recording of ten hours: how soon it can be scrolled, and what a frame costs while it plays.

make bench-recording; prints a table and writes bench/results/recording.json.
"""

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from playwright.sync_api import Browser, CDPSession, Page
from psycopg.types.json import Jsonb
from rich.console import Console
from rich.table import Table

from bench import hardware
from bench.browser.chromium import chromium
from bench.database import temporary_database
from bench.search import Speech
from bench.services import extractor, orchestrator
from bench.workers.dispatching import summary
from orchestrator.database.pool import prepare
from reelscribe.media import ffmpeg

RESULTS = Path(__file__).parent.parent / "results" / "recording.json"
SAVEPATH = "talks/ten-hours.flac"
SECONDS_OF_A_SEGMENT = 2.4
SCROLLABLE_LIMIT_MS, FRAME_LIMIT_MS = 1000.0, 4.0
WATCHED_SECONDS = 20.0

OPENED = """async () => {
    const isText = () => document.elementsFromPoint(innerWidth * 0.75, innerHeight / 2).some((e) => e.matches(".line"));
    const frame = () => new Promise((painted) => requestAnimationFrame(painted));
    scrollTo({top: document.documentElement.scrollHeight, behavior: "instant"});
    do await frame(); while (!isText());
    await frame();
    const [{domInteractive: parsed}] = performance.getEntriesByType("navigation");
    return {scrolled: performance.now(), read: parsed, lines: document.querySelectorAll(".line").length};
}"""
"""Scroll to the end and wait until its text is painted."""

WATCH_FRAMES = """() => {
    const {port1, port2} = new MessageChannel();
    let began;
    window.costs = [];
    port2.onmessage = () => costs.push(performance.now() - began);
    const look = () => {
        began = performance.now();
        requestAnimationFrame(look);
        port1.postMessage(0);
    };
    requestAnimationFrame(look);
}"""
"""From the first script of a frame to the first task after it: scripts, style, layout and paint of the main thread."""

SPOKEN = "() => Number(document.querySelector('[aria-current]')?.dataset.index ?? -1)"


def main(
    segments: Annotated[int, typer.Option(min=100, help="Of the recording, 2.4 s each.")] = 15_000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that the page is opened.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="Just enough to show that it runs; nothing is saved.")] = False,
) -> None:
    """Measure the page and print the results."""
    watched = WATCHED_SECONDS
    if quick:
        segments, rounds, watched = 1000, 1, 1.0
    report: dict[str, Any] = {"machine": hardware.describe(), "load_before": round(os.getloadavg()[0], 1)}
    report |= {"segments": segments, "scrollable_limit_ms": SCROLLABLE_LIMIT_MS, "frame_limit_ms": FRAME_LIMIT_MS}
    with temporary_database() as (folder, url), chromium() as browser:
        report["browser"] = f"Chromium {browser.version}"
        prepare(url)
        seconds = segments * SECONDS_OF_A_SEGMENT
        report["words"] = fill(url, segments)
        make_recording(folder / "minio/videos" / SAVEPATH, seconds)
        with (
            extractor(folder / "minio/videos") as (extractor_url, _),
            orchestrator(folder, url, extractor_url) as (home, _),
        ):
            address = f"{home}/media/{SAVEPATH}"
            openings = [opened(browser, address, segments) for _ in range(rounds + 1)][1:]
            report |= {name: summary([opening[name] for opening in openings]) for name in openings[0]}
            report |= played(browser, address, seconds, watched)
    show(report)
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def fill(url: str, segments: int) -> int:
    """Store the transcript of a recording with the times of its words; how many words it has."""
    speech, choose, words = Speech(seed=1), random.Random(1), 0
    with psycopg.connect(url) as connection:
        [media] = connection.execute(
            "insert into media (bucket, savepath) values ('videos', %s) returning id", (SAVEPATH,)
        ).fetchone() or [0]
        seconds = segments * SECONDS_OF_A_SEGMENT
        [job] = connection.execute(
            """
            insert into transcriptions (media_id, state, complete, attempt, model, language, language_probability,
                declared_seconds, progress_seconds, started_at, finished_at)
            values (%s, 'done', true, 1, 'made up', 'en', 0.99, %s, %s, now(), now()) returning id
            """,
            (media, seconds, seconds),
        ).fetchone() or [0]
        connection.execute(
            "insert into attempts (transcription_id, attempt, transcriber_url, start_seconds) values (%s, 1, '', 0)",
            (job,),
        )
        copy = (
            "copy segments (transcription_id, index, start_seconds, end_seconds, text, tokens, words, avg_logprob,"
            " no_speech_prob, compression_ratio, temperature, search) from stdin"
        )
        with connection.cursor() as cursor, cursor.copy(copy) as rows:
            for index in range(segments):
                said = speech.segment().split()[:10]
                start, each = index * SECONDS_OF_A_SEGMENT, (SECONDS_OF_A_SEGMENT - 0.2) / len(said)
                timed = [
                    {
                        "start": start + number * each,
                        "end": start + (number + 1) * each,
                        "word": f" {word}",
                        "probability": choose.random(),
                    }
                    for number, word in enumerate(said)
                ]
                words += len(said)
                end = start + SECONDS_OF_A_SEGMENT - 0.2
                rows.write_row((job, index, start, end, " ".join(said), [1, 2], Jsonb(timed), -0.2, 0, 1.4, 0, ""))
    return words


def make_recording(path: Path, seconds: float) -> None:
    """A silent recording of this length."""
    path.parent.mkdir(parents=True)
    silence = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", str(seconds))
    subprocess.run([ffmpeg.locate(None).path, "-loglevel", "error", *silence, str(path)], check=True)


def opened(browser: Browser, address: str, segments: int) -> dict[str, float]:
    """Milliseconds from the start of the navigation until the end of the transcript is scrolled to and painted."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        clock = cpu_clock(page)
        page.goto(address, wait_until="domcontentloaded")
        found: dict[str, Any] = page.evaluate(OPENED)
        assert found.pop("lines") == segments
        return {**found, "opening_cpu": 1000 * busy_seconds(clock)}


def played(browser: Browser, address: str, seconds: float, watched: float) -> dict[str, Any]:
    """Milliseconds of each frame while it plays in the middle, three times as fast as usual, and while it does not."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{address}#t={seconds / 2}")
        page.wait_for_selector("[aria-current]")
        page.evaluate(WATCH_FRAMES)
        page.wait_for_timeout(watched * 1000)
        still = frames(page)
        page.evaluate("() => { document.querySelector('audio').playbackRate = 3 }")
        before = page.evaluate(SPOKEN)
        page.keyboard.press("k")
        page.wait_for_timeout(1000)  # the first word times are read
        clock = cpu_clock(page)
        page.evaluate("() => { costs.length = 0 }")
        worked = busy_seconds(clock)
        page.wait_for_timeout(watched * 1000)
        worked = busy_seconds(clock) - worked
        playing = frames(page)
        assert page.evaluate(SPOKEN) > before + watched / SECONDS_OF_A_SEGMENT, "it does not play"
    cpu_ms = round(1000 * worked / len(playing), 2)
    return {"still": summary(still), "playing": summary(playing), "playing_cpu_ms": cpu_ms}


def cpu_clock(page: Page) -> CDPSession:
    """What :func:`busy_seconds` reads."""
    clock = page.context.new_cdp_session(page)
    clock.send("Performance.enable", {"timeDomain": "threadTicks"})
    return clock


def busy_seconds(clock: CDPSession) -> float:
    """CPU time that the page's main thread has worked, which does not depend on what else this host does."""
    metrics = {metric["name"]: metric["value"] for metric in clock.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def frames(page: Page) -> list[float]:
    """What the frames so far have cost."""
    found: list[float] = page.evaluate("() => costs.splice(0).map((cost) => Math.round(cost * 100) / 100)")
    return found


def rows_of(report: dict[str, Any]) -> list[tuple[str, dict[str, float], float | None]]:
    """What was measured, and its limit."""
    return [
        ("opened, scrolled to the end", report["scrolled"], report["scrollable_limit_ms"]),
        ("all of its HTML read", report["read"], None),
        ("its CPU time until then", report["opening_cpu"], None),
        ("a frame while it plays", report["playing"], report["frame_limit_ms"]),
        ("baseline: a still frame", report["still"], None),
    ]


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    console = Console(highlight=False)
    console.print(f"{report['machine']}; {report['browser']}; load before {report['load_before']}")
    table = Table(title=f"{report['segments']:,} segments, {report['words']:,} words")
    for heading in ("", "median", "p95", "max", "limit"):
        table.add_column(heading, justify="right" if heading else "left")
    for what, times, limit in rows_of(report):
        shown = [f"{times[name]:.1f} ms" for name in ("p50_ms", "p95_ms", "max_ms")]
        table.add_row(what, *shown, f"{limit:.0f} ms" if limit else "")
    console.print(table)
    console.print(f"CPU time of the main thread while it plays: {report['playing_cpu_ms']} ms a frame")


if __name__ == "__main__":
    typer.run(main)
