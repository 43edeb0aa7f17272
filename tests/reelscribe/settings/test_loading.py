"""config.cfg and the environment: what is read, and how each mistake is reported."""

import os
import re
import tempfile
from pathlib import Path

import pytest
from iniconfig import IniConfig

from reelscribe.errors import SettingsError
from reelscribe.settings.loading import Settings, load_settings, origins

SHIPPED = Path(__file__).parents[3] / "config.cfg"

OLDER_FILE = """\
[server]
host = 0.0.0.0
port = 8888

[paths]
temp_dir = /tmp
default_audio_format = mp3
minio_data_path = /data/minio
bucket_name = videos
"""


def problems(path: Path) -> list[str]:
    with pytest.raises(SettingsError) as wrong:
        load_settings(path)
    return wrong.value.problems


class TestShippedFile:
    def test_it_loads(self):
        assert load_settings(SHIPPED).server.port == 8888

    def test_it_names_every_key_and_no_other(self):
        shipped = {name: list(keys) for name, keys in IniConfig.parse(SHIPPED).sections.items()}
        known = {name: set(type(section).model_fields) for name, section in Settings()}
        assert {name: set(keys) for name, keys in shipped.items()} == known

    def test_what_it_says_is_what_happens_without_it(self):
        # Where the data is and how many cores there are differ from host to host.
        excluded = {
            "paths": {"temp_dir", "minio_data_path"},
            "database": {"data_dir"},
            "ingest": {"data_dir"},
            "uploads": {"data_dir"},
            "extraction": {"max_ffmpeg"},
        }
        assert load_settings(SHIPPED).model_dump(exclude=excluded) == Settings().model_dump(exclude=excluded)

    def test_every_key_has_a_comment_above_it(self):
        blocks = re.split(r"\n(?=#|\[|\n)", SHIPPED.read_text(encoding="utf-8"))
        listeners = {"host", "port", "tls_cert", "tls_key", "grace_seconds"}  # documented once, in [server]
        documented = {key for block in blocks if block.startswith("#") for key in re.findall(r"^(\w+) =", block, re.M)}
        every = {key for _, section in Settings() for key in type(section).model_fields}
        assert every - listeners <= documented


class TestFile:
    def test_the_older_file_works_unchanged(self, config):
        settings = load_settings(config(OLDER_FILE))
        assert (settings.server.host, settings.server.port) == ("0.0.0.0", 8888)
        assert settings.paths.model_dump() == {
            "temp_dir": Path("/tmp"),
            "default_audio_format": "mp3",
            "minio_data_path": Path("/data/minio"),
            "bucket_name": "videos",
            "buckets": (),
        }

    def test_a_relative_path_is_relative_to_the_file(self, config, tmp_path, monkeypatch):
        path = config("[paths]\nminio_data_path = bucket\n[auth]\ntoken_file = tokens")
        monkeypatch.chdir("/")
        settings = load_settings(path)
        assert settings.paths.minio_data_path == tmp_path / "bucket"
        assert settings.auth.token_file == tmp_path / "tokens"

    def test_a_home_folder_is_expanded(self, config, monkeypatch):
        monkeypatch.setenv("HOME", "/home/someone")
        assert load_settings(config("[database]\ndata_dir = ~/postgres")).database.data_dir == Path(
            "/home/someone/postgres"
        )

    def test_the_home_of_an_unknown_user_is_an_ordinary_name(self, config, tmp_path):
        assert load_settings(config("[paths]\ntemp_dir = ~no-such/x")).paths.temp_dir == tmp_path / "~no-such/x"

    def test_an_empty_optional_key_is_unset(self, config):
        assert load_settings(config("[extraction]\nffmpeg =")).extraction.ffmpeg is None

    def test_lists_are_separated_by_commas(self, config):
        settings = load_settings(config("[orchestrator]\ntranscriber_urls = http://b1:8889/, http://b2:8889"))
        assert settings.orchestrator.transcriber_urls == ("http://b1:8889", "http://b2:8889")

    def test_allowed_hosts_are_names_and_addresses(self, config):
        text = "[server]\nallowed_hosts = Extractor.example.com., [::1], 192.0.2.7"
        assert load_settings(config(text)).server.allowed_hosts == ("extractor.example.com", "::1", "192.0.2.7")

    def test_trusted_proxies_are_addresses_and_networks(self, config):
        text = "[auth]\ntoken_file = t\ntrusted_proxies = 10.0.0.1, 2001:db8::/32\nremote_user_scopes = read, submit"
        auth = load_settings(config(text)).auth
        assert [str(network) for network in auth.trusted_proxies] == ["10.0.0.1/32", "2001:db8::/32"]
        assert auth.remote_user_scopes == ("read", "submit")

    def test_a_byte_order_mark_is_not_a_mistake(self, tmp_path):
        path = tmp_path / "config.cfg"
        path.write_text("[server]\nport = 1\n", encoding="utf-8-sig")
        assert load_settings(path).server.port == 1

    def test_settings_cannot_be_changed(self, config):
        with pytest.raises(ValueError, match="frozen"):
            load_settings(config(OLDER_FILE)).server.port = 1


