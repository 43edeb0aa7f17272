"""submit of files of this computer: what to do, or their upload into a bucket that is a plain folder."""

import os

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
    left = folder / "talks" / ".reelscribe-7.part"
    left.parent.mkdir()
    left.write_bytes(b"x")
    os.utime(left, (0, 0))
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
    there, meta = str(tmp_path / "talk.mp4"), str(tmp_path / "xl.meta")
    (tmp_path / "xl.meta").write_bytes(b"x")
    for arguments, code, sentence in [
        ([there, there], 2, "would both be stored as talk.mp4"),
        ([there, "--into", "../x"], 2, "must not contain"),
        ([there, "--dry-run"], 2, "neither lists of savepaths nor"),
        (["./no.mp4"], 2, "there is no such file"),
        ([there, meta, "--into", "new"], 2, "new/xl.meta is named like an unfinished or hidden file; give it another"),
        ([there, "--into", "new/xl.meta"], 2, "hidden file"),
        ([there, "--into", ".new"], 2, "hidden file"),
        ([there, "--into", "file.txt/x"], 1, "cannot be written"),
        ([there, "--into", "out/new"], 1, "leads out of"),
        ([there, "--bucket", "other"], 1, "there is no folder"),
    ]:
        outcome = await commands.run("submit", "--upload", *arguments)
        assert (outcome.code, sentence in outcome.err) == (code, True), outcome.err
    assert names(folder) == ["file.txt"]
    assert not list((tmp_path / "elsewhere").iterdir())


async def test_a_file_in_the_folder_of_the_bucket_is_submitted_by_its_savepath(
    commands, folder, tmp_path, monkeypatch, sql
):
    (folder / "my talks").mkdir()
    (folder / "my talks" / "one.flac").write_bytes(b"x")
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder / "my talks")
    for name in (str(folder / "my talks" / "one.flac"), str(tmp_path / "link" / "my talks" / "one.flac"), "./one.flac"):
        for options in ((), ("--upload",), ("--upload", "--into", "my talks", "--overwrite")):
            outcome = await commands.run("submit", name, *options)
            assert (outcome.code, outcome.out) == (2, "")
            assert outcome.err == (
                f"{name} is in the bucket already; submit it with: orchestrator submit 'my talks/one.flac'\n"
            )
    (folder.parent / "more").mkdir()
    (folder.parent / "more" / "two.flac").write_bytes(b"x")
    there = str(folder.parent / "more" / "two.flac")
    assert (await commands.run("submit", there, "--bucket", "more")).err.endswith("submit two.flac --bucket more\n")
    assert (await commands.run("submit", there)).err.endswith(f"submit --upload {there}\n")
    assert (names(folder), await sql("select count(*) from media")) == (["my talks/one.flac"], [(0,)])


async def test_a_file_in_the_folder_of_a_bucket_is_uploaded_to_another_one_or_to_another_host(commands, folder):
    (folder / "one.flac").write_bytes(b"x")
    (folder.parent / "more").mkdir()
    assert (await commands.run("submit", "--upload", str(folder / "one.flac"), "--bucket", "more")).code == 0
    elsewhere = await commands.run("submit", str(folder / "one.flac"), "--server", "http://127.0.0.1:1")
    assert elsewhere.err.endswith(f"submit it with: orchestrator submit --upload {folder}/one.flac\n")


async def test_what_minio_stores_in_its_folder_is_no_object_itself(commands, folder):
    part = folder / "one.flac" / "3f6a" / "part.1"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x")
    (folder / "one.flac" / "xl.meta").write_bytes(b"x")
    for file in (part, folder / "one.flac" / "xl.meta"):
        assert "is a file of this computer, and not of the bucket" in (await commands.run("submit", str(file))).err


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
