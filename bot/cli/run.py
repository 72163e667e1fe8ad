"""`linsheng serve` and `linsheng worker`."""

import asyncio
from typing import Annotated

import typer

from bot import logs
from bot.app import serve as serve_app
from bot.process import run_worker
from config.settings import Settings, load_settings


def _settings() -> Settings:
    settings = load_settings()
    logs.configure(settings.log_level, json=settings.log_json)
    return settings


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 for any that is free.", min=0, max=65535)] = 8080,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Also handle and send; without, run `linsheng worker` beside.")
    ] = True,
) -> None:
    """Take messages in, and with a worker also handle them and send the answers."""
    settings = _settings()

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


def worker() -> None:
    """Handle and send, without a web server; any number may run beside each other on PostgreSQL."""
    asyncio.run(run_worker(_settings()))
