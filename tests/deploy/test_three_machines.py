"""docs/three-machines.md, followed literally: its commands in their order, and its settings, in a root of its own."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.scratch_root import HOSTS, OF_DISTRIBUTION, POSTGRES, ROOT, ScratchRoot, can_be_made

PAGE = ROOT / "docs" / "three-machines.md"
INSTEAD = {
    "git clone REPOSITORY": "git clone repository",
    "git pull": "cd /reelscribe && git pull",
    "model = large-v3-turbo": "model = mini",
    "10.0.0.0/8": "127.0.0.0/8",
    "sudo -u postgres createuser": "printf 'PASSWORD\\nPASSWORD\\n' | sudo -u postgres createuser",
    "scp extractor-host:": "[ ! -e /etc/reelscribe/tokens ] || scp extractor-host:",
}
"""What a reader types or replaces, where he is, and the model, which would be downloaded."""

HELPERS = f"""
set -eo pipefail
postgres() {{
    sudo -u postgres {POSTGRES}/pg_ctl -w -s -l /var/lib/postgresql/log -D /var/lib/postgresql/data "$@" >/dev/null
}}
export PGHOST=/tmp
"""
OLDER = """
cat > /etc/systemd/system/audio-extraction_minio.service <<'END'
[Service]
WorkingDirectory=/opt/older
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
mkdir /opt/older
printf '[server]\\nport = 8888\\n[paths]\\ndefault_audio_format = flac\\n' > /opt/older/config.cfg
systemctl daemon-reload
systemctl --quiet enable --now audio-extraction_minio
"""
"""The extractor before this one."""
START_POSTGRES = f"""
sudo -u postgres {POSTGRES}/initdb --no-sync --encoding=SQL_ASCII --locale=C -D /var/lib/postgresql/data >/dev/null
cd /var/lib/postgresql/data
printf "listen_addresses = '*'\\nfsync = off\\nunix_socket_directories = '/tmp'\\n" >> postgresql.conf
echo "local all all trust" > pg_hba.conf
cd - >/dev/null
postgres start
"""
ENCRYPT_POSTGRES = """
sed -i 's/^host /hostssl /' /var/lib/postgresql/data/pg_hba.conf
postgres restart
"""
AFTERWARDS = """
echo "=== afterwards"
systemctl is-active audio-extraction_minio reelscribe-extractor || true
orchestrator() { sudo -u reelscribe /opt/reelscribe/.venv/bin/orchestrator "$@" --config /etc/reelscribe/config.cfg; }
orchestrator config | grep '^default_audio_format'
orchestrator show short.flac
! sudo -u guest cat /etc/reelscribe/tokens /etc/reelscribe/pgpass /etc/reelscribe/extractor-host.key 2>/dev/null
"""
"""It is what the page promises: the settings of the older extractor, a transcript, and closed secrets."""


def commands_of_the_page() -> str:
    """All blocks of the page as one script; between them is what it leaves to the reader."""
    text = PAGE.read_text(encoding="utf-8")
    for words, others in INSTEAD.items():
        assert words in text
        text = text.replace(words, others)
    if not OF_DISTRIBUTION:  # which does not speak TLS
        text = re.sub(r"^```text\nssl = on\n.*?^```", "", text.replace("&sslmode=verify-full", ""), flags=re.M | re.S)
    script = HELPERS + OLDER
    for heading, language, block in re.findall(
        r"^## ([^\n]*)|^```(sh|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    ):
        if heading:
            script += f"echo '=== {heading}'\n" + (START_POSTGRES if heading == "The database" else "")
        elif block.startswith("host"):
            script += f"cat >> /var/lib/postgresql/data/pg_hba.conf <<'END'\n{block}END\npostgres reload\n"
        elif block.startswith("ssl = on"):
            script += f"cat >> /var/lib/postgresql/data/postgresql.conf <<'END'\n{block}END\n{ENCRYPT_POSTGRES}"
        elif language == "sh":
            script += block
    return script + ports_of_the_page() + AFTERWARDS


def ports_of_the_page() -> str:
    """A connection to each service at the port that the table names."""
    names = {name.removesuffix("-host").replace("db.internal", "PostgreSQL"): name for name in HOSTS.values()}
    rows = re.findall(r"^\| [^|]+ \| (\w+) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {service for service, _ in rows} == set(names)
    return "".join(f"exec 3<>/dev/tcp/{names[service]}/{port}\n" for service, port in rows)


def openssl_of_the_page(folder: Path, section: str) -> str:
    """The commands of a section that make certificates, in another folder."""
    text = PAGE.read_text(encoding="utf-8").partition(f"## {section}\n")[2]
    block = next(block for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) if "openssl" in block)
    return re.sub(r"^install .*|^systemctl .*", "", block, flags=re.M).replace("/root", str(folder))


def is_accepted(certificate: Path) -> bool:
    """Whether Python 3.13 and newer accept it, which verify strictly."""
    strictly = ["openssl", "verify", "-x509_strict", "-CAfile", str(certificate.parent / "ca.pem"), str(certificate)]
    return subprocess.run(strictly, capture_output=True).returncode == 0


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_certificates_of_the_page_are_valid_for_newer_pythons_too_and_an_older_authority_becomes_so(tmp_path):
    def run(commands: str) -> None:
        subprocess.run(["bash", "-ec", commands], check=True, capture_output=True)

    certificate = tmp_path / "authority/extractor-host.pem"
    make = openssl_of_the_page(tmp_path, "Certificates")
    run(make)
    assert is_accepted(certificate)
    shutil.rmtree(certificate.parent)
    run(make.replace("-addext 'keyUsage=critical,keyCertSign,cRLSign'", ""))
    assert not is_accepted(certificate)
    run(openssl_of_the_page(tmp_path, "New tokens and certificates"))
    assert is_accepted(certificate)


@pytest.mark.skipif(not can_be_made(), reason="needs root, and a systemd that can be process 1 of its own namespaces")
@pytest.mark.timeout(900)
def test_the_page_is_true_literally(tmp_path: Path) -> None:
    root = ScratchRoot(tmp_path / "root")
    recording = root.folder / "data/minio/videos/short.flac"
    shutil.copy(ROOT / "tests/speech/short.flac", recording)
    shutil.chown(recording, 901, 901)
    done = root.run(commands_of_the_page(), seconds=880)
    assert done.returncode == 0, done.stdout
    headings = re.findall(r"^## (.*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r"^=== (.*)", done.stdout, re.MULTILINE) == [*headings, "afterwards"]
    checked = re.findall(r"^(ok  |FAIL) (\S+): ", done.stdout, re.MULTILINE)
    assert {mark for mark, _ in checked} == {"ok  "}
    assert {"bucket", "model", "database", "https://transcriber-host:8889"} <= {subject for _, subject in checked}
    *older, transcript = done.stdout.rpartition("=== afterwards\n")[2].split("\n", 3)
    assert older == ["inactive", "active", "default_audio_format = flac"]
    assert transcript.strip()
