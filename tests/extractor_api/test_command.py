"""The extractor-api command as its user starts it."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from extractor_api.arguments import cli


@pytest.fixture
def old_config(tmp_path: Path, bucket: Path) -> Path:
    """The config file of an older server, on a free port and quick to stop."""
    path = tmp_path / "config.cfg"
    path.write_text(
        "[server]\nhost = 127.0.0.1\nport = 0\ngrace_seconds = 1\n\n"
        "[paths]\ntemp_dir = /tmp\ndefault_audio_format = mp3\n"
        f"minio_data_path = {bucket.parent}\nbucket_name = videos\n"
    )
    return path


@pytest.fixture
def server(old_config: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    console = tmp_path / "console"
    with console.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "extractor_api", "--config", old_config], stderr=stderr)
    try:
        deadline = time.monotonic() + 60
        while not (address := re.search(r"running on (http://\S+)", console.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, console.read_text()
            time.sleep(0.05)
        yield process, address[1], console
    finally:
        process.kill()
        process.wait()


def test_the_documented_curl_call_and_its_console_lines(
    server: tuple[subprocess.Popen[bytes], str, Path], tmp_path: Path
) -> None:
    process, url, console = server
    call = ["curl", "-sS", "-X", "POST", f"{url}/extract-audio", "-H", "Content-Type: application/json"]
    subprocess.run([*call, "-d", '{"savepath":"short.mp4"}', "--output", tmp_path / "audio.mp3"], check=True)
    subprocess.run(
        [*call, "-d", '{"savepath":"short.mp4","audio_format":"wav"}', "--output", tmp_path / "audio.wav"], check=True
    )
    assert (tmp_path / "audio.wav").read_bytes()[:4] == b"RIFF"
    cut = subprocess.run([*call, "-d", '{"savepath":"half.mp4"}', "--output", tmp_path / "half.mp3"])
    assert cut.returncode == 18, "curl's code for a transfer that ended early"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    lines = console.read_text()
    for words in (
        "server running on",
        "short.mp4: path resolved: ",
        "short.mp4: ffmpeg started (mp3",
        r"short.mp4: ffmpeg finished \(complete\): \d+ bytes sent, 7\.\d s of audio",
        "incomplete_recording: half.mp4: 60.0 s are declared",
        "stopped",
    ):
        assert re.search(words.replace("started (", r"started \("), lines), lines
    assert "Traceback" not in lines


def test_curl_resumes_a_finished_result(server: tuple[subprocess.Popen[bytes], str, Path], tmp_path: Path) -> None:
    _, url, _ = server
    complete = httpx.post(f"{url}/extract-audio", json={"savepath": "short.mp4", "delivery": "file"})
    partial = tmp_path / "partial.mp3"
    partial.write_bytes(complete.content[:5000])
    result_url = url + complete.headers["Content-Location"]
    subprocess.run(["curl", "-sS", "--fail", "-C", "-", result_url, "--output", partial], check=True)
    assert partial.read_bytes() == complete.content


def test_sigterm_during_a_stream_cuts_it_and_leaves_no_ffmpeg(
    server: tuple[subprocess.Popen[bytes], str, Path],
) -> None:
    process, url, _ = server
    body = {"savepath": "long.mp4", "audio_format": "wav", "sample_rate": 192000, "channels": 2}
    with httpx.stream("POST", f"{url}/extract-audio", json=body) as response:
        chunks = response.iter_raw()
        next(chunks)
        children = psutil.Process(process.pid).children()
        assert children
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in chunks:
                pass
    assert not any(child.is_running() for child in children)


def test_check_checks_each_part(old_config: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "extractor_api", "--config", old_config, "check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    subjects = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert subjects == ["ok   config", "ok   ffmpeg", "ok   sandbox", "ok   PyAV", "ok   bucket"]


def test_check_takes_its_config_after_its_name_too(old_config: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "extractor_api", "check", "--config", old_config], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ok   bucket" in done.stdout


def test_check_fails_if_the_bucket_is_missing(old_config: Path) -> None:
    old_config.write_text(old_config.read_text().replace("= videos", "= nothing-here"))
    done = subprocess.run(
        [sys.executable, "-m", "extractor_api", "--config", old_config, "check"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "FAIL bucket" in done.stdout


def test_check_fails_if_bubblewrap_is_installed_and_does_not_work(
    old_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    done = CliRunner().invoke(cli, ["check", "--config", str(old_config)])
    assert done.exit_code == 1
    assert "FAIL sandbox: bubblewrap does not work here: bwrap: No permissions to create new namespace" in done.output


def test_each_mistake_in_the_config_is_a_line_with_exit_code_2(old_config: Path) -> None:
    old_config.write_text("[server]\nport = many\n[paths]\nbucket = videos\n")
    done = subprocess.run(
        [sys.executable, "-m", "extractor_api", "--config", old_config], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"{old_config}:2: [server] port: " in done.stderr
    assert f"{old_config}:4: [paths] bucket: unknown key" in done.stderr
    assert "Traceback" not in done.stderr


def test_libraries_for_minio_and_http_are_loaded_only_by_an_extractor_that_uses_them() -> None:
    """They are a quarter of the service's memory."""
    loaded = "import sys, extractor_api.command; print(sorted({'minio', 'httpx'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True).stdout == b"[]\n"
