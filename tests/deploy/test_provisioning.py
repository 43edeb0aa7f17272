"""``deploy/cloud-init`` and ``deploy/terraform``: the user data as cloud-init reads it and as a host runs it, and a
module whose references lead somewhere.

No cloud is asked: what a provider makes of the module is not tested.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from reelscribe.settings.loading import load_settings
from tests.deploy.scratch_root import HOSTS, ROOT, ScratchRoot, can_be_made

USER_DATA = ROOT / "deploy" / "cloud-init"
MODULE = ROOT / "deploy" / "terraform"
MACHINES = ("extractor", "transcriber", "orchestrator")
VALUES = {
    "repository": "repository",
    "revision": "main",
    "bucket": "videos",
    "model": "mini",
    "token": "5e" * 32,
    "extractor_host": "extractor-host",
    "transcriber_host": "transcriber-host",
}
VALUE = re.compile(r"\$\{(\w+)\}")


def user_data(machine: str) -> dict[str, Any]:
    """As Terraform makes it of :data:`VALUES`."""
    text = VALUE.sub(lambda name: VALUES[name[1]], (USER_DATA / f"{machine}.yaml").read_text(encoding="utf-8"))
    assert text.startswith("#cloud-config\n")
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def terraform() -> dict[str, Any]:
    """All files of the module as one."""
    merged: dict[str, Any] = {}
    for path in sorted(MODULE.glob("*.tf")):
        for kind, blocks in hcl2.loads(path.read_text(encoding="utf-8")).items():
            if isinstance(blocks, list):
                merged.setdefault(kind, []).extend(blocks)
    return merged


def named(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Blocks with one label by that label."""
    return {label.strip('"'): content for block in blocks for label, content in block.items() if label[:2] != "__"}


def strings(value: object) -> Iterator[str]:
    """All texts and expressions in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


@pytest.mark.parametrize("machine", MACHINES)
def test_cloud_init_accepts_the_user_data(machine, tmp_path):
    if not (program := shutil.which("cloud-init")):
        pytest.skip("needs cloud-init")
    (tmp_path / "user-data").write_text(yaml.safe_dump(user_data(machine)).join(("#cloud-config\n", "")))
    checked = subprocess.run(
        [program, "schema", "--config-file", tmp_path / "user-data"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("machine", MACHINES)
def test_it_writes_settings_that_are_read_and_a_token_that_is_closed(machine, tmp_path):
    files = {Path(file["path"]): file for file in user_data(machine)["write_files"]}
    settings = files[Path(f"/etc/reelscribe/conf.d/50-{machine}.cfg")]["content"]
    (tmp_path / "config.cfg").write_text(settings)
    load_settings(tmp_path / "config.cfg")
    assert files[Path("/etc/reelscribe/tokens")]["permissions"] == "0600"


@pytest.mark.skipif(not can_be_made(), reason="needs root, and a systemd that can be process 1 of its own namespaces")
@pytest.mark.timeout(600)
def test_each_host_installs_its_service_and_starts_it(tmp_path):
    root, script = ScratchRoot(tmp_path / "root"), "set -e\n"
    for machine in MACHINES:
        data = user_data(machine)
        for file in data["write_files"]:
            root.write(file["path"].lstrip("/"), file["content"]).chmod(int(file["permissions"], 8))
        (commands,) = data["runcmd"]
        root.write(f"runcmd-{machine}", commands.replace("sleep 20", "sleep 0.1"))
        script += f"sh /runcmd-{machine}\nsystemctl is-active reelscribe-{machine}\n"
    done = root.run(script, seconds=580)
    assert done.returncode == 0 and re.findall("^active$", done.stdout, re.MULTILINE) == 3 * ["active"], done.stdout
    assert {VALUES["extractor_host"], VALUES["transcriber_host"]} <= set(HOSTS.values())


def test_every_reference_of_the_module_leads_to_something():
    module = terraform()
    local_values = named(module["locals"])
    known = {f"var.{name}" for name in named(module["variable"])} | {f"local.{name}" for name in local_values}
    for kind, prefix in (("resource", ""), ("data", "data.")):
        for block in module[kind]:
            for type_, content in block.items():
                known |= {f"{prefix}{type_.strip(chr(34))}.{name.strip(chr(34))}" for name in content}
    referred = {
        found
        for text in strings(module)
        for found in re.findall(r"(?<![\w.])(?:data\.\w+\.\w+|(?:var|local|aws_\w+|random_\w+)\.\w+)", text)
    }
    assert referred - known == set()
    assert {name for name in known if name.startswith(("var.", "local."))} - referred == set(), "used by nothing"


def test_each_machine_is_started_with_its_user_data_and_all_values_that_it_names():
    module = terraform()
    local_values = named(module["locals"])
    assert set(local_values["ports"]) - {"__comments__"} == set(MACHINES)
    values = {name for name in local_values["user_data_values"] if name[:2] != "__"}
    assert values == set(VALUES)
    texts = [path.read_text(encoding="utf-8") for path in USER_DATA.glob("*.yaml")]
    assert len(texts) == len(MACHINES) and {name for text in texts for name in VALUE.findall(text)} == values
    assert not re.search(r"\$\{(?!\w+\})|%\{", "".join(texts)), "Terraform would take it for a template of its own"
    for machine, type_ in named(module["variable"])["instance_types"]["default"].items():
        assert machine.startswith("__") or (machine in MACHINES and type_)


def test_variables_and_outputs_are_described():
    module = terraform()
    for kind in ("variable", "output"):
        assert [name for name, content in named(module[kind]).items() if not content.get("description")] == []


def test_terraform_reads_and_formats_it_like_this():
    if not (program := shutil.which("terraform") or shutil.which("tofu")):
        pytest.skip("needs terraform or tofu")
    formatted = subprocess.run([program, "fmt", "-check", "-diff", MODULE], capture_output=True, text=True)
    assert formatted.returncode == 0, formatted.stdout + formatted.stderr


@pytest.mark.parametrize("machine", MACHINES)
def test_terraform_makes_the_user_data_that_is_tested_here(machine, tmp_path):
    if not (program := shutil.which("terraform") or shutil.which("tofu")):
        pytest.skip("needs terraform or tofu")
    values = "".join(f'{name}="{value}",' for name, value in VALUES.items())
    expression = f'yamldecode(templatefile("{USER_DATA / machine}.yaml", {{{values}}})).runcmd[0]\n'
    made = subprocess.run([program, "console"], input=expression, capture_output=True, text=True, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (commands,) = user_data(machine)["runcmd"]
    assert commands.strip() in made.stdout
