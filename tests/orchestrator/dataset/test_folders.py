"""What is done with finished datasets: ``split``, ``diff``, ``verify`` and ``report``."""

import json
import resource
import shutil
import tarfile
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from typer.testing import CliRunner

from orchestrator.cli.main import cli
from orchestrator.exports.dataset.build import shard_name
from orchestrator.exports.dataset.finish import finish
from orchestrator.exports.dataset.finished.plots import MOST_BINS, bins
from orchestrator.exports.dataset.finished.split import Division
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.exports.dataset.plan import Item, PlanSettings, SpeechSettings
from orchestrator.exports.dataset.samples import Missing, Sample, failed_row, record
from orchestrator.exports.dataset.shard_writer import ShardWriter
from reelscribe.media.sound.wav import wav_header
from tests.orchestrator.dataset.conftest import RATE, files, members

PLAN = PlanSettings(
    kind="speech",
    selection={},
    settings=SpeechSettings().model_dump(mode="json"),
    default_bucket="videos",
    shard_mb=0.05,
    with_speakers=True,
)


def make_dataset(root, sources: int, **values):
    """A finished dataset of what :func:`build_dataset` builds."""
    folder, splits = build_dataset(root, sources, **values)
    finish(folder, PLAN, splits)
    return root


def build_dataset(root, sources: int, utterances: int = 3, text: str = "hello", loud: bytes = b"\1\0"):
    """Shards of recordings with some utterances each, and the splits of these; every fifth recording gives no sample,
    and two share a speaker.
    """
    folder = DatasetFolder.of(root)
    splits: list[Any] = []
    folder.mark(1, PLAN.hash())
    for first in range(0, sources, 10):
        with ShardWriter(folder.building, shard_name(len(splits)), "speech") as writer:
            for number in range(first, min(first + 10, sources)):
                item = Item(
                    id=f"{number}.mp4", key=f"k{number}", bucket="videos", savepath=f"{number}.mp4",
                    speaker=f"speaker {number // 2}",
                )  # fmt: skip
                if number % 5 == 4:
                    writer.fail(failed_row(PLAN, "all", item, Missing(None, "object_not_found", "it is gone")))
                    continue
                for utterance in range(utterances):
                    values = {
                        "etag": "e", "text": text, "language": "en", "confidence": 1, "start": utterance, "duration": 1,
                        "audio_start_sample": 0, "audio_samples": 16, "sample_rate": RATE, "channels": 1,
                        "loudness": -9,
                    }  # fmt: skip
                    wav = wav_header(RATE, 1, "mono", 32, room=False) + loud * 16
                    sample = Sample(f"k{number}_{utterance:09d}", {"wav": wav}, values)
                    assert writer.add(sample, record(PLAN, "all", item, sample))
            writer.commit()
        splits.append("all")
    return folder, splits


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("dataset") / "data", 60)


def run(*arguments) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(cli, ["dataset", *map(str, arguments)])
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit), outcome.exception
    return outcome.exit_code, outcome.stdout, outcome.stderr


def parts_of(folder, column: str = "savepath") -> dict[str, set[str]]:
    """In which parts each source is."""
    found: dict[str, set[str]] = {}
    for row in parquet.read_table(folder / "index").to_pylist():
        found.setdefault(row[column], set()).add(row["split"])
    return found


def test_no_source_is_in_two_parts_and_it_stays_there_when_the_data_grows(data, tmp_path):
    grown = make_dataset(tmp_path / "grown", 90)
    for source, target in ((data, "small"), (grown, "large")):
        assert run("split", source, "--ratios", "0.7/0.2/0.1", "--output", tmp_path / target)[0] == 0
        assert run("verify", tmp_path / target)[0] == 0
    small, large = parts_of(tmp_path / "small"), parts_of(tmp_path / "large")
    assert all(len(parts) == 1 for parts in large.values())
    assert len(small) == 48 and small.items() <= large.items()
    assert {"train", "validation", "test"} == set.union(*large.values())
    records = [json.loads(content) for name, content in members(tmp_path / "small") if name.endswith(".json")]
    assert len(records) == 48 * 3
    assert all({record["split"]} == small[record["savepath"]] for record in records)
    failed = parquet.read_table(tmp_path / "small" / "failed.parquet").to_pylist()
    assert len(failed) == 12 and {row["split"] for row in failed} <= {"train", "validation", "test"}


def test_by_speaker_no_speaker_is_in_two_parts(data, tmp_path):
    assert run("split", data, "--folds", "4", "--by", "speaker", "--output", tmp_path / "folds")[0] == 0
    found = parts_of(tmp_path / "folds", "speaker")
    assert all(len(parts) == 1 for parts in found.values())
    assert set.union(*found.values()) == {"fold0", "fold1", "fold2", "fold3"}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.text())
