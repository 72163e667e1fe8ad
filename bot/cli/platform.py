"""`linsheng platform`: our own fake WeChat, WeCom and QQ, to play with before a real account is at hand."""

import asyncio
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from bot.platform.handed import CALLBACKS, callback, environment
from bot.platform.server import Platform
from bot.process import Signals

PAUSE = 1.0  # seconds between a refused callback and the next try


def platform(
    port: Annotated[
        int, typer.Option(help="The port on this machine; 0 for any that is free.", min=0, max=65535)
    ] = 9080,
    bot: Annotated[str, typer.Option(help="Where the bot's web application is.")] = "http://127.0.0.1:8080",
    seed: Annotated[str, typer.Option(help="Ids and secrets come out of it: the same seed, the same accounts.")] = "",
    env: Annotated[Path | None, typer.Option(help="Write the bot's settings for these accounts to this file.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where the archive's records are kept. Else beside --env's file; without that, till the end."
        ),
    ] = None,
) -> None:
    """Play WeChat and WeCom on this machine, with a page where one may be anybody. Never for real people."""
    if env is not None:
        env = env.resolve()  # it is told how to read it: from a bare name a shell looks along the PATH
        folder = folder or env.with_name(f"{env.stem}.archive")
    asyncio.run(_run(port, bot.rstrip("/"), seed, env, folder))


async def _run(port: int, bot: str, seed: str, env: Path | None, folder: Path | None) -> None:
    played = Platform(pause=PAUSE, seed=seed or "linsheng")
    with Signals() as signals, TemporaryDirectory(prefix="linsheng-archive-") as passing:
        # The settings name the folder, so it must be there again for a bot that was set up once.
        played.archive.folder = (folder or Path(passing)).resolve()
        played.archive.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        dialling = asyncio.create_task(played.qq.redial(), name="qq")
        try:
            await played.start(port)
            for channel, account in CALLBACKS.items():
                getattr(played, account).callback = callback(bot, channel)
            lines = [f"{name}={shlex.quote(value)}" for name, value in environment(played).items()]
            if env is not None:
                _write(env, lines)
            typer.echo(f"Page:      {played.base}/")
            typer.echo(f"API:       {played.base}    AI bot: {played.ws_url}")
            typer.echo(f"Callbacks: {bot}/callback/…")
            if env is not None:
                typer.echo(f"Settings:  set -a; . {shlex.quote(str(env))}; set +a; linsheng serve")
            else:
                typer.echo("The bot's settings:")
                for line in lines:
                    typer.echo(f"  {line}")
            typer.echo("Ctrl+C ends it.")
            await signals.told.wait()
        finally:
            dialling.cancel()
            await asyncio.wait({dialling})
            await played.stop()


def _write(path: Path, lines: list[str]) -> None:
    """For its owner only, as every file with secrets."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