class TestFurtherFiles:
    @pytest.fixture
    def add(self, config, tmp_path):
        """Write config.cfg and a file of its ``conf.d``; returns that of config.cfg."""

        def write(name: str, text: str) -> Path:
            (tmp_path / "conf.d").mkdir(exist_ok=True)
            (tmp_path / "conf.d" / name).write_text(text)
            return config(OLDER_FILE)

        return write

    def test_the_last_one_that_has_a_key_decides_and_the_others_stay(self, add, tmp_path):
        add("20.cfg", "[server]\nport = 3\n[minio]\nsecure = false\n[auth]\ntoken_file = tokens")
        path = add("10.cfg", "[server]\nport = 2\nhost = ::1")
        add("30.txt", "[server]\nport = 4")
        settings = load_settings(path)
        assert (settings.server.port, settings.server.host, settings.minio.secure) == (3, "::1", False)
        assert settings.paths.minio_data_path == Path("/data/minio")
        assert settings.auth.token_file == tmp_path / "conf.d/tokens"
        assert origins(path)["server", "port"] == f"{tmp_path}/conf.d/20.cfg:2"

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("\n[server]\nport = high", "10.cfg:3: [server] port: must be a whole number"),
            ("[server]\nprot = 1", "10.cfg:2: [server] prot: unknown key; known are host, "),
            ("[servr]", "10.cfg:1: [servr]: unknown section; known are server, "),
            ("port = 1", "10.cfg:1: no section header defined"),
        ],
    )
    def test_a_mistake_is_reported_with_its_file_and_line(self, add, text, problem):
        (found,) = problems(add("10.cfg", text))
        assert Path(found.partition(": ")[0]).parent.name == "conf.d" and problem in found

    def test_a_file_in_place_of_the_folder_is_none_of_ours(self, config, tmp_path):
        (tmp_path / "conf.d").write_text("")
        assert load_settings(config(OLDER_FILE)).server.port == 8888


def test_no_file_means_defaults():
    assert load_settings(None) == Settings()
    assert load_settings(None).paths.temp_dir == Path(tempfile.gettempdir())


class TestEnvironment:
    def test_it_overrides_the_file(self, config, monkeypatch):
        monkeypatch.setenv("REELSCRIBE_SERVER__PORT", "9000")
        settings = load_settings(config(OLDER_FILE))
        assert (settings.server.host, settings.server.port) == ("0.0.0.0", 9000)

    def test_lists_work_there_too(self, monkeypatch, config):
        monkeypatch.setenv("REELSCRIBE_PATHS__BUCKETS", "films, clips")
        assert load_settings(config("")).paths.buckets == ("films", "clips")

    def test_its_relative_paths_are_relative_to_the_current_folder(self, config, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("REELSCRIBE_PATHS__MINIO_DATA_PATH", "elsewhere")
        assert load_settings(config(OLDER_FILE)).paths.minio_data_path == tmp_path / "elsewhere"

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            ("REELSCRIBE_SERVER__PORT", "high", "REELSCRIBE_SERVER__PORT: [server] port: must be a whole number"),
            ("REELSCRIBE_SERVER__PROT", "1", "REELSCRIBE_SERVER__PROT: [server] prot: unknown key; known are host, "),
            ("REELSCRIBE_SERVR__PORT", "1", "REELSCRIBE_SERVR__PORT: no section [servr]; the sections are server, "),
        ],
    )
    def test_a_mistake_is_reported_with_its_variable(self, config, monkeypatch, name, value, problem):
        monkeypatch.setenv(name, value)
        (found,) = problems(config(OLDER_FILE))
        assert found.startswith(problem)

    def test_it_can_correct_the_file(self, config, monkeypatch):
        monkeypatch.setenv("REELSCRIBE_SERVER__PORT", "9000")
        assert load_settings(config("[server]\nport = high")).server.port == 9000


