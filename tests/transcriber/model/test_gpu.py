"""Whether the model runs on the GPU of its host, as an operator is to know it."""

from types import SimpleNamespace

import pynvml
import pytest

from transcriber.model import gpu

NONE = "Driver Not Loaded"


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host with so many GPUs, of which some do not answer; None: without NVIDIA's driver."""

    def make(count: int | None, lost: tuple[int, ...] = (), on_bus: bool = False) -> None:
        def init() -> None:
            if count is None:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

        def handle(index: int) -> int:
            if index in lost:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
            return index

        monkeypatch.setattr(pynvml, "nvmlInit", init)
        monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "570.86")
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: count)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", handle)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda handle: f"NVIDIA L{handle}")
        memory = SimpleNamespace(used=5e9, total=24e9)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda handle: memory)
        monkeypatch.setattr(gpu, "PCI_DEVICES", tmp_path)
        if on_bus:
            (tmp_path / "0000:01:00.0").mkdir()
            (tmp_path / "0000:01:00.0/vendor").write_text("0x10de\n")
            (tmp_path / "0000:01:00.0/class").write_text("0x030200\n")

    return make


def test_a_model_on_the_gpu_is_as_it_should_be(host):
    host(2)
    found = gpu.diagnose("cuda", "auto")
    assert found.level == "ok"
    assert "NVIDIA L0, 5.0 of 24.0 GB in use; NVIDIA L1" in found.message and "driver 570.86" in found.message


def test_a_model_on_the_cpu_although_there_is_a_gpu_is_a_fault(host):
    host(1)
    found = gpu.diagnose("cpu", "auto")
    assert (
        found.level == "fault" and "although there is NVIDIA L0" in found.message and "transcriber check" in found.fix
    )


def test_a_gpu_without_a_driver_that_answers_is_a_fault(host):
    host(None, on_bus=True)
    found = gpu.diagnose("cpu", "auto")
    assert found.level == "fault" and NONE in found.message and "driver" in found.fix


def test_a_gpu_that_has_fallen_off_its_bus_is_a_fault_although_another_works(host):
    host(2, lost=(1,))
    found = gpu.diagnose("cuda", "auto")
    assert found.level == "fault" and found.message.startswith("GPU 1: ") and "dmesg" in found.fix


def test_a_host_without_a_gpu_is_a_warning_unless_that_is_meant(host):
    host(None)
    assert gpu.diagnose("cpu", "auto").level == "warning"
    assert gpu.diagnose("cpu", "cpu").level == "ok"