def test_a_source_is_always_in_one_of_the_parts(shares, source):
    names = [str(number) for number in range(len(shares))]
    division = Division(names, [share / sum(shares) for share in shares])
    assert division.part_of(source) == division.part_of(source)
    assert division.part_of(source) in names


def test_the_parts_have_about_their_shares():
    division = Division(("train", "validation", "test"), (0.7, 0.2, 0.1))
    found = [division.part_of(f"videos/{number}.mp4") for number in range(10_000)]
    assert [round(found.count(name) / 10_000, 2) for name in division.names] == [0.7, 0.2, 0.1]


def test_an_interrupted_split_is_done_again_and_is_the_same(data, tmp_path):
    run("split", data, "--ratios", "0.5/0.5", "--output", tmp_path / "whole")
    hash = PLAN.model_copy(
        update={
            "selection": json.loads((tmp_path / "whole" / "manifest.json").read_text())["selection"],
            "default_bucket": "",
        }
    ).hash()
    DatasetFolder.of(tmp_path / "cut").mark(0, hash)
    (tmp_path / "cut" / "building" / "000000.tar.1.tmp").write_text("half")
    assert run("split", data, "--ratios", "0.5/0.5", "--output", tmp_path / "cut")[0] == 0
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "give --ratios, such as 0.7/0.2/0.1, or --folds K"),
        (["--ratios", "0.7/0.2"], 2, "add up to 1"),
        (["--ratios", "most/rest"], 2, "write shares with a / between them"),
        (["--folds", "3", "--names", "a/b"], 2, "3 names of letters, digits and _"),
        (["--folds", "2", "--by", "colour"], 1, "there is no column 'colour'; there are key, id"),
        (["--folds", "2", "--by", "label"], 1, "no sample has a label"),
    ],
)
def test_a_wrong_split_is_a_sentence(data, tmp_path, arguments, code, sentence):
    found, _, said = run("split", data, *arguments, "--output", tmp_path / "o")
    assert (found, sentence in said) == (code, True), said


