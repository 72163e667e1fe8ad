"""A line of JSON in, a line of JSON out: see ../peers.py."""
# mypy: ignore-errors

import asyncio
import json
import sys


def say(found):
    """One line to whoever started this."""
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    sys.stdout.flush()


async def serve(deeds):
    """Until standard input ends: do what is asked. deeds: coroutine functions by name."""
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        asked = json.loads(line)
        number, deed = asked.pop("id"), deeds[asked.pop("do")]
        try:
            say({"id": number, "result": await deed(**asked)})
        except Exception as error:  # whatever the library raises is its answer
            say({"id": number, "error": f"{type(error).__name__}: {error}"})
