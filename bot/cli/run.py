"""`linsheng serve`, `linsheng worker` and `linsheng look`."""

import asyncio
from typing import Annotated

import typer

from bot import logs
from bot.app import serve as serve_app
from bot.app import work
from bot.looking import look as look_on
from bot.training import is_trained
from config.settings import Settings, load_settings
from config.tables import leaves


def _settings() -> Settings:
    settings = load_settings()
    logs.configure(settings.log_level, json=settings.log_json)
    return settings


def _tell_of_training(settings: Settings) -> None:
    if not is_trained(settings.home, leaves()):
        typer.echo("Training the engine (half a minute to a minute).")


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 for any that is free.", min=0, max=65535)] = 8080,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Also handle and send; without, run `linsheng worker` beside.")
    ] = True,
) -> None:
    """Take messages in, and with a worker also handle them and send the answers."""
    settings = _settings()
    if worker:
        _tell_of_training(settings)

    def ready(address: str) -> None:
        if settings.demo:
            typer.echo(f"Chat page:   {address}/chat")
        else:
            typer.echo("Chat page:   off (LINSHENG_DEMO=true switches it on)")
        typer.echo(f"Health:      {address}/healthz")
        typer.echo(f"Data folder: {settings.home.resolve()}")
        if not worker:
            typer.echo("Nothing is handled here: run `linsheng worker` beside it.")
        typer.echo("Ctrl+C ends it.")

    asyncio.run(serve_app(settings, host=host, port=port, worker=worker, ready=ready))


def worker(
    metrics_port: Annotated[
        int | None, typer.Option(help="Show /healthz and /metrics on 127.0.0.1; 0: any port.", min=0, max=65535)
    ] = None,
) -> None:
    """Handle and send, without callbacks and pages; any number may run beside each other on PostgreSQL."""
    settings = _settings()
    _tell_of_training(settings)

    def ready(address: str) -> None:
        if address:
            typer.echo(f"Health:  {address}/healthz")
            typer.echo(f"Metrics: {address}/metrics")

    asyncio.run(work(settings, metrics_port=metrics_port, ready=ready))


def look() -> None:
    """Read pictures (LINSHENG_OCR) and hear voices (LINSHENG_ASR_MODEL), beside the workers; one process is enough."""
    settings = _settings()
    asyncio.run(look_on(settings, ready=lambda: typer.echo("Looks and listens. Ctrl+C ends it.")))
