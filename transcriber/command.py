"""What the ``transcriber`` command does."""

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import typer

from reelscribe import logs
from reelscribe.asking import asking_client, check_token
from reelscribe.command_line import print_check, report_settings_errors
from reelscribe.errors import ServiceError, SettingsError
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.http.server.serving import serve
from reelscribe.media import ffmpeg
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection_process import keep_ready
from reelscribe.media.processes.sandbox import check_sandbox
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.loading import Settings, load_settings
from reelscribe.settings.transcriber import TranscriberSection
from reelscribe.stop_signals import RELOAD_SIGNALS, STOP_SIGNALS
from reelscribe.text.urls import without_password
from transcriber.api.routes import make_app
from transcriber.jobs.waiting import Interrupted, wait_unless
from transcriber.model.instructions import use_widest_instructions
from transcriber.model.loading import LoadedModel, load_model
from transcriber.model.memory import tune_heaps
from transcriber.service import TranscriberService

log = logging.getLogger("transcriber")


def run(config: Path | None) -> None:
    """Serve until a signal says stop."""
    logs.configure()
    tune_heaps()
    use_widest_instructions()
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        logs.configure(chosen.log.number, chosen.log.format, "transcriber")
        tokens = Tokens.from_file(chosen.auth.token_file)
        binary = ffmpeg.locate(chosen.extraction.ffmpeg)
        work_begins()
        end = asyncio.run(_serve(chosen, binary, tokens))
    if end.calls_left:
        # A call of the model cannot be interrupted, and Python would wait for its end. There is nothing left to save.
        os._exit(end.exit_code)
    raise typer.Exit(end.exit_code)


class _End(NamedTuple):
    exit_code: int
    calls_left: bool


async def _serve(chosen: Settings, binary: FFmpeg, tokens: Tokens) -> _End:
    """Serve until a signal, or until the model is broken."""
    try:
        model = await _load_model(chosen.transcriber)
    except Interrupted:
        log.info("transcriber: stopped while the model was loading")
        return _End(0, calls_left=True)
    for warning in binary.warnings:
        log.warning("transcriber: %s", warning)
    service = TranscriberService(chosen, binary, model, tokens)
    async with keep_ready(binary.sandbox, chosen.extraction.start_timeout), service.open():
        await serve(service, make_app(service), chosen.transcriber, service.stop)
    return _End(int(service.model.broken), service.model.busy)


async def _load_model(section: TranscriberSection) -> LoadedModel:
    """Load it in a thread of its own: signals are handled meanwhile, and the event loop can end without waiting for it.

    Raises:
        Interrupted: by one of :data:`STOP_SIGNALS`.
        SettingsError: see :func:`transcriber.model.loading.load_model`.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        reloads = number in RELOAD_SIGNALS  # what it has read so far is read again when it serves
        loop.add_signal_handler(number, (lambda: None) if reloads else stopping.set)

    async def load() -> LoadedModel:
        return await loop.run_in_executor(ThreadPoolExecutor(1), _load_by, section)

    log.info("transcriber: loading the model %s", section.model)
    model = await wait_unless(stopping, load())
    log.info("transcriber: model loaded: %s", _describe(model))
    return model


def _load_by(section: TranscriberSection) -> LoadedModel:
    return load_model(section.model, section.device, section.compute_type, section.device_index, section.cpu_threads)


def _describe(model: LoadedModel) -> str:
    return f"{model.name} on {model.device} as {model.compute_type} in {model.load_seconds:.1f} s, from {model.source}"


def check(config: Path | None) -> None:
    """Check config, ffmpeg, its sandbox, model, device and the extractor, one line each; exit 1 if one fails."""
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        tokens = Tokens.from_file(chosen.auth.token_file)
        binary = ffmpeg.locate(chosen.extraction.ffmpeg)
    section = chosen.transcriber
    passed = [
        print_check("config", "a token is asked for" if tokens else "read; no token is asked for"),
        print_check("ffmpeg", binary.description),
        print_check("sandbox", check_sandbox(binary.sandbox)),
    ]
    try:
        model = _load_by(section)
    except SettingsError as unusable:
        passed.append(print_check("model", unusable))
    else:
        passed.append(print_check("model", f"{model.name} from {model.source}, loaded in {model.load_seconds:.1f} s"))
        passed.append(print_check("device", f"{model.device} as {model.compute_type}"))
    passed.append(asyncio.run(_check_extractor(section.extractor_url, tokens)))
    raise typer.Exit(0 if all(passed) else 1)


async def _check_extractor(url: str, tokens: Tokens) -> bool:
    async with ExtractorClient(url, tokens) as extractor:
        try:
            health = await extractor.health()
            async with asking_client(tokens) as http:
                await check_token(http, f"the extractor at {without_password(url)}", url, tokens)
        except ServiceError as failure:
            return print_check("extractor", failure)
    found = f"{health['machine']} at {without_password(url)} is {health['status']}"
    problems = health["problems"]
    return print_check("extractor", ServiceError(f"{found}: {'; '.join(problems)}") if problems else found)
