"""submit of files of this computer: what to do, or their upload into a bucket that is a plain folder."""

import pytest


@pytest.fixture
def folder(commands, tmp_path):
    commands.config.write_text(commands.config.read_text() + f"[paths]\nminio_data_path = {tmp_path}/minio\n")
    (tmp_path / "minio" / "videos").mkdir(parents=True)
    (tmp_path / "talk.mp4").write_bytes(b"x" * 9_000_000)
    return tmp_path / "minio" / "videos"


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_a_local_file_says_what_to_do(commands, folder, tmp_path, monkeypatch, sql):
    monkeypatch.chdir(tmp_path)
    for name in ("./talk.mp4", str(tmp_path / "talk.mp4"), "../" + tmp_path.name + "/talk.mp4"):
        outcome = await commands.run("submit", name)
        assert outcome.code == 2
        assert outcome.err.endswith(f"submit it with: orchestrator submit --upload {name}\n")
    assert "must not start with" in (await commands.run("submit", "/no/such/file.mp4")).err
    assert (names(folder), await sql("select count(*) from media")) == ([], [(0,)])


async def test_it_is_uploaded_completely_and_submitted(commands, folder, tmp_path, sql):
    outcome = await commands.run("submit", "--upload", str(tmp_path / "talk.mp4"), "--into", "talks")
    assert (outcome.code, outcome.out) == (0, "queued    talks/talk.mp4\n")
    assert names(folder) == ["talks/talk.mp4"]
    assert (folder / "talks" / "talk.mp4").stat().st_size == 9_000_000
    assert await sql("select savepath from media") == [("talks/talk.mp4",)]


async def test_what_exists_is_replaced_only_if_asked(commands, folder, tmp_path):
    (folder / "talk.mp4").write_bytes(b"old")
    kept = await commands.run("submit", "--upload", str(tmp_path / "talk.mp4"))
    assert (kept.code, kept.err.startswith("videos has talk.mp4 already")) == (1, True)
    assert ((folder / "talk.mp4").read_bytes(), names(folder)) == (b"old", ["talk.mp4"])
    assert (await commands.run("submit", "--upload", str(tmp_path / "talk.mp4"), "--overwrite")).code == 0
    assert (folder / "talk.mp4").stat().st_size == 9_000_000


async def test_what_cannot_be_uploaded_is_a_sentence(commands, folder, tmp_path):
    (folder / "file.txt").write_text("x")
    (folder / "out").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    there = str(tmp_path / "talk.mp4")
    for arguments, code, sentence in [
        ([there, there], 2, "would both be stored as talk.mp4"),
        ([there, "--into", "../x"], 2, "must not contain"),
        ([there, "--dry-run"], 2, "neither lists of savepaths nor"),
        (["./no.mp4"], 2, "there is no such file"),
        ([there, "--into", "file.txt/x"], 1, "cannot be written"),
        ([there, "--into", "out/new"], 1, "leads out of"),
        ([there, "--bucket", "other"], 1, "there is no folder"),
    ]:
        outcome = await commands.run("submit", "--upload", *arguments)
        assert (outcome.code, sentence in outcome.err) == (code, True), outcome.err
    assert names(folder) == ["file.txt"]
    assert not list((tmp_path / "elsewhere").iterdir())


async def test_the_folder_of_a_minio_is_left_to_it(commands, folder, tmp_path):
    (folder.parent / ".minio.sys").mkdir()
    outcome = await commands.run("submit", "--upload", str(tmp_path / "talk.mp4"))
    assert (outcome.code, "set [minio] endpoint" in outcome.err) == (1, True)
    assert names(folder) == []


async def test_the_whole_queue_can_be_limited(commands):
    limited = await commands.run("limit", "1")
    assert limited.out == "the queue is limited to 1 at the same time, 0 running\n"
    assert (await commands.run("limit")).code == 2
    assert (await commands.run("limit", "--none")).out == "the queue is neither paused nor limited\n"
    assert (await commands.run("limit", "--none")).err == "the queue was not limited\n"
