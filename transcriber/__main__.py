"""The ``transcriber`` command."""

import asyncio
import logging
import os

import typer

from machine import ffmpeg, logs, settings
from machine.audio_client import AudioClient
from machine.auth import Tokens
from machine.command import ConfigOption, settings_errors_told, tell_check
from machine.errors import MachineError
from machine.ffmpeg import FFmpeg
from machine.server import serve
from machine.settings import Settings, SettingsError
from transcriber import models
from transcriber.app import make_app
from transcriber.models import LoadedModel
from transcriber.service import TranscriberMachine

log = logging.getLogger("transcriber")

cli = typer.Typer(
    help="Machine B: turns a savepath, or an uploaded file, into segments of text as they are heard.",
    epilog="Example: transcriber --config config.cfg",
    add_completion=False,
)


@cli.callback(invoke_without_command=True)
def run(context: typer.Context, config: ConfigOption = None) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    context.obj = config
    if context.invoked_subcommand:
        return
    logs.configure()
    with settings_errors_told():
        chosen = settings.load(config)
        tokens = Tokens.from_file(chosen.auth.token_file)
        binary = ffmpeg.locate(chosen.extraction.ffmpeg)
        busy = asyncio.run(_serve(chosen, binary, _load_model(chosen), tokens))
    if busy:
        # A call of the model cannot be interrupted, and Python would wait for its end. Nothing is left to be saved.
        os._exit(0)


async def _serve(chosen: Settings, binary: FFmpeg, model: LoadedModel, tokens: Tokens) -> bool:
    for warning in binary.warnings:
        log.warning("transcriber: %s", warning)
    machine = TranscriberMachine(chosen, binary, model, tokens)
    async with machine.open():
        await serve(machine, make_app(machine), chosen.transcriber, machine.stop)
    return machine.model.busy


def _load_model(chosen: Settings) -> LoadedModel:
    section = chosen.transcriber
    model = models.load(section.model, section.device, section.compute_type)
    log.info("transcriber: model loaded: %s", _description(model))
    return model


def _description(model: LoadedModel) -> str:
    return f"{model.name} on {model.device} as {model.compute_type} in {model.load_seconds:.1f} s"


@cli.command(epilog="Example: transcriber check --config config.cfg")
def check(context: typer.Context, config: ConfigOption = None) -> None:
    """Prove config, ffmpeg, model, device and Machine C, one line each; exit 1 if one of them fails."""
    with settings_errors_told():
        chosen = settings.load(config or context.obj)
        tokens = Tokens.from_file(chosen.auth.token_file)
        binary = ffmpeg.locate(chosen.extraction.ffmpeg)
    section = chosen.transcriber
    proved = [
        tell_check("config", "a token is asked for" if tokens else "read; no token is asked for"),
        tell_check("ffmpeg", f"{binary.version} at {binary.path}" + (f"; {binary.unfixed}" if binary.unfixed else "")),
    ]
    try:
        model = models.load(section.model, section.device, section.compute_type)
    except SettingsError as unusable:
        proved.append(tell_check("model", unusable))
    else:
        proved.append(tell_check("model", f"{model.name}, loaded in {model.load_seconds:.1f} s"))
        proved.append(tell_check("device", f"{model.device} as {model.compute_type}"))
    proved.append(asyncio.run(_check_machine_c(section.extractor_url, tokens)))
    raise typer.Exit(0 if all(proved) else 1)


async def _check_machine_c(url: str, tokens: Tokens) -> bool:
    async with AudioClient(url, tokens) as machine_c:
        try:
            health = await machine_c.health()
        except MachineError as failure:
            return tell_check("Machine C", failure)
    return tell_check("Machine C", f"{health.get('machine')} at {url} is {health.get('status')}")


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
