"""Search in a million segments, compared with the scan that PostgreSQL does without an index, and with an index of
single words: make bench-search

Prints a table and the plans of PostgreSQL, and writes bench/results/search.json.
"""

import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import psycopg
import typer
from psycopg import AsyncConnection
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import hardware
from bench.database import temporary_database
from orchestrator.database.pool import Pool, make_pool, prepare
from orchestrator.transcripts import words
from orchestrator.transcripts.search import (
    FEW,
    SearchQuery,
    as_tsquery,
    estimate,
    find_few,
    find_part_by_part,
    search,
    search_recordings,
)

RESULTS = Path(__file__).parent / "results" / "search.json"
LIMIT_MS = 100.0
BUCKET = "videos"
SEGMENTS_OF_A_RECORDING = 200
VOCABULARY = 40_000
LANGUAGES = ("en", "en", "en", "de", "fr")
EVERYWHERE = "um"
"""Begins every segment, so that each phrase across a border holds it: the worst case."""
FORMERLY = "qaf"
"""In every segment of the older half of the recordings, and in no newer one."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Took(NamedTuple):
    """Milliseconds, and those of them that a processor worked: the rest is spent waiting on a busy machine."""

    elapsed: float
    used: float


class Speech:
    """Segments of made-up words with the frequencies of a natural language (Zipf)."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        syllables = [consonant + vowel for consonant in "bdfghklmnprstvwz" for vowel in "aeiou"]
        made: dict[str, None] = {}
        while len(made) < VOCABULARY:
            made["".join(self.random.choices(syllables, k=self.random.choice((1, 2, 2, 3, 3, 4))))] = None
        self.words = sorted(made, key=len)  # the frequent ones are short
        self.weights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))

    def segment(self) -> str:
        return " ".join(self.random.choices(self.words, cum_weights=self.weights, k=self.random.randint(6, 18)))


