"""The pages for beginners are true: commands run, output is what they print, settings are those that exist."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.main import COMMANDS
from reelscribe.settings.loading import Settings
from tests.installation import Reelscribe

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SETTINGS = ROOT / "docs" / "settings.md"
FOR_BEGINNERS = [(ROOT / "docs" / page).read_text() for page in ("quickstart.md", "how-to.md")]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> list[str]:
    """Of all these pages, each once, in their order."""
    texts = (README, *FOR_BEGINNERS)
    return list(
        dict.fromkeys(line for text in texts for block in blocks("sh", text) for line in block.splitlines() if line)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.mark.parametrize("command", commands())
def test_every_command_works_as_typed(command: str, reelscribe: Reelscribe, folder: Path) -> None:
    for port, url in (
        (8888, reelscribe.extractor_url),
        (8889, reelscribe.transcriber_url),
        (8890, reelscribe.orchestrator_url),
    ):
        command = command.replace(f"http://localhost:{port}", url)
    program, *arguments = shlex.split(command)
    typed = (
        ["curl", "--fail-with-body", "-sS", *arguments]
        if program == "curl"
        else [sys.executable, "-m", program, *arguments, "--config", str(reelscribe.config)]
    )
    completed = subprocess.run(typed, cwd=folder, capture_output=True, timeout=60)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    if program == "curl" and "--output" in arguments:
        assert (folder / arguments[-1]).stat().st_size > 100_000
    else:
        assert completed.stdout


def test_the_demo_prints_what_the_readme_shows() -> None:
    shown = next(block for block in blocks("console") if "make demo" in block).splitlines()[1:]
    output = demo("-m", "demo")
    if output[0].startswith("tiny.en can be had neither"):
        pytest.skip("the weights of tiny.en are not installed, and Hugging Face cannot be reached")
    printed = [comparable(line) for line in output]
    for line in shown:
        if not line.startswith(("...", "running")):  # how often a job is seen running depends on the host
            words, seconds = comparable(line)
            found = [times for said, times in joined(printed) if said == words]
            assert any(times == pytest.approx(seconds, abs=0.3) for times in found), line


def test_the_demo_does_with_the_bundled_model_if_tiny_en_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    without_package = "from transcriber.model.packaged import PACKAGED; PACKAGED.clear()"
    explained, *rest = demo("-c", f"{without_package}; import runpy; runpy.run_module('demo', run_name='__main__')")
    assert re.fullmatch(r"tiny\.en can be had neither from .*, so the bundled model mini .*\.", explained)
    assert rest[0] == "1. A bucket with one recording: demo/minute.flac"
    assert any(line.endswith("We repaired your very happy horse on Friday night.") for line in rest)


def demo(*command: str) -> list[str]:
    """The lines that the demo prints."""
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout.splitlines()


def test_make_demo_does_without_the_weights_if_no_package_index_has_them(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "all").touch()
    installed = ["make", "--old-file=.venv/all", ".venv/tiny-en"]
    assert subprocess.run([*installed, "PIP=false"], cwd=tmp_path, capture_output=True).returncode == 0
    assert not (tmp_path / ".venv" / "tiny-en").exists()
    assert subprocess.run([*installed, "PIP=true"], cwd=tmp_path, capture_output=True).returncode == 0
    assert (tmp_path / ".venv" / "tiny-en").exists()


def comparable(line: str) -> tuple[str, list[float]]:
    """A line without its speed and times, and its times in seconds: they differ a little from CPU to CPU."""
    times = re.findall(r"(\d\d):(\d\d):([\d.]+)", line)
    without_times = re.sub(r"\d\d:\d\d:[\d.]+", "TIME", re.sub(r"[\d.]+ x real time", "N x real time", line))
    return without_times, [int(hours) * 3600 + int(minutes) * 60 + float(seconds) for hours, minutes, seconds in times]


def joined(lines: list[tuple[str, list[float]]]) -> list[tuple[str, list[float]]]:
    """The lines, and each with those that follow it as one: some CPUs divide a sentence where others do not."""
    found = list(lines)
    for number, (said, times) in enumerate(lines):
        for next_said, next_times in lines[number + 1 : number + 3]:
            if len(times) == len(next_times) == 2:
                said, times = f"{said} {next_said.partition('] ')[2]}", [times[0], next_times[1]]
                found.append((said, times))
    return found


def test_the_table_of_commands_lists_every_command() -> None:
    first_cells = " ".join(re.findall(r"^\| (`.*?) \| ", README, re.MULTILINE))
    assert COMMANDS.keys() - set(re.findall(r"\w+", first_cells)) == set()


@pytest.mark.parametrize(
    ("target", "runs"),
    [("demo", "-m demo"), ("serve", "orchestrator up"), ("test", "pytest"), ("test-system", "--tier system")],
)
def test_make_runs_what_the_readme_says(target: str, runs: str) -> None:
    planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert runs in planned.stdout


def settings_table() -> list[str]:
    """The table between the markers, as it must be: every key, its value in config.cfg, and the comment on it."""
    comments = config_comments()
    rows = ["| section | key | default | |", "| --- | --- | --- | --- |"]
    for section, field in Settings.model_fields.items():
        assert field.annotation
        for key, setting in field.annotation.model_fields.items():
            default = comments[section, key][0]
            assert setting is not None
            rows.append(
                f"| `[{section}]` | `{key}` | {f'`{default}`' if default else ''} | {comments[section, key][1]} |"
            )
    return rows


def config_comments() -> dict[tuple[str, str], tuple[str, str]]:
    """Value and comment of each key of config.cfg; a comment is above the keys it is about."""
    found, section, comment, fresh = {}, "", "", False
    for line in (ROOT / "config.cfg").read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            section, comment = line[1:-1], ""
        elif line.startswith("# ---") or not line:
            comment = ""
        elif line.startswith("# "):
            comment = f"{comment} {line[2:]}" if fresh else line[2:]
            fresh = True
            continue
        elif "=" in line:
            key, _, value = line.partition("=")
            found[section, key.strip()] = (value.strip(), comment if fresh else "")
        fresh = False
    return found


def test_the_settings_table_has_every_key_and_config_cfgs_words() -> None:
    assert between("settings", SETTINGS.read_text()).splitlines() == settings_table(), (
        "run: python -m tests.test_readme"
    )


def bench_extractor() -> list[str]:
    """What the last ``make bench-extractor`` that was kept has measured."""
    report = json.loads((ROOT / "bench" / "results" / "extractor.json").read_text())
    rows = [
        "| | time over bare ffmpeg | first byte | obvious: time | obvious: first byte |",
        "| --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| {row['format']} | **{row['ratio']:.2f}** | {row['first_byte_ms']:.0f} ms | {row['obvious_ratio']:.2f} | "
        f"{row['obvious_first_byte_ms'] / 1000:.1f} s |"
        for row in report["formats"]
    ]
    rows += [
        "",
        f"{report['recording']}, {report['machine']}, ffmpeg {report['ffmpeg']}. "
        f"Sixteen concurrent requests take {report['sixteen_concurrently']['ratio']:.2f} times as long as the same "
        "sixteen run bare, two at a time. "
        f"An object in MinIO's `xl.meta` layout takes {report['xl_meta']['ratio']:.2f} times as long as a plain file. "
        f"The sandbox adds {report['sandbox_start_ms']['added']:.0f} ms to a start. "
        f"The server's memory grew by at most {max(row['memory_growth_mb'] for row in report['formats']):.0f} MB.",
    ]
    return rows


def bench_real() -> list[str]:
    """What the last ``make bench-real`` that was kept has measured."""
    report = json.loads((ROOT / "bench" / "results" / "real.json").read_text())
    said, silent, long, clips = report["all"], report["groups"]["nospeech"], report["long"], report["clips"]
    ways = list(said["ways"])
    kinds = ("substituted", "left_out", "put_in")
    wrong = {way: sum(said["ways"][way][kind] for kind in kinds) / said["words"] for way in ways}
    of_long = {way: long["cpu_s"][way] / long["cpu_s"]["Batched, timestamps"] for way in ways}
    of_clips = [clips["ways"][way]["cpu_s"] / clips["ways"]["WhisperModel"]["cpu_s"] for way in ways[:2]]
    return [
        f"| | {' | '.join(ways)} |",
        "| --- |" + " --- |" * len(ways),
        f"| wrong words, of {said['words']} | {' | '.join(f'{wrong[way]:.1%}' for way in ways)} |",
        f"| words left out | {' | '.join(str(said['ways'][way]['left_out']) for way in ways)} |",
        f"| words in {silent['recordings']} recordings without speech "
        f"| {' | '.join(str(silent['ways'][way]['put_in']) for way in ways)} |",
        f"| CPU time for {long['seconds'] / 60:.0f} minutes, over the last column's "
        f"| {' | '.join(f'{of_long[way]:.2f}' for way in ways)} |",
        f"| CPU time for {clips['clips']} clips at the same time, over the second column's "
        f"| **{of_clips[0]:.2f}** | {of_clips[1]:.2f} | |",
        "",
        f"{report['machine']}; {report['model']}, int8; CPU time includes the extractor's.",
    ]


BENCHES = {"bench-extractor": bench_extractor, "bench-real": bench_real}


@pytest.mark.parametrize("marker", BENCHES)
def test_the_measurements_are_what_the_benches_printed(marker: str) -> None:
    assert between(marker, README).splitlines() == BENCHES[marker](), "run: python -m tests.test_readme"


def between(marker: str, page: str) -> str:
    shown = re.search(rf"<!-- {marker} -->\n(.*?)\n<!-- /{marker} -->", page, re.DOTALL)
    assert shown
    return shown[1]


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_index_of_the_documentation_leads_to_every_page() -> None:
    docs = ROOT / "docs"
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", (docs / "README.md").read_text()))
    assert {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - linked == {"README.md"}


if __name__ == "__main__":
    for page, made in ((ROOT / "README.md", BENCHES), (SETTINGS, {"settings": settings_table})):
        text = page.read_text()
        for marker, make in made.items():
            text = text.replace(between(marker, text), "\n".join(make()))
        page.write_text(text)
