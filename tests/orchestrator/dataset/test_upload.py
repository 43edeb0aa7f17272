"""``dataset upload``, and ``make`` with ``--to``: into a bucket of a real S3 server, the manifest last."""

import io
import json

import pytest
from minio import Minio

from orchestrator.exports.dataset.finished import upload as uploading
from orchestrator.exports.dataset.finished.upload import DatasetUpload
from reelscribe.errors import PeerUnreachable
from tests.orchestrator.dataset.conftest import files, said
from tests.orchestrator.dataset.test_folders import make_dataset, run
from tests.s3_server import emptied, minio


@pytest.fixture
def s3(s3_port):
    return emptied(s3_port, "training")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two shards, one of which is sent in three parts of 5 MiB."""
    root = make_dataset(tmp_path_factory.mktemp("dataset") / "data", 12, utterances=1, loud=bytes(90_000))
    assert [len(content) > 10 << 20 for name, content in files(root).items() if name.endswith(".tar")] == [True, False]
    return root


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(uploading, "PART_BYTES", 5 << 20)


@pytest.fixture
def config(tmp_path, s3_port):
    section = minio(tmp_path, s3_port)
    path = tmp_path / "minio.cfg"
    path.write_text(
        f"[minio]\nendpoint = {section.endpoint}\naccess_key = reader\nsecure = false\n"
        f"secret_key_file = {section.secret_key_file}\n"
    )
    return path


@pytest.fixture
def upload(config):
    def to(folder, target: str = "training/sets/a", *options: str) -> tuple[int, str, str]:
        return run("upload", folder, target, "--config", config, *options)

    return to


def stored(s3: Minio, prefix: str = "sets/a/") -> dict[str, bytes]:
    found = {}
    for one in s3.list_objects(bucket_name="training", prefix=prefix, recursive=True):
        response = s3.get_object(bucket_name="training", object_name=one.object_name)
        found[one.object_name.removeprefix(prefix)] = response.data
        response.close()
        response.release_conn()
    return found


def replace(s3: Minio, name: str, content: bytes) -> None:
    s3.put_object(bucket_name="training", object_name=name, data=io.BytesIO(content), length=len(content))


def test_all_of_a_dataset_is_in_the_bucket_and_what_is_there_is_not_sent_again(upload, data, s3):
    code, out, err = upload(data)
    assert (code, err) == (0, "")
    assert out.endswith("sent: training/sets/a/\n")
    assert stored(s3) == files(data)
    said = json.loads(upload(data, "training/sets/a", "--json")[1])
    assert (said["sent"], said["bytes"], said["there"]) == (0, 0, len(files(data)))


def test_what_was_interrupted_has_no_manifest_and_is_continued(upload, data, s3, monkeypatch):
    put, names = DatasetUpload._put, []

    def put_three(self, name, *arguments):
        names.append(name)
        if len(names) == 4:
            raise PeerUnreachable("MinIO went away")
        put(self, name, *arguments)

    monkeypatch.setattr(DatasetUpload, "_put", put_three)
    assert upload(data)[0::2] == (1, "MinIO went away\n")
    assert len(stored(s3)) == 3
    assert "manifest.json" not in stored(s3)
    code, out, _ = upload(data)
    assert (code, "3 were there already" in out) == (0, True)
    assert names[-1] == "sets/a/manifest.json", "the last of all"
    assert stored(s3) == files(data)


def test_an_object_with_other_bytes_of_the_same_length_is_replaced(upload, data, s3):
    upload(data)
    for name in ("shards/all-000000.tar", "failed.parquet"):
        replace(s3, f"sets/a/{name}", bytes(len(files(data)[name])))
    assert json.loads(upload(data, "training/sets/a", "--json")[1])["sent"] == 3, "and the manifest"
    assert stored(s3) == files(data)


@pytest.mark.parametrize("wrong", ["shards/all-000001.tar", "index/all-00000-of-00001.parquet"])
def test_while_a_shard_there_is_wrong_there_is_no_manifest(upload, data, s3, monkeypatch, wrong):
    upload(data)
    replace(s3, f"sets/a/{wrong}", b"of yesterday")

    def away(*arguments):
        raise PeerUnreachable("MinIO went away")

    with monkeypatch.context() as patch:
        patch.setattr(DatasetUpload, "_put", away)
        assert upload(data)[0] == 1
    assert "manifest.json" not in stored(s3)
    assert json.loads(upload(data, "training/sets/a", "--json")[1])["sent"] == 2
    assert stored(s3) == files(data)


def test_where_an_etag_is_no_hash_the_bytes_are_read_back(upload, data, s3, monkeypatch):
    local, read_back, read = DatasetUpload._local, DatasetUpload._read_back, []
    monkeypatch.setattr(DatasetUpload, "_local", lambda *args: local(*args)._replace(etag="of an encrypted bucket"))
    monkeypatch.setattr(DatasetUpload, "_read_back", lambda *args: read.append(args[1]) or read_back(*args))
    assert upload(data)[0] == 0
    assert len(read) == len(files(data))
    assert json.loads(upload(data, "training/sets/a", "--json")[1])["sent"] == 0
    monkeypatch.setattr(DatasetUpload, "_read_back", lambda *args: "other bytes")
    code, _, err = upload(data, "training/sets/b")
    assert (code, "is not what was sent, by its SHA-256" in err) == (1, True)
    assert "manifest.json" not in stored(s3, "sets/b/")


def test_a_folder_with_other_objects_is_left_alone(upload, data, s3):
    replace(s3, "sets/a/shards/all-000009.tar", b"of another dataset")
    code, _, err = upload(data)
    assert (code, "1 objects that are not of this dataset (shards/all-000009.tar); name another" in err) == (1, True)
    assert list(stored(s3)) == ["shards/all-000009.tar"]


def test_another_version_that_is_complete_is_left_alone(upload, data, s3, tmp_path):
    upload(data)
    code, _, err = upload(make_dataset(tmp_path / "data", 12, utterances=1))
    assert (code, "training/sets/a/ has another version of a dataset; name another folder" in err) == (1, True)
    assert stored(s3) == files(data)


def test_a_report_goes_with_it_and_stays(upload, s3, tmp_path):
    data = make_dataset(tmp_path / "data", 1)
    run("report", data)
    assert upload(data)[0] == 0
    assert "report.html" in stored(s3)
    (data / "report.html").unlink()
    assert upload(data)[0] == 0


def test_a_damaged_dataset_is_not_uploaded(upload, s3, tmp_path):
    data = make_dataset(tmp_path / "data", 2)
    shard = data / "shards" / "all-000000.tar"
    shard.write_bytes(b"x" + shard.read_bytes()[1:])
    code, _, err = upload(data)
    assert (code, "all-000000.tar is not the file that the manifest describes" in err) == (1, True)
    assert stored(s3) == {}


@pytest.mark.parametrize(
    ("folder", "target", "code", "sentence"),
    [
        (".", "training/sets/c", 1, "is no dataset"),
        ("data", "training", 2, "write BUCKET/FOLDER"),
        ("data", "training/../c", 2, "must not contain"),
        ("data", "nowhere/sets", 1, "NoSuchBucket"),
    ],
)
def test_mistakes_are_sentences(upload, data, tmp_path, s3, folder, target, code, sentence):
    ended, _, err = upload(data if folder == "data" else tmp_path, target)
    assert (ended, sentence in err) == (code, True), err


def test_it_needs_minio(data, tmp_path):
    (tmp_path / "empty.cfg").write_text("")
    code, _, err = run("upload", data, "training/sets/a", "--config", tmp_path / "empty.cfg")
    assert (code, "[minio]: endpoint, access_key and secret_key_file are missing" in err) == (2, True)


@pytest.fixture
async def make(commands, orchestrator, config, put_noise, store_speech, tmp_path):
    """Make a dataset of one recording, with a bucket to copy it to."""
    put_noise("a.wav", 4.0)
    await store_speech("a.wav", said((1, 2)), seconds=4.0)
    orchestrator.config.write_text(orchestrator.config.read_text() + config.read_text())

    async def make(*arguments: str, to: str = "training/sets/made"):
        command = ("dataset", "make", "speech", "--all", "--output", str(tmp_path / "made"), "--to", to)
        return await commands.run(*command, *arguments)

    return make


async def test_make_with_a_bucket_says_so_first_and_then_copies_what_it_made(make, building, s3, tmp_path, sql):
    dry = await make("--dry-run")
    assert (dry.code, dry.out.endswith("; would be copied to training/sets/made/\n")) == (0, True)
    assert stored(s3, "sets/made/") == {}
    async with building():
        made = await make()
    assert made.code == 0, made.err
    assert made.out.endswith("MB sent: training/sets/made/\n")
    assert stored(s3, "sets/made/") == files(tmp_path / "made")
    again = json.loads((await make("--json")).out)
    assert (again["uploaded"]["sent"], again["uploaded"]["there"]) == (0, len(files(tmp_path / "made")))


async def test_make_that_was_interrupted_in_the_bucket_is_continued(make, building, s3, tmp_path, monkeypatch):
    def away(*arguments):
        raise PeerUnreachable("MinIO went away")

    async with building():
        with monkeypatch.context() as patch:
            patch.setattr(DatasetUpload, "_put", away)
            failed = await make()
        assert failed.code == 1
        assert "is complete, training/sets/made/ is not; run the command again" in failed.err
    assert (await make()).code == 0
    assert stored(s3, "sets/made/") == files(tmp_path / "made")


async def test_make_asks_the_bucket_before_it_plans_anything(make, s3, sql):
    replace(s3, "sets/made/manifest.json", json.dumps({"settings_hash": "another"}).encode())
    for to, sentence in {
        "training/sets/made": "has a dataset that was made with other settings; name another folder",
        "nowhere/sets": "NoSuchBucket",
    }.items():
        outcome = await make(to=to)
        assert (outcome.code, sentence in outcome.err) == (1, True), outcome.err
    for arguments, sentence in {("--plan", "x"): "with --plan FILE, nothing is", (): "write BUCKET/FOLDER"}.items():
        outcome = await make(*arguments, to="training/sets/b" if arguments else "training")
        assert (outcome.code, sentence in outcome.err) == (2, True), outcome.err
    assert await sql("select * from datasets") == []
