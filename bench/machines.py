"""The transcriber and the extractor as processes of their own, each with a folder that is gone afterwards."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def extractor(bucket: Path, **limits: int) -> Iterator[tuple[str, psutil.Process]]:
    """An extractor that reads ``bucket``, with ``limits`` in its section ``[extraction]``; its URL and process."""
    sections: dict[str, dict[str, object]] = {
        "server": {"port": 0},
        "paths": {"minio_data_path": bucket.parent},
        "extraction": {**limits},
    }
    with _machine("extractor_api", sections) as running:
        yield running


@contextmanager
def transcriber(extractor_url: str, **settings: object) -> Iterator[tuple[str, psutil.Process]]:
    """A transcriber with ``settings`` in its section ``[transcriber]``; its URL and process, its model loaded."""
    with _machine("transcriber", {"transcriber": {"port": 0, "extractor_url": extractor_url, **settings}}) as running:
        yield running


@contextmanager
def served(command: list[str], folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A server from when its log in ``folder`` tells its URL until the block ends; its URL and process."""
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
def _machine(package: str, sections: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, psutil.Process]]:
    lines = []
    for section, keys in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in keys.items())]
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        config = Path(name) / "config.cfg"
        config.write_text("\n".join(lines) + "\n")
        with served([sys.executable, "-m", package, "--config", str(config)], Path(name)) as running:
            yield running