def test_a_split_into_a_folder_of_other_files_leaves_them(data, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    code, _, said = run("split", data, "--folds", "2", "--output", tmp_path)
    assert (code, "has files already" in said) == (1, True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_split_into_a_file_is_a_sentence(data, tmp_path):
    (tmp_path / "list.csv").write_text("a,1,dog,train")
    code, _, said = run("split", data, "--folds", "2", "--output", tmp_path / "list.csv")
    assert (code, "list.csv cannot be the folder of a dataset: Not a directory" in said) == (1, True), said


def test_diff_says_what_came_went_and_changed(data, tmp_path):
    assert run("diff", data, data)[:2] == (0, "144 samples, all the same\n")
    more = make_dataset(tmp_path / "more", 61)
    louder = make_dataset(tmp_path / "louder", 60, loud=b"\2\0")
    renamed = make_dataset(tmp_path / "renamed", 60, text="goodbye")
    run("split", data, "--folds", "2", "--output", tmp_path / "folds")
    counts = {}
    for name in ("more", "louder", "renamed", "folds"):
        code, shown, _ = run("diff", data, tmp_path / name, "--json")
        found = json.loads(shown)
        assert code == 1
        assert found["versions"][0] != found["versions"][1]
        counts[name] = {
            way: group["count"] for way, group in found.items() if isinstance(group, dict) and group["count"]
        }
    assert counts == {
        "more": {"added": 3}, "louder": {"changed": 144}, "renamed": {"described": 144}, "folds": {"moved": 144},
    }  # fmt: skip
    assert "removed   3: k60_000000000, k60_000000001, k60_000000002" in run("diff", more, data)[1]
    assert louder != renamed


def test_the_version_is_of_the_content(data, tmp_path):
    again = make_dataset(tmp_path / "again", 60)
    assert files(again) == files(data)
    other = make_dataset(tmp_path / "other", 60, text="goodbye")
    versions = [json.loads((folder / "manifest.json").read_text())["version"] for folder in (data, other)]
    assert versions[0] != versions[1]


def test_an_intact_dataset_is_verified(data):
    assert run("verify", data)[:2] == (0, "144 samples in 6 shards verified; 0 wrong\n")


def flip(folder):
    path = folder / "shards" / "all-000001.tar"
    content = bytearray(path.read_bytes())
    content[560] ^= 1
    path.write_bytes(content)


def cut_shard(folder):
    path = folder / "shards" / "all-000001.tar"
    path.write_bytes(path.read_bytes()[:-3000])


def remove_shard(folder):
    (folder / "shards" / "all-000002.tar").unlink()


def add_shard(folder):
    shutil.copy(folder / "shards" / "all-000002.tar", folder / "shards" / "all-000006.tar")


def break_index(folder):
    (folder / "index" / "all-00000-of-00001.parquet").write_bytes(b"PAR1")


def swap_failed(folder):
    table = parquet.read_table(folder / "failed.parquet")
    parquet.write_table(table.slice(1), folder / "failed.parquet")


def other_manifest(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"version": "', '"version": "0'))


def no_manifest(folder):
    (folder / "manifest.json").unlink()


def shorten_shard(folder):
    (folder / "shards" / "all-000001.tar").write_bytes(bytes(512))


def link_in_shard(folder):
    with tarfile.open(folder / "shards" / "all-000001.tar", "w") as tar:
        link = tarfile.TarInfo("x.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (flip, "all-000001.tar has been changed: its SHA-256 is not that of the manifest"),
        (flip, "are not those of the index"),
        (cut_shard, "all-000001.tar has "),
        (remove_shard, "all-000002.tar is missing"),
        (add_shard, "all-000006.tar is no shard of the manifest"),
        (break_index, "all-00000-of-00001.parquet cannot be read"),
        (swap_failed, "failed.parquet is not the file that the manifest describes"),
        (other_manifest, "the version is not the one of these shards"),
        (no_manifest, "is no dataset"),
        (link_in_shard, "x.wav is not a file"),
        (shorten_shard, "all-000001.tar does not end as a tar ends"),
    ],
)
def test_what_is_damaged_is_found(data, tmp_path, damage, sentence):
    shutil.copytree(data, tmp_path / "data")
    damage(tmp_path / "data")
    code, shown, said = run("verify", tmp_path / "data")
    assert code == 1
    assert sentence in shown + said


class Page(HTMLParser):
    """What a page consists of: its elements, their addresses, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attributes):
        self.elements[tag] += 1
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_the_report_is_one_file_with_plots_examples_and_failures(tmp_path):
    make_dataset(tmp_path / "data", 40, text="<script>alert(1)</script> & so on")
    assert run("report", tmp_path / "data") == (0, f"{tmp_path}/data/report.html\n", "")
    page = Page()
    page.feed((tmp_path / "data" / "report.html").read_text())
    assert page.elements["script"] == 0 and "<script>alert(1)</script> & so on" in page.text
    assert page.elements["audio"] == 12 and all(address.startswith("data:audio/wav;") for address in page.addresses)
    for words in ("96samples", "Duration", "Loudness", "Language", "Speaker", "object_not_found", "it is gone"):
        assert words in page.text, words
    assert page.elements["svg"] == 6
    assert run("verify", tmp_path / "data")[0] == 0


def test_a_report_is_the_same_whenever_it_is_written(data, tmp_path):
    for name in ("first.html", "second.html"):
        assert run("report", data, "--output", tmp_path / name)[0] == 0
    assert (tmp_path / "first.html").read_bytes() == (tmp_path / "second.html").read_bytes()
    assert run("report", tmp_path)[0] == 1


def test_a_report_that_the_disk_refuses_leaves_nothing(data, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as a disk that is full
    try:
        code, _, said = run("report", data, "--output", tmp_path / "r.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (code, "r.html cannot be written: File too large" in said) == (1, True), said
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_a_histogram_counts_every_number_once(numbers):
    found = bins(numbers)
    assert sum(found.counts) == len(numbers)
    assert len(found.counts) <= MOST_BINS + 1


def test_a_source_in_two_parts_is_found(data, tmp_path):
    run("split", data, "--folds", "2", "--output", tmp_path / "folds")
    path = tmp_path / "folds" / "manifest.json"
    path.write_text(path.read_text().replace('"by": "savepath"', '"by": "language"'))
    code, shown, _ = run("verify", tmp_path / "folds")
    assert (code, "language=en is in fold" in shown) == (1, True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda manifest: manifest.pop("failed_sha256"),
        lambda manifest: manifest["shards"][0].pop("sha256"),
        lambda manifest: manifest.update(kind="poems"),
        lambda manifest: manifest.update(index=None),
        lambda manifest: manifest["shards"][0].update(name="../../other.tar"),
    ],
)
def test_a_damaged_manifest_is_a_sentence(tmp_path, damage):
    data = make_dataset(tmp_path / "data", 1)
    manifest = json.loads((data / "manifest.json").read_text())
    damage(manifest)
    (data / "manifest.json").write_text(json.dumps(manifest))
    for command in (["verify", data], ["report", data], ["diff", data, data]):
        code, _, err = run(*command)
        assert (code, "it has no readable manifest.json" in err) == (1, True), err
