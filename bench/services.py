"""The services as processes, each with a temporary folder."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def extractor(bucket: Path, **limits: int | str) -> Iterator[tuple[str, psutil.Process]]:
    """Run an extractor on ``bucket``, with ``limits`` in ``[extraction]``; its URL and process."""
    sections: dict[str, dict[str, object]] = {
        "server": {"port": 0},
        "paths": {"minio_data_path": bucket.parent},
        "extraction": {**limits},
    }
    with _service("extractor_api", sections) as running:
        yield running


@contextmanager
def transcriber(extractor_url: str, **settings: object) -> Iterator[tuple[str, psutil.Process]]:
    """Run a transcriber with ``settings`` in ``[transcriber]``; its URL and process, once the model is loaded."""
    with _service("transcriber", {"transcriber": {"port": 0, "extractor_url": extractor_url, **settings}}) as running:
        yield running


@contextmanager
def orchestrator(
    folder: Path, database_url: str, extractor_url: str | None = None
) -> Iterator[tuple[str, psutil.Process]]:
    """Run ``orchestrator serve`` without a transcriber, its settings and log in ``folder``; its URL and process."""
    lines = ["[orchestrator]", "port = 0", "transcriber_urls = http://127.0.0.1:9"]
    lines += [f"extractor_url = {extractor_url}"] if extractor_url else []
    lines += ["[database]", f"url = {database_url}", "[events]", "reconcile_every = 0"]
    config = folder / "config.cfg"
    config.write_text("\n".join(lines) + "\n")
    with served([sys.executable, "-m", "orchestrator", "serve", "--config", str(config)], folder) as running:
        yield running


@contextmanager
def served(command: list[str], folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server until the block ends, which begins when its log in ``folder`` has its URL; its URL and process."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stderr=output)
    try:
        while "http://" not in log.read_text():
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended:\n{log.read_text()}")
            time.sleep(0.05)
        url = log.read_text().split("running on ")[1].split()[0]
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _service(package: str, sections: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, psutil.Process]]:
    lines = []
    for section, keys in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in keys.items())]
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        config = Path(name) / "config.cfg"
        config.write_text("\n".join(lines) + "\n")
        with served([sys.executable, "-m", package, "--config", str(config)], Path(name)) as running:
            yield running
