"""``deploy/install.sh`` as far as it goes without a systemd: its arguments, and an image."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reelscribe.settings.loading import load_settings

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "install.sh"
PIP = """\
#!/bin/sh
# python3 -m venv FOLDER: a pip that writes down what it is to install, and a program that names its folder.
[ "$1 $2" = "-m venv" ] || exit 0
mkdir -p "$3/bin" && cd "$3/bin" || exit
printf '#!/bin/sh\\necho "$*" >> "$(dirname "$0")/../pip.log"\\n' > python
printf '#!%s/python\\n' "$PWD" > extractor-api
touch ../pyvenv.cfg
chmod +x *
"""


def install(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which service"),
        (["transcribe"], "transcribe is neither a service nor an option"),
        (["extractor", "watch"], "one service at a time"),
        (["extractor", "--root"], "--root needs a folder"),
        (["extractor", "--wheelhouse", "/no/such"], "/no/such: there is no such folder"),
    ],
)
def test_what_it_does_not_understand_is_said_and_nothing_is_done(arguments, said):
    refused = install("--dry-run", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr


def test_a_python_that_is_not_there_is_said_and_nothing_is_installed(tmp_path):
    refused = install("extractor", "--dry-run", "--root", tmp_path, PYTHON="/no/such/python")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "there is no /no/such/python; name the Python" in refused.stderr


def test_help_names_every_service_and_option():
    shown = install("--help")
    assert shown.returncode == 0
    offered = set(re.findall(r"^ {12}(--[\w-]+|[a-z]+)(?: \| (.*?))?\)", SCRIPT.read_text(), re.MULTILINE))
    words = {word for first, rest in offered for word in [first, *rest.split(" | ")] if word}
    assert {"--dry-run", "--wheelhouse", "extractor", "watch"} <= words
    assert [word for word in words if word not in shown.stdout] == []


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("systemd-sysusers"), reason="needs root and systemd")
class TestImage:
    """Installed into the file system of an image, with a Python that installs nothing."""

    @pytest.fixture
    def image(self, tmp_path: Path) -> Path:
        (tmp_path / "image/etc").mkdir(parents=True)
        (tmp_path / "python3").write_text(PIP)
        (tmp_path / "python3").chmod(0o755)
        return tmp_path / "image"

    @pytest.fixture
    def add(self, image: Path):
        def run(*arguments: object) -> subprocess.CompletedProcess[str]:
            done = install(*arguments, "--root", image, PYTHON=str(image.parent / "python3"))
            assert done.returncode == 0, done.stdout + done.stderr
            return done

        return run

    def test_it_holds_all_that_the_service_needs(self, image, add):
        add("extractor")
        passwd = (image / "etc/passwd").read_text()
        uid = int(re.findall(r"^reelscribe:[^:]*:(\d+):", passwd, re.MULTILINE)[0])
        tokens = image / "etc/reelscribe/tokens"
        assert re.fullmatch("[0-9a-f]{64}\n", tokens.read_text())
        assert (tokens.stat().st_mode & 0o777, tokens.stat().st_uid) == (0o600, uid)
        settings = load_settings(image / "etc/reelscribe/config.cfg")
        assert settings.auth.token_file == Path("/etc/reelscribe/tokens")
        assert settings.client.token_file is None  # that of [auth], wherever conf.d has it
        assert settings.database.data_dir == Path("/var/lib/reelscribe/postgres")
        assert settings.ingest.data_dir == Path("/var/lib/reelscribe/ingest")
        assert settings.paths.minio_data_path == Path("/data/minio")
        wanted = image / "etc/systemd/system/multi-user.target.wants/reelscribe-extractor.service"
        assert os.readlink(wanted) == "/etc/systemd/system/reelscribe-extractor.service"
        program = image / "opt/reelscribe/.venv/bin/extractor-api"
        assert program.read_text() == "#!/opt/reelscribe/.venv/bin/python\n"

    def test_a_second_service_shares_it_and_each_can_be_removed_alone(self, image, add):
        add("extractor")
        token = (image / "etc/reelscribe/tokens").read_text()
        secret = image / "etc/reelscribe/webhook.secret"
        secret.touch()
        add("transcriber")
        assert (image / "etc/reelscribe/tokens").read_text() == token
        assert (secret.stat().st_mode & 0o777, secret.stat().st_uid) == (
            0o600,
            (image / "etc/reelscribe/tokens").stat().st_uid,
        )
        add("extractor", "--uninstall")
        units = image / "etc/systemd/system"
        assert sorted(path.name for path in units.rglob("reelscribe-*")) == 2 * ["reelscribe-transcriber.service"]
        assert (image / "opt/reelscribe/.venv").exists()
        add("transcriber", "--uninstall")
        assert list(units.rglob("reelscribe-*")) == [] and not (image / "opt/reelscribe").exists()
        assert (image / "etc/reelscribe/tokens").read_text() == token

    def test_packages_come_from_a_folder_of_wheels_only(self, image, add, tmp_path):
        add("extractor", "--wheelhouse", tmp_path)
        lines = (image / "opt/reelscribe/.venv/pip.log").read_text().splitlines()
        assert len(lines) == 2 and all(f"--no-index --find-links {tmp_path} " in line for line in lines)
        assert lines[0].endswith(" reelscribe[extractor]")

    def test_an_environment_of_another_python_is_made_again(self, image, add):
        environment = image / "opt/reelscribe/.venv"
        add("extractor")
        (environment / "pip.log").unlink()
        (environment / "of-before").touch()
        add("extractor")
        assert (environment / "of-before").exists()
        (environment / "bin/python").write_text("#!/bin/sh\necho No module named pip >&2; exit 1\n")
        add("extractor")
        assert not (environment / "of-before").exists()
        assert (environment / "pip.log").read_text().endswith("[extractor]\n")

    def test_the_package_of_the_orchestrator_has_what_assistants_need(self, image, add):
        add("orchestrator", "--for-package")
        log = (image / "opt/reelscribe/orchestrator/.venv/pip.log").read_text()
        assert log.endswith("[orchestrator,mcp]\n")