def main(
    segments: Annotated[int, typer.Option(help="Segments to search in.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=10, help="Queries of each kind.")] = 40,
) -> None:
    """Measure search and print the results."""
    speech = Speech(seed=1)
    with temporary_database() as (_, url):
        prepare(url)
        with psycopg.connect(url, autocommit=True) as connection:
            sample = fill(connection, speech, segments)
            sizes: dict[str, int] = dict(
                connection.execute(
                    "select relname, pg_relation_size(oid) from pg_class where relname like 'segments%%'"
                ).fetchall()
            )
        report: dict[str, Any] = {
            "machine": hardware.describe(),
            "load_before": round(os.getloadavg()[0], 1),
            "segments": segments,
            "limit_ms": LIMIT_MS,
            "table_mb": round(sizes["segments"] / 1e6),
            "index_mb": round(sizes["segments_search"] / 1e6),
            **asyncio.run(measure(url, queries(speech, sample, segments // SEGMENTS_OF_A_RECORDING, rounds))),
        }
    show(report)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def fill(connection: psycopg.Connection, speech: Speech, segments: int) -> list[list[str]]:
    """Store that many segments, a tenth of them in superseded versions; returns texts of some current ones."""
    recordings = max(1, segments // SEGMENTS_OF_A_RECORDING)
    [(definition,)] = connection.execute(
        "select indexdef from pg_indexes where indexname = 'segments_search'"
    ).fetchall()
    connection.execute("drop index segments_search")
    connection.execute(
        "insert into media (bucket, savepath) select %s, format('channel%%s/%%s.mp4', n %% 50, n)"
        " from generate_series(1, %s) n",
        (BUCKET, recordings),
    )
    connection.execute(
        """
        insert into transcriptions (media_id, options, superseded, superseded_at, state, complete, model, language,
            progress_seconds, finished_at)
        select n %% %(current)s + 1, '{}', n < %(recordings)s - %(current)s,
            case when n < %(recordings)s - %(current)s then now() end, 'done', true, 'made up',
            (%(languages)s::text[])[n %% %(current)s %% 5 + 1], 800, %(epoch)s + n * interval '1 minute'
        from generate_series(0, %(recordings)s - 1) n
        """,
        {"recordings": recordings, "current": recordings * 9 // 10, "languages": list(LANGUAGES), "epoch": EPOCH},
    )
    sample = []
    copy = (
        "copy segments (transcription_id, index, start_seconds, end_seconds, text, tokens, avg_logprob,"
        " no_speech_prob, compression_ratio, temperature, search, search_version) from stdin"
    )
    with connection.cursor() as cursor, cursor.copy(copy) as rows:
        for recording in track(range(1, recordings + 1), description=f"{segments} segments"):
            marker = f"{EVERYWHERE} {FORMERLY}" if recording <= recordings // 2 else EVERYWHERE
            texts = [f"{marker} {speech.segment()}" for _ in range(SEGMENTS_OF_A_RECORDING)]
            for index, (text, entry) in enumerate(zip(texts, words.vectors(texts), strict=True)):
                spoken = (recording, index, index * 4, index * 4 + 4, text, "{1,2,3}", -0.2, 0, 1.4, 0)
                rows.write_row((*spoken, entry, words.VERSION))
            if recording % (recordings // 100 or 1) == 0:
                sample.append(texts)
    connection.execute("set maintenance_work_mem = '512MB'")
    connection.execute(definition)
    connection.execute("vacuum analyze")
    return sample


def queries(speech: Speech, sample: list[list[str]], recordings: int, rounds: int) -> Iterator[tuple[str, SearchQuery]]:
    """Typical queries, by kind."""
    choose = speech.random
    recent = sample[len(sample) // 5 :]
    for _ in range(rounds):
        segments = choose.choice(recent)
        position = choose.randrange(len(segments) - 1)
        spoken, following = segments[position].split(), segments[position + 1].split()
        length = choose.randint(2, 5)
        first = choose.randrange(2, len(spoken) - length + 1)
        language, day = choose.choice(LANGUAGES), EPOCH + timedelta(days=choose.randrange(4))
        channel = f"channel{choose.randrange(50)}/"
        phrase = '"' + " ".join(spoken[first : first + length]) + '"'
        yield "a frequent word", SearchQuery(q=speech.words[choose.randrange(50)])
        yield "a rare word", SearchQuery(q=speech.words[choose.randrange(1000, VOCABULARY)])
        yield "two words", SearchQuery(q=" ".join(choose.sample(spoken, 2)))
        yield "a phrase of 2 to 5 words", SearchQuery(q=phrase)
        yield "a phrase across a border", SearchQuery(q=f'"{" ".join(spoken[-2:])} {following[0]}"')
        yield "a beginning", SearchQuery(q=choose.choice(speech.words[1000:])[: choose.randint(3, 5)] + "*")
        yield "a word under a prefix", SearchQuery(q=choose.choice(spoken[2:]), prefix=channel)
        yield "a word in French", SearchQuery(q=choose.choice(spoken[2:]), language="fr")
        yield "a phrase since a day", SearchQuery(q=phrase, since=day)
        yield "two of the 20 most frequent", SearchQuery(q=f'"{" ".join(choose.sample(speech.words[:20], 2))}"')
        yield "five of the 20 most frequent", SearchQuery(q=f'"{" ".join(choose.sample(speech.words[:20], 5))}"')
        yield "by recording: a frequent word", SearchQuery(q=speech.words[choose.randrange(50)], grouped=True)
        yield "by recording: a phrase", SearchQuery(q=phrase, grouped=True)
        yield "a word in every segment", SearchQuery(q=EVERYWHERE)
        yield "the same, by recording", SearchQuery(q=EVERYWHERE, grouped=True)
        yield (
            "the same, with all filters",
            SearchQuery(q=EVERYWHERE, prefix=channel, language=language, since=EPOCH, until=day),
        )
        yield "the same, filters that nothing passes", SearchQuery(q=EVERYWHERE, until=EPOCH - timedelta(days=1))
        yield "the same, a deep page", SearchQuery(q=EVERYWHERE, after=f"{choose.randrange(1, recordings)}.50")
        yield "a word of all old recordings", SearchQuery(q=FORMERLY)
        yield (
            "two words, a deep page",
            SearchQuery(q=" ".join(speech.words[:2]), after=f"{choose.randrange(1, recordings)}.50"),
        )


async def measure(url: str, asked: Iterator[tuple[str, SearchQuery]]) -> dict[str, Any]:
    """Time each query with our search, and each tenth phrase with a scan too."""
    times: dict[str, list[Took]] = {}
    scans: list[Took] = []
    single: list[Took] = []
    plans: dict[str, list[str]] = {}
    async with make_pool(url) as pool:
        for kind, query in track(list(asked), description="queries"):
            await time_search(pool, query, times.setdefault(kind, []))
            if kind == "a phrase of 2 to 5 words" and len(times[kind]) % 10 == 0:
                await time_scan(pool, query, scans)
            if kind == "a phrase across a border":
                await time_without_pairs(pool, query, single)
            if kind not in plans and kind in ("a phrase across a border", "a word of all old recordings"):
                plans[kind] = await plan(pool, query)
    everything = [took for of_kind in times.values() for took in of_kind]
    return {
        "all": summary(everything),
        "kinds": {kind: summary(of_kind) for kind, of_kind in times.items()},
        "baseline_single_words": summary(single),
        "baseline_scan": summary(scans),
        "plans": plans,
    }


@asynccontextmanager
async def timed(pool: Pool, into: list[Took]) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection during the block, whose time is added; the processor's time is that of both ends of it."""
    began = time.perf_counter()
    async with pool.connection() as connection:
        server = connection.info.backend_pid
        used = processor_ms(server) + processor_ms(os.getpid())
        yield connection
        used = processor_ms(server) + processor_ms(os.getpid()) - used
    into.append(Took((time.perf_counter() - began) * 1000, used))


def processor_ms(process: int) -> float:
    """Milliseconds that the main thread of a process has run (Linux)."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e6


async def time_search(pool: Pool, query: SearchQuery, into: list[Took]) -> None:
    async with timed(pool, into) as connection:
        await (search_recordings if query.grouped else search)(connection, query, BUCKET)


async def time_scan(pool: Pool, query: SearchQuery, into: list[Took]) -> None:
    """The simplest way: look for the phrase in every text."""
    async with timed(pool, into) as connection:
        cursor = await connection.execute(
            "select transcription_id, index, text from segments where text ilike %s"
            " order by transcription_id desc, index limit 20",
            (f"%{query.q.strip(chr(34))}%",),
        )
        await cursor.fetchall()


async def time_without_pairs(pool: Pool, query: SearchQuery, into: list[Took]) -> None:
    """A phrase with the words' own entries alone, as PostgreSQL's text search does it."""
    async with timed(pool, into) as connection:
        await connection.execute("set local jit = off")
        cursor = await connection.execute(
            "select transcription_id, index, text from segments where search @@ %s::tsquery"
            " order by transcription_id desc, index limit 20",
            (as_tsquery(query, pairs=False),),
        )
        await cursor.fetchall()


async def plan(pool: Pool, query: SearchQuery) -> list[str]:
    async with pool.connection() as connection:
        await connection.execute("set local jit = off; set local enable_seqscan = off")
        terms = as_tsquery(query)
        find = find_few if await estimate(connection, terms) <= FEW else find_part_by_part
        sql, parameters = await find(connection, terms, query, BUCKET, query.limit)
        cursor = await connection.execute(f"explain (analyze, costs off, timing off) {sql} limit 21", parameters)
        return [row[0] for row in await cursor.fetchall()]


def summary(times: list[Took]) -> dict[str, float]:
    """Median, 95th percentile and maximum of the time, and the 95th percentile of the processor's, in milliseconds."""
    elapsed, used = (sorted(of_kind) for of_kind in zip(*times, strict=True))
    place = min(len(times) - 1, int(len(times) * 0.95))
    return {
        "p50_ms": round(statistics.median(elapsed), 2),
        "p95_ms": round(elapsed[place], 2),
        "max_ms": round(elapsed[-1], 2),
        "cpu_p95_ms": round(used[place], 2),
    }


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    console = Console(highlight=False)
    table = Table(
        title=f"{report['segments']:,} segments ({report['table_mb']} MB, index {report['index_mb']} MB); "
        f"{report['machine']}"
    )
    for heading in ("query", "median", "p95", "max", "p95 of CPU"):
        table.add_column(heading, justify="left" if heading == "query" else "right")
    for kind, row in {
        **report["kinds"],
        f"all (limit of p95: {report['limit_ms']:.0f} ms)": report["all"],
        "baseline: a phrase across a border, by single words": report["baseline_single_words"],
        "baseline: scan for a phrase": report["baseline_scan"],
    }.items():
        table.add_row(kind, *(f"{row[name]:.1f} ms" for name in ("p50_ms", "p95_ms", "max_ms", "cpu_p95_ms")))
    console.print(table)
    for kind, lines in report["plans"].items():
        console.print(f"\nplan of {kind}:\n" + "\n".join(lines), markup=False)


if __name__ == "__main__":
    typer.run(main)
