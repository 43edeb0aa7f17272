"""Finds the folder of a model by the name in the settings."""

from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import httpx
from faster_whisper import available_models
from faster_whisper.utils import download_model
from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

from reelscribe.errors import SettingsError
from transcriber.model import packaged
from transcriber.model.packaged import PackagedModel

BUNDLED = {"mini": Path(__file__).parent / "mini"}

HUB_SECONDS = 5.0
"""For the hub's first answer; huggingface_hub itself waits as long as the system does, which is minutes."""


@dataclass(frozen=True)
class FoundModel:
    """The folder of a CTranslate2 model.

    Attributes:
        source: where it comes from, in words that follow "from".
    """

    folder: Path
    source: str


def find_model(name: str) -> FoundModel:
    """The folder of the model, downloaded or joined if it must be.

    The first of these that has it: what is bundled, a folder of that name, the cache of Hugging Face, its hub, an
    installed package. A package whose bytes are those of the hub (``tiny.en``) is taken before the hub: the result is
    the same, and a host without internet access need not wait for the hub. Other weights of the same name (``base``)
    may give other text, so the hub's are preferred, and their package is for hosts that get no answer from it in
    :data:`HUB_SECONDS`.
    What is in the cache is used as it is: the hub is not asked for a newer version.

    Args:
        name: ``mini``, a folder, a faster-whisper name, or a Hugging Face id.

    Raises:
        SettingsError: none has it, or the package is damaged; the message says what was tried and what to do.
    """
    if name in BUNDLED:
        return FoundModel(BUNDLED[name], "what is bundled")
    if Path(name).is_dir():
        return FoundModel(Path(name), f"the folder {name}")
    if "/" not in name and name not in available_models():
        known = ", ".join(available_models())
        raise _not_found(name, [f"faster-whisper knows only {known}"])
    if folder := _cached(name):
        return FoundModel(folder, "the Hugging Face cache")
    package = packaged.PACKAGED.get(name)
    if package and package.as_on_hub and packaged.is_installed(package):
        return _from_package(package)
    tried = ["it is not in the Hugging Face cache"]
    try:
        return FoundModel(_download(name), "the Hugging Face hub")
    except Exception as failed:  # huggingface_hub, the HTTP client below it and the disk each have their own kinds
        tried.append(f"the Hugging Face hub failed ({_one_line(failed)})")
    if package and packaged.is_installed(package):
        return _from_package(package)
    if package:
        tried.append(f"{' and '.join(package.packages)} {'are' if package.packages[1:] else 'is'} not installed")
    raise _not_found(name, tried)


def _from_package(package: PackagedModel) -> FoundModel:
    noun = "packages" if package.packages[1:] else "package"
    return FoundModel(packaged.folder_of(package), f"the {noun} {' and '.join(package.packages)}")


def _cached(name: str) -> Path | None:
    try:
        folder = Path(download_model(name, local_files_only=True))
    except (
        OSError,
        ValueError,
    ):  # not there or incomplete; not a valid id, of which the hub's message is the better one
        return None
    # Older versions of huggingface_hub return what an interrupted download has left.
    return folder if (folder / "model.bin").is_file() and (folder / "config.json").is_file() else None


def _download(name: str) -> Path:
    if HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set")
    answers: SimpleQueue[Exception | None] = SimpleQueue()
    # A thread, since a name server that does not answer would take longer than the timeout of a request.
    Thread(target=_ask_hub, args=(answers,), daemon=True).start()
    try:
        failure = answers.get(timeout=HUB_SECONDS)
    except Empty:
        raise TimeoutError(f"{ENDPOINT} does not answer in {HUB_SECONDS:.0f} s") from None
    if failure:
        raise failure
    return Path(download_model(name))


def _ask_hub(answers: SimpleQueue[Exception | None]) -> None:
    """Any answer is enough: certificates are verified by huggingface_hub, which may know other ones."""
    try:
        httpx.head(ENDPOINT, timeout=HUB_SECONDS, verify=False)
        answers.put(None)
    except Exception as failure:  # of the proxy's settings too
        answers.put(failure)


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split())[:300] or type(failure).__name__


def _not_found(name: str, tried: list[str]) -> SettingsError:
    package = packaged.PACKAGED.get(name)
    if package:
        install = f"install it (pip install 'reelscribe[{package.extra}]')"
    else:
        others = " or ".join(
            f"{other} (pip install 'reelscribe[{model.extra}]')" for other, model in packaged.PACKAGED.items()
        )
        install = f"install and set {others}"
    return SettingsError(
        [
            f"[transcriber] model: {name!r} cannot be loaded: there is no folder of that name, {', '.join(tried)}. "
            f"Instead, {install}, copy the folder of a CTranslate2 Whisper model here and set model to its path, or "
            "set model = mini (bundled, 216 English words)"
        ]
    )