class TestMistakes:
    def test_all_are_reported_together_with_their_lines(self, config, monkeypatch):
        monkeypatch.setenv("REELSCRIBE_NOTHING", "1")
        path = config("[server]\nport = 99999\ncolour = red\n\n[paths]\nbucket_name = No\n\n[speling]\na = 1\n")
        assert [problem.partition(": ")[0] for problem in problems(path)] == [
            "REELSCRIBE_NOTHING",
            f"{path}:2",
            f"{path}:3",
            f"{path}:6",
            f"{path}:8",
        ]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("[server]\nport = 99999", "2: [server] port: must be at most 65535"),
            ("[server]\nport =", "2: [server] port: must be a whole number"),
            (
                "[server]\ncolour = red",
                "2: [server] colour: unknown key; known are host, port, public_url, allowed_hosts, ",
            ),
            ("[Server]\nport = 1", "1: [Server]: unknown section; known are server, paths, extraction, "),
            ("[server]\ntls_key = key.pem", "2: [server] tls_key: needs tls_cert as well"),
            ("[paths]\ntemp_dir =", "2: [paths] temp_dir: is empty; name a path"),
            ("[paths]\ndefault_audio_format = ogg", "2: [paths] default_audio_format: must be 'mp3', 'wav', "),
            ("[paths]\nbucket_name = ../x", "2: [paths] bucket_name: '../x' is not a bucket name"),
            ("[paths]\nbuckets = films, F", "2: [paths] buckets: 'F' is not a bucket name"),
            ("[extraction]\nstart_timeout = 0", "2: [extraction] start_timeout: must be more than 0"),
            ("[extraction]\nstall_timeout = nan", "2: [extraction] stall_timeout: "),
            (
                "[extraction]\nstall_timeout = 15",
                "2: [extraction] stall_timeout: must be at least 30",
            ),
            (
                "[server]\nallowed_hosts = a.example.com, http://b",
                "2: [server] allowed_hosts: 'http://b' is not a host such as extractor.example.com",
            ),
            ("[transcriber]\nextractor_url = c:8888", "2: [transcriber] extractor_url: 'c:8888' is not a base URL"),
            (
                "[orchestrator]\ntranscriber_urls =",
                "2: [orchestrator] transcriber_urls: must not be empty",
            ),
            ("[database]\nurl = mysql://x", "2: [database] url: expected 'embedded' or a URL such as postgresql://"),
            (
                "[auth]\ntrusted_proxies = 10.0.0.1, proxy\ntoken_file = t",
                "2: [auth] trusted_proxies: 'proxy' is not an IP address or a network such as 10.0.0.0/8",
            ),
            ("[auth]\ntoken_file = t\ntrusted_proxies = ::/0", "3: [auth] trusted_proxies: '::/0' is every address"),
            ("[auth]\nremote_user_scopes = root", "2: [auth] remote_user_scopes: must be 'read', 'submit' or 'admin'"),
            ("[auth]\nremote_user_scopes =", "2: [auth] remote_user_scopes: must not be empty"),
            ("[auth]\ntrusted_proxies = 10.0.0.1", "2: [auth] trusted_proxies: needs token_file as well"),
            ("port = 1", "1: "),
            ("[server]\nport = 1\nport = 2", "3: duplicate name 'port'"),
            ("[server]\nport = 1\n[server]\nhost = x", "3: duplicate section 'server'"),
            ("[server]\nnonsense", "2: unexpected line: 'nonsense'"),
        ],
    )
    def test_a_mistake_is_reported_with_its_line(self, config, text, problem):
        path = config(text)
        (found,) = problems(path)
        assert found.startswith(f"{path}:{problem}")

    def test_a_database_password_is_not_shown(self, config):
        assert "hush" not in problems(config("[database]\nurl = postgre://me:hush@host/x"))[0]

    @pytest.mark.parametrize(
        "url",
        [
            "ann:geheim%zz@host/db",
            "ann:geheim%00@host/db",
            "ann:geheim%ff@host/db",
            "ann:12/geheim@host/db",
            "ann:gehe/im@host/db",
            "ann:gehe@im@host/db",
            "ann:12?geheim=x@host/db",
            "ann:ge#heim@host/db",
            "ann:gehe im@host/db",
            "host/db?password=ge&heim",
            "host/db?password=ge=heim",
        ],
    )
    def test_a_database_password_that_is_not_encoded_is_not_shown_either(self, config, url):
        (found,) = problems(config(f"[database]\nurl = postgresql://{url}"))
        assert found.endswith(
            "[database] url: cannot be read; a %, /, ?, @, # or blank in the password must be "
            "percent-encoded (@ is %40)"
        )

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://",
            "postgres://ann@host",
            "postgresql://ann:ge%25%2F%40%23:=&h%C3%BCim,@host:5432/db",
            "postgresql://host-1:5432,[::1]:5433/db?target_session_attrs=read-write&sslmode=verify-full",
            "postgresql://postgres:@/db?host=/var/run/postgresql",
            "postgresql://%2Fvar%2Frun/db?options=-c%20geqo%3Doff",
        ],
    )
    def test_each_form_of_a_database_url_is_accepted(self, config, url):
        assert load_settings(config(f"[database]\nurl = {url}")).database.url == url

    def test_a_missing_file_is_named(self, tmp_path):
        assert problems(tmp_path / "no.cfg") == [f"{tmp_path}/no.cfg: cannot be read: No such file or directory"]

    def test_a_binary_file_is_named(self, tmp_path):
        (tmp_path / "config.cfg").write_bytes(b"\xff\xfe\x00")
        assert problems(tmp_path / "config.cfg") == [f"{tmp_path}/config.cfg: is not UTF-8 text"]


def test_the_number_of_ffmpegs_follows_the_cores(config):
    assert load_settings(config("")).extraction.max_ffmpeg == max(2, os.cpu_count() or 2)
