"""The command line, each command as a real process on a real database."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys

import httpx
import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.main import COMMANDS, cli
from orchestrator.cli.submission.progress import ProgressLines
from orchestrator.intake.submission import CHUNK
from orchestrator.jobs import queries as job_queries
from orchestrator.jobs.models import Options
from tests.orchestrator.commands import read_all
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.scripted import breaks_off_after, falls_silent_after, refuses, transcribes

SERVICES = {"up", "serve", "worker", "watch", "mcp"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example(command):
    shown = CliRunner().invoke(cli, [command, "--help"])
    assert f"Example: orchestrator {command}" in shown.output


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in SERVICES])
def test_each_command_that_answers_can_answer_in_json(command):
    groups = [typer.main.get_group(cli).get_command(None, command)]
    for one in groups:
        groups += vars(one).get("commands", {}).values()
        assert "commands" in vars(one) or "--json" in [option for found in one.params for option in found.opts]


def test_the_exit_codes_are_in_the_help():
    shown = " ".join(CliRunner().invoke(cli, ["--help"]).output.split())
    assert "0 done; 1 failed, not there or nothing found; 2 a wrong call or config.cfg; 3 the database is" in shown


def test_the_shell_can_complete_commands_and_options():
    asked = {"_ORCHESTRATOR_COMPLETE": "complete_bash", "COMP_WORDS": "orchestrator ex", "COMP_CWORD": "1"}
    program = [
        sys.executable,
        "-c",
        "import sys; sys.argv[0] = 'orchestrator'; from orchestrator.cli.main import cli; cli()",
    ]
    completed = subprocess.run(program, env={**os.environ, **asked}, capture_output=True, text=True)
    assert completed.stdout.split() == ["export"]
    assert "--install-completion" in CliRunner().invoke(cli, ["--help"]).output


async def test_config_is_taken_before_the_command_and_after_it(orchestrator, tmp_path):
    config = str(orchestrator.config)
    assert CliRunner().invoke(cli, ["--config", "/no.cfg", "status"]).stderr.startswith("/no.cfg: cannot be read")
    after = await orchestrator.run("failed")
    before = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "--config", config, "failed"), stdout=subprocess.PIPE
    )
    assert (await before.communicate())[0].decode() == after.out == "no job has failed\n"


async def test_submit_names_what_it_queued_and_that_no_worker_runs(orchestrator):
    outcome = await orchestrator.run("submit", "a.mp4", "b.mp4")
    assert (outcome.code, outcome.out) == (0, "queued    a.mp4\nqueued    b.mp4\n2 submitted: 2 queued\n")
    assert "no worker is running" in outcome.err


async def test_submit_takes_savepaths_from_standard_input_and_from_files(orchestrator, tmp_path):
    (tmp_path / "list.txt").write_text("c.mp4\r\n\n   \n#1 hit.mp4\n")
    outcome = await orchestrator.run(
        "submit", "-", "--from-file", str(tmp_path / "list.txt"), "--json", stdin="a.mp4\nb c.mp4\n"
    )
    jobs = json.loads(outcome.out)["jobs"]
    assert [job["savepath"] for job in jobs] == ["a.mp4", "b c.mp4", "c.mp4", "#1 hit.mp4"]
    assert {(job["state"], job["outcome"]) for job in jobs} == {("queued", "new")}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name at least one savepath"),
        ([""], "SAVEPATH: must not be empty"),
        (["x" * 1025], "SAVEPATH: must have at most 1024 characters"),
        (["--from-file", "missing.txt"], "missing.txt cannot be read: No such file or directory"),
        (["a.mp4", "--language", "en", "--languages", "de,en"], "languages: language names the only one"),
        (["a.mp4", "--language", "english"], "language: 'english' is written en here"),
        (["a.mp4", "--mode", "fast"], "'fast' is not one of"),
        (["a\udcff.mp4"], "SAVEPATH: is not valid Unicode"),
        (["a.mp4", "--bucket", "No Bucket"], "--bucket: 'No Bucket' is not a bucket name"),
        (["a.mp4", "--colour"], "No such option: --colour"),
    ],
)
def test_a_wrong_submission_is_exit_code_2_and_a_sentence(arguments, sentence):
    outcome = CliRunner().invoke(cli, ["submit", *arguments])
    assert outcome.exit_code == 2
    assert sentence in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("submit", "--prefix", "\udcff"), "--prefix"),
        (("submit", "--from-file", "\udcff"), "--from-file"),
        (("submit", "a.mp4", "--language", "\udcff\udcff"), "language"),
        (("submit", "a.mp4", "--option", "hotwords=\udcff"), "hotwords"),
        (("cancel", "--prefix", "\udcff"), "--prefix"),
        (("export", "--prefix", "\udcff", "--output", "x"), "--prefix"),
        (("export", "--all", "--output", "\udcff"), "--output"),
        (("retry", "--code", "\udcff"), "--code"),
        (("retry", "--code", "busy", "--reason", "\udcff"), "--reason"),
        (("pause", "--prefix", "\udcff"), "--prefix"),
        (("resume", "--prefix", "\udcff"), "--prefix"),
        (("limit", "2", "--prefix", "\udcff"), "--prefix"),
        (("search", "\udcff"), "WORDS"),
        (("search", "horse", "--prefix", "\udcff"), "--prefix"),
        (("search", "horse", "--language", "\udcff\udcff"), "--language"),
        (("search", "horse", "--since", "\udcff"), "--since"),
        (("search", "horse", "--bucket", "\udcff"), "--bucket"),
        (("show", "\udcff"), "SAVEPATH"),
        (("status", "\udcff"), "SAVEPATH"),
        (("verify", "\udcff"), "SAVEPATH"),
        (("prune", "--older-than", "\udcff"), "--older-than"),
    ],
)
def test_bytes_that_are_not_utf_8_are_exit_code_2_and_a_sentence(arguments, name):
    outcome = CliRunner().invoke(cli, [*arguments, "--config", "/no.cfg"])
    assert (outcome.exit_code, outcome.stderr.partition(":")[0], outcome.stderr.count("\n")) == (2, name, 1)


async def test_a_database_user_without_rights_is_exit_code_1_and_a_sentence(orchestrator, sql):
    await sql("create role ann login")
    try:
        await sql("grant all on _yoyo_migration, jobs, segments, procrastinate_jobs to ann")
        orchestrator.config.write_text(orchestrator.config.read_text().replace("//postgres:@", "//ann@"))
        outcome, checked = await orchestrator.run("status"), await orchestrator.run("check")
    finally:
        await sql("drop owned by ann")
        await sql("drop role ann")
    assert (outcome.code, outcome.err.startswith("the database denies it: permission denied for table")) == (1, True)
    assert (checked.code, "FAIL database: permission denied for table" in checked.out) == (1, True)


async def test_who_paused_is_shown_though_the_name_is_not_utf_8(orchestrator, monkeypatch):
    monkeypatch.setenv("LOGNAME", "\udcff")
    outcome = await orchestrator.run("pause")
    assert (outcome.code, "by \\udcff@" in outcome.out) == (0, True)


async def test_submit_wait_follows_the_job_to_its_end(orchestrator, working):
    async with working():
        outcome = await orchestrator.run("submit", "talk.mp4", "--wait")
    assert outcome.code == 0
    assert "done      talk.mp4: 30.0 s" in outcome.err


async def test_submit_wait_is_exit_code_1_with_the_sentence_of_what_failed(orchestrator, working, transcriber):
    transcriber.scripts = [refuses(404, "object_not_found", "videos has no talk.mp4", False)]
    async with working():
        outcome = await orchestrator.run("submit", "talk.mp4", "--wait")
    assert outcome.code == 1
    assert "failed    talk.mp4: videos has no talk.mp4" in outcome.err


async def test_submit_wait_json_prints_the_finished_jobs(orchestrator, working):
    async with working():
        outcome = await orchestrator.run("submit", "talk.mp4", "--wait", "--json")
    [job] = json.loads(outcome.out)["jobs"]
    assert (job["state"], job["complete"], job["progress_seconds"]) == ("done", True, 30.0)


async def test_submit_wait_shows_a_bar_on_a_terminal(orchestrator, working, transcriber):
    transcriber.scripts = [falls_silent_after(1), transcribes()]
    ours, theirs = pty.openpty()
    async with working(progress_timeout=1.5):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "orchestrator", "submit", "talk.mp4", "--wait"),
            *("--config", str(orchestrator.config)),
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        )
        os.close(theirs)
        shown = await asyncio.to_thread(read_all, ours)
        assert await process.wait() == 0
    assert "10.0 of 30.0 s" in shown
    assert "━━" in shown
    assert "done      talk.mp4: 30.0 s" in shown


async def test_ctrl_c_leaves_the_job_in_the_queue_and_says_how_to_see_it(orchestrator, sql):
    command = await orchestrator.start("submit", "talk.mp4", "--wait")
    await command.says("no worker is running")
    outcome = await command.ends(signal.SIGINT)
    assert outcome.code == 130
    assert "see them with: orchestrator status" in outcome.err
    assert await sql("select state from transcriptions") == [("queued",)]


async def test_status_of_one_savepath_says_why_it_failed(orchestrator, submit, working, transcriber, job_in):
    transcriber.scripts = [refuses(422, "no_audio_track", "talk.mp4 has no sound", False)]
    async with working():
        await job_in((await submit()).id, "failed")
    assert "    it has no sound\n" in (await orchestrator.run("status", "talk.mp4")).out
    shown = json.loads((await orchestrator.run("status", "talk.mp4", "--json")).out)
    assert shown["jobs"][0]["error"]["code"] == "no_audio_track"


async def test_a_savepath_cannot_command_the_terminal(orchestrator, submit):
    await submit("a\x1b[2J\nb.mp4")
    assert r"a\x1b[2J\nb.mp4" in (await orchestrator.run("status")).out


@pytest.mark.parametrize("command", ["status", "show", "retry", "cancel"])
async def test_an_unknown_savepath_is_exit_code_1_and_the_next_command(command, orchestrator):
    outcome = await orchestrator.run(command, "unknown.mp4")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "unknown.mp4 has not been submitted; do that with: orchestrator submit unknown.mp4\n"


async def test_a_job_of_which_nothing_is_known_yet_is_shown_without_a_colon(submit, sql, pool, capsys):
    job = await submit()
    await sql("update transcriptions set state = 'running'")
    async with pool.connection() as connection:
        [running] = await job_queries.jobs_by_id(connection, [job.id])
    ProgressLines().show(running)
    assert capsys.readouterr().err == "running   talk.mp4\n"


async def test_a_command_that_is_suggested_can_be_pasted(orchestrator, submit, submissions):
    outcome = await orchestrator.run("status", "my talk.mp4")
    assert outcome.err.endswith("orchestrator submit 'my talk.mp4'\n")
    await submissions.cancel([(await submit("my talk.mp4")).id])
    assert (await orchestrator.run("show", "my talk.mp4")).err.endswith("orchestrator retry 'my talk.mp4'\n")


async def test_show_prints_the_transcript_in_each_format(orchestrator, submit, working, job_in):
    async with working():
        await job_in((await submit()).id, "done")
    timed = (await orchestrator.run("show", "talk.mp4", "--timestamps")).out
    assert timed.splitlines()[0] == "[00:00:01.000 --> 00:00:04.000] sentence 0"
    srt = (await orchestrator.run("show", "talk.mp4", "--format", "srt")).out
    assert srt.startswith("1\n00:00:01,000 --> 00:00:04,000\nsentence 0\n\n2\n")
    receipt = json.loads((await orchestrator.run("show", "talk.mp4", "--json")).out)["receipt"]
    assert (receipt["declared_seconds"], receipt["complete"], receipt["samples"]) == (30.0, True, 480_000)
    assert (receipt["track"], receipt["track_choice"]) == (1, "the default track")


async def test_show_says_that_a_language_is_uncertain(orchestrator, submit, working, job_in, transcriber):
    transcriber.scripts = [breaks_off_after(1, probability=0.27), transcribes()]
    async with working():
        await job_in((await submit()).id, "done")
    outcome = await orchestrator.run("show", "talk.mp4")
    assert (outcome.code, outcome.err.count("\n")) == (0, 1)
    assert outcome.err.startswith("the language, en, is uncertain: its probability is 0.27")
    shown = json.loads((await orchestrator.run("show", "talk.mp4", "--json")).out)
    assert (shown["language"], shown["language_probability"], shown["language_uncertain"]) == ("en", 0.27, True)


async def test_show_says_that_a_transcript_is_incomplete(orchestrator, submit, working, job_in, transcriber):
    transcriber.scripts = [transcribes(2, incomplete="20 of 60 s came out")]
    async with working():
        await job_in((await submit(allow_incomplete=True)).id, "done")
    outcome = await orchestrator.run("show", "talk.mp4")
    assert (outcome.code, outcome.err) == (0, "this transcript is incomplete: 20 of 60 s came out\n")


async def test_retry_continues_where_the_job_failed(orchestrator, submit, working, job_in, transcriber):
    transcriber.scripts = [breaks_off_after(1), refuses(422, "not_decodable", "broken", False), transcribes()]
    job = await submit()
    async with working():
        await job_in(job.id, "failed")
        outcome = await orchestrator.run("retry", "--all-failed")
        assert (outcome.code, outcome.out) == (0, "again     talk.mp4\n")
        await job_in(job.id, "done")
    assert transcriber.requests[-1]["start"] == 10.0


async def test_retry_leaves_alone_what_did_not_fail(orchestrator, submit):
    await submit()
    assert (await orchestrator.run("retry", "talk.mp4")).out == "unchanged talk.mp4: it is queued\n"
    assert (await orchestrator.run("retry")).code == 2


async def test_cancel_cancels(orchestrator, submit, sql):
    await submit()
    assert (await orchestrator.run("cancel", "talk.mp4")).out == "cancelled talk.mp4\n"
    assert await sql("select state from transcriptions") == [("cancelled",)]


async def test_what_was_submitted_by_mistake_is_cancelled_by_its_prefix(
    orchestrator, submissions, store_transcript, sql
):
    await store_transcript("old/done.mp4", "words")
    await submissions.submit(BUCKET, [f"old/{number}.mp4" for number in range(CHUNK + 1)], Options())
    await submissions.submit(BUCKET, ["a_d/1.mp4", "abd/2.mp4"], Options())
    assert (await orchestrator.run("cancel", "--prefix", "a_d/")).out == "cancelled a_d/1.mp4\n"
    assert (await orchestrator.run("cancel", "--prefix", "old/")).out == f"{CHUNK + 1} jobs cancelled\n"
    assert json.loads((await orchestrator.run("cancel", "--all", "--yes", "--json")).out) == {"changed": 1}
    none = await orchestrator.run("cancel", "--all", "--yes")
    assert none.out == "no such job is unfinished; see: orchestrator status\n"
    assert await sql("select distinct state from transcriptions order by 1") == [("cancelled",), ("done",)]
    assert (await orchestrator.run("cancel", "x.mp4", "--all")).code == 2


async def test_all_mistakes_of_the_config_are_reported_together(orchestrator):
    orchestrator.config.write_text("[orchestrator]\nport = many\ncolour = red\n")
    outcome = await orchestrator.run("status")
    assert outcome.code == 2
    assert [line.partition(": [")[0] for line in outcome.err.splitlines()] == [
        f"{orchestrator.config}:2",
        f"{orchestrator.config}:3",
    ]


async def test_a_database_that_does_not_answer_is_one_sentence(orchestrator, free_port):
    orchestrator.config.write_text(f"[database]\nurl = postgresql://me:secret@127.0.0.1:{free_port}/reelscribe\n")
    outcome = await orchestrator.run("status")
    assert outcome.code == 1
    assert outcome.err.startswith("the database reelscribe at 127.0.0.1 cannot be used: ")
    assert outcome.err.endswith("then try: orchestrator check\n")
    assert "secret" not in outcome.err


@pytest.fixture
def reachable_extractor(orchestrator, extractor):
    text = orchestrator.config.read_text()
    orchestrator.config.write_text(text.replace("[orchestrator]", f"[orchestrator]\nextractor_url = {extractor}"))


async def test_check_reports_each_part(orchestrator, transcriber, reachable_extractor):
    outcome = await orchestrator.run("check")
    assert outcome.code == 0
    assert [line[:5] for line in outcome.out.splitlines()] == ["ok   "] * 7
    assert f"{transcriber.url}: model scripted, 4 of 4 slots free" in outcome.out


async def test_check_names_what_does_not_work(orchestrator, free_port):
    text = orchestrator.config.read_text()
    line = next(line for line in text.splitlines() if line.startswith("transcriber_urls"))
    orchestrator.config.write_text(text.replace(line, f"transcriber_urls = http://127.0.0.1:{free_port}"))
    outcome = await orchestrator.run("check")
    assert outcome.code == 1
    assert f"FAIL http://127.0.0.1:{free_port}: the transcriber at" in outcome.out
    assert "FAIL extractor: " in outcome.out


async def test_check_json_names_each_part(orchestrator, reachable_extractor):
    proofs = json.loads((await orchestrator.run("check", "--json")).out)
    assert [(proof["subject"][:7], proof["ok"]) for proof in proofs] == [
        ("config", True),
        ("databas", True),
        ("extract", True),
        ("bucket ", True),
        ("sandbox", True),
        ("http://", True),
        ("sandbox", True),
    ]


async def test_a_worker_process_works_and_hands_back_on_sigterm(orchestrator, submit, job_in, transcriber):
    transcriber.scripts = [transcribes(), falls_silent_after(2)]
    worker = await orchestrator.start("worker")
    await worker.says("takes as many jobs as the transcribers have slots")
    await job_in((await submit("one.mp4")).id, "done")
    job = await submit("two.mp4")
    while (await job_in(job.id, "queued", "running")).progress_seconds < 20:
        await asyncio.sleep(0.02)
    assert (await worker.ends(signal.SIGTERM)).code == 0
    assert (await job_in(job.id, "queued")).progress_seconds == 20


async def test_serve_is_a_worker_and_the_http_api(orchestrator, job_in, free_port):
    server = await orchestrator.start("serve")
    await server.says("server running")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}") as api:
        [job] = (await api.post("/api/jobs", json={"savepath": "talk.mp4"})).json()["jobs"]
        await job_in(job["id"], "done")
        assert (await api.get("/api/transcripts/talk.mp4?format=txt")).text.startswith("sentence 0\n")
    assert (await server.ends(signal.SIGTERM)).code == 0


async def test_a_taken_port_is_a_sentence_and_exit_code_2(orchestrator, transcriber):
    text = orchestrator.config.read_text()
    port = transcriber.url.rpartition(":")[2]
    line = next(line for line in text.splitlines() if line.startswith("port"))
    orchestrator.config.write_text(text.replace(line, f"port = {port}"))
    outcome = await orchestrator.run("serve")
    assert outcome.code == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in outcome.err
