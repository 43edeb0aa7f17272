"""The pages in docs show what the benches measured."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import subtitles as subtitle_bench
from bench.browser import recording as recording_bench
from bench.browser.page import rows_of
from bench.datasets import rows

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RESULTS = ROOT / "bench" / "results"


def speed(report: dict[str, Any]) -> list[str]:
    long = report["long"]
    clips = [
        f"| {row['model']} | {row['clips']} | {row['ours_s']:.1f} s | **{row['ratio']:.2f}** "
        f"| {row['batched_ratio']:.2f} | {row['p50_s']:.1f} s | {row['p95_s']:.1f} s "
        f"| {row['encoder_s'] / row['loop_s']:.0%} |"
        for row in report["clips"]
    ]
    return [
        f"{report['machine']}; batches of {report['batch_size']}, {long['threads']} CPU threads; "
        f"medians of {report['runs']} runs.",
        "",
        f"| {long['seconds']} s of video, model mini | measured | limit |",
        "| --- | --- | --- |",
        f"| time over `BatchedInferencePipeline` with timestamps | **{long['ratio']:.2f}** | {long['limit']:.2f} |",
        f"| the same without timestamps, its default | {long['bare_default_ratio']:.2f} | |",
        f"| the first of these for `{report['second_pass']['recording']}` (below): a second pass nearly throughout "
        f"| {report['second_pass']['ratio']:.2f} | |",
        f"| time with `mode = sequential` over batched | {long['sequential_ratio']:.2f} | |",
        f"| times real time | {long['seconds'] / long['ours_s']:.0f} | |",
        f"| first segment after | {long['first_segment_s']:.1f} s | {long['first_segment_limit_s']:.0f} s |",
        f"| memory above idle | {long['memory_mb']:.0f} MB | {long['memory_limit_mb']} MB |",
        f"| model busy, once warm | {long['busy']['model']:.0%} | {long['busy_limit']:.0%} |",
        "",
        "| concurrent clips of 5 s | clips | all done after | times as fast as a loop of `WhisperModel` "
        "| of `BatchedInferencePipeline` | half done after | 95 % after | encoder alone, of the loop |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *clips,
    ]


def accuracy(report: dict[str, Any]) -> list[str]:
    rows = [*report["recordings"], {"recording": "all with speech", **report["all"]}]
    ways = list(report["all"]["ways"])
    return [
        f"| | words | {' | '.join(ways)} | starts and ends off by | joins: inserted, deleted |",
        "| --- |" + " --- |" * (len(ways) + 3),
        *(
            f"| {row['recording']} | {row['words']} | {' | '.join(errors(row, way) for way in ways)} | "
            f"{off(row['ways']['the transcriber'])} | {row['joins']['joins']}: {row['joins']['inserted']}, "
            f"{row['joins']['deleted']} |"
            for row in rows
        ),
        "",
        report["machine"] + ". " + (f"Worse: {'; '.join(report['worse'])}." if report["worse"] else "Nowhere worse."),
    ]


def errors(row: dict[str, Any], way: str) -> str:
    found = row["ways"][way]
    rate = f"{found['errors'] / row['words']:.2%}" if row["words"] else f"{found['errors']} words"
    return f"{rate} / {found['invented']}"


def off(found: dict[str, Any]) -> str:
    return "" if found["time_off_s"] is None else f"{found['time_off_s']:.3f} s"


def subtitles(report: dict[str, Any]) -> list[str]:
    return [
        f"{report['machine']}; {report['model']}.",
        "",
        "| | times of segments | times of words |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in subtitle_bench.rows(report)),
    ]


def real(report: dict[str, Any]) -> list[str]:
    total, clips, long = report["all"], report["clips"], report["long"]
    ways = list(total["ways"])
    sums = [*report["groups"].values(), {"title": "all in English with speech", **total}]
    uploads = f"{clips['clips']} clips, uploaded at the same time"
    of_long = [long["cpu_s"][way] / long["cpu_s"]["Batched, timestamps"] for way in ways]
    of_clips = [found["cpu_s"] / clips["ways"]["WhisperModel"]["cpu_s"] for found in clips["ways"].values()]
    return [
        f"{report['machine']}; {report['model']}, int8, CPU threads of each side: {report['threads']}; CPU time: "
        f"medians of {report['rounds']} rounds.",
        "",
        f"| wrong words: substituted / left out / put in | recordings | words | {' | '.join(ways)} |",
        "| --- | --- | --- |" + " --- |" * len(ways),
        *(f"| {row['title']} | {row['recordings']} | {row['words']} | {' | '.join(wrong(row))} |" for row in sums),
        f"| {uploads} | {clips['clips']} | {clips['words']} | {' | '.join(wrong(clips))} | |",
        "",
        f"| | {' | '.join(ways)} |",
        "| --- |" + " --- |" * len(ways),
        f"| CPU time for the recording of {long['seconds'] / 60:.0f} minutes, over that of "
        f"`BatchedInferencePipeline` with timestamps | {' | '.join(shares(of_long))} |",
        f"| CPU time for {uploads}, over that of a loop of `WhisperModel` | {' | '.join(shares(of_clips))} | |",
        f"| peak memory of the process | {report['memory_mb']:.0f} MB |" + " |" * (len(ways) - 1),
    ]


def wrong(row: dict[str, Any]) -> list[str]:
    numbers = [[found[key] for key in ("substituted", "left_out", "put_in")] for found in row["ways"].values()]
    if not row["words"]:
        return [f"{put_in} words" for _, _, put_in in numbers]
    return [f"{sum(those) / row['words']:.2%} {' / '.join(map(str, those))}" for those in numbers]


def shares(ratios: list[float]) -> list[str]:
    return [f"**{ratios[0]:.2f}**", *(f"{ratio:.2f}" for ratio in ratios[1:])]


def orchestrator(report: dict[str, Any]) -> list[str]:
    overhead, throughput, submit = report["overhead"], report["throughput"], report["submit"]
    queries = {what: row for what, row in report["queries"].items() if what != report["baseline_query"]}
    slowest = max(queries, key=lambda what: queries[what]["p95_ms"])
    median, p95 = (f"{overhead['ours'][name]:.0f} ms" for name in ("p50_ms", "p95_ms"))
    bare_median, bare_p95 = (f"{overhead['bare'][name]:.0f} ms" for name in ("p50_ms", "p95_ms"))
    return [
        f"{report['machine']}.",
        "",
        "| | measured | limit | bare procrastinate | bare SQL |",
        "| --- | --- | --- | --- | --- |",
        f"| from `submit` until the transcriber is called, median of {overhead['jobs']} jobs | **{median}** "
        f"| {overhead['limit_ms']:.0f} ms | {bare_median} | |",
        f"| the same, 95 % of them | {p95} | | {bare_p95} | |",
        f"| jobs per second, {throughput['workers']} workers, {throughput['jobs']:,} jobs "
        f"| **{throughput['ours_per_s']:,.0f}** | | {throughput['bare_per_s']:,.0f} | |",
        f"| {report['savepaths']:,} savepaths submitted in | **{submit['seconds']:.0f} s** "
        f"| {report['limit_seconds']:.0f} s | {report['baseline_procrastinate_seconds']:.0f} s "
        f"| {report['baseline_copy_seconds']:.0f} s (COPY) |",
        f"| with memory of | {submit['most_mb']:.0f} MB | {report['limit_mb']:.0f} MB | | |",
        f"| the same ones once more | {report['submit_again']['seconds']:.0f} s | | | |",
        f"| `status` then, median | {queries['status']['p50_ms']:.1f} ms | {report['limit_ms']:.0f} ms | "
        f"| {report['queries'][report['baseline_query']]['p50_ms']:.0f} ms (count by state) |",
        f"| the slowest query, {slowest}: 95 % under | **{queries[slowest]['p95_ms']:.0f} ms** "
        f"| {report['limit_ms']:.0f} ms | | |",
    ]


def startup(report: dict[str, Any]) -> list[str]:
    return [
        f"{report['machine']}; medians of {report['rounds']} runs of each, in turn.",
        "",
        f"| CPU time | before ({report['before']}) | now | limit | ratio | limit |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| `{row['command']}` | {row['before_s']:.2f} s | **{row['now_s']:.2f} s** "
            f"| {limit_of(row)} | **{row['ratio']:.2f}** "
            f"| {row['limit_ratio']:.2f} |"
            for row in report["commands"]
        ),
    ]


def limit_of(row: dict[str, Any]) -> str:
    return f"{row['limit_s']:.2f} s" if row["limit_s"] else ""


def datasets(report: dict[str, Any]) -> list[str]:
    missed = {name for name, good in datasets_limits(report).items() if not good}
    return [
        f"{report['machine']}; {report['recording']}; runs of each: {report['runs']}.",
        "",
        f"| {report['pairs']} pairs | measured | limit |",
        "| --- | --- | --- |",
        *(f"| {what} | {measured} | {limit} |" for what, measured, limit in rows(report)),
        "",
        f"Missed: {', '.join(sorted(missed))}." if missed else "All within the limits.",
    ]


def page(report: dict[str, Any]) -> list[str]:
    return [
        f"{report['machine']}; {report['browser']}; load before: {report['load_before']}.",
        "",
        f"| {report['jobs']:,} jobs | fastest | median | 95 % under | limit |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {what} | {times['min_ms']:.0f} ms | {times['p50_ms']:.0f} ms | {times['p95_ms']:.0f} ms "
            f"| {f'{limit:.0f} ms' if limit else ''} |"
            for what, times, limit in rows_of(report)
        ),
    ]


def recording(report: dict[str, Any]) -> list[str]:
    return [
        f"{report['machine']}; {report['browser']}; load before: {report['load_before']}.",
        "",
        f"| {report['segments']:,} segments, {report['words']:,} words | median | 95 % under | limit |",
        "| --- | --- | --- | --- |",
        *(
            f"| {what} | {times['p50_ms']:.1f} ms | {times['p95_ms']:.1f} ms | {f'{limit:.0f} ms' if limit else ''} |"
            for what, times, limit in recording_bench.rows_of(report)
        ),
        "",
        f"While it plays, the main thread works {report['playing_cpu_ms']} ms of CPU time for each frame.",
    ]


def page_media(report: dict[str, Any]) -> list[str]:
    both, alone, memory = report["both"]["seek"], report["extractor alone"]["seek"], report["memory_mb"]
    return [
        f"{report['machine']}, {report['browser']}: it plays from there after {both['p50_ms']:.0f} ms "
        f"(95 %: {both['p95_ms']:.0f} ms), with the extractor alone after {alone['p50_ms']:.0f} ms "
        f"({alone['p95_ms']:.0f} ms); while {report['readers']} clients read all of it, the orchestrator needs "
        f"{memory['orchestrator']:.0f} MB more memory and the extractor {memory['extractor']:.0f} MB more."
    ]


def scale(report: dict[str, Any]) -> list[str]:
    long = report["long"]
    return [
        f"{report['machine']}; load before: {report['load_before']}.",
        "",
        "| workers | connections: waiting, at work | waiting: transactions, CPU of PostgreSQL | short jobs | CPU of "
        "PostgreSQL for each |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {row['workers']} | {row['connections']}, {row['most_connections']} "
            f"| {row['idle_transactions_per_s']} a second, {row['idle_cpu_percent']} % "
            f"| {row['jobs_per_s']} a second | {row['cpu_ms_per_job']} ms |"
            for row in report["by_workers"]
        ),
        "",
        f"A window that is written by itself, with its 2 segments: {long['cpu_ms_per_window']} ms of PostgreSQL's CPU.",
    ]


def datasets_limits(report: dict[str, Any]) -> dict[str, bool]:
    return {
        "time over bare ffmpeg": report["ratio"] <= report["ratio_limit"],
        "times as fast as a run for each pair": report["faster"] >= report["faster_limit"],
        "first sample": report["first_sample_ms"] <= report["first_sample_limit_ms"],
        "memory": report["request_mb"] <= report["memory_limit_mb"],
    }


BLOCKS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "transcriber": speed,
    "transcriber-cuda": speed,
    "accuracy": accuracy,
    "real": real,
    "subtitles": subtitles,
    "orchestrator": orchestrator,
    "startup": startup,
    "datasets": datasets,
    "page": page,
    "recording": recording,
    "scale": scale,
    "page_media": page_media,
}
PAGES = {"orchestrator": DOCS / "orchestrator.md", "scale": DOCS / "scale.md", "page_media": DOCS / "page.md"}
"""For the benches whose block is not in docs/benchmarks.md."""


def page_of(name: str) -> Path:
    return PAGES.get(name, DOCS / "benchmarks.md")


def block(name: str) -> str:
    """The block that the page must have for a bench, with its markers."""
    file = RESULTS / f"{name}.json"
    lines = BLOCKS[name](json.loads(file.read_text())) if file.exists() else ["Not measured yet."]
    return "\n".join([f"<!-- bench-{name} -->", *lines, f"<!-- /bench-{name} -->"])


@pytest.mark.parametrize("name", BLOCKS)
def test_the_page_shows_what_the_bench_measured(name: str) -> None:
    assert block(name) in page_of(name).read_text(), "run: python -m tests.test_benchmarks"


if __name__ == "__main__":
    for name in BLOCKS:
        text = page_of(name).read_text()
        markers = rf"<!-- bench-{name} -->.*?<!-- /bench-{name} -->"
        page_of(name).write_text(re.sub(markers, lambda _, name=name: block(name), text, flags=re.DOTALL))  # type: ignore[misc]
