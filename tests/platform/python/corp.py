"""The third-party client wecomkit, unchanged, told what to do line by line."""
# mypy: ignore-errors

import asyncio
import base64
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lines import serve
from wecomkit import AsyncWeComClient, WeComConfig


async def main():
    config = WeComConfig(os.environ["CORP_ID"], os.environ["CORP_SECRET"], base_url=os.environ["BASE"])
    async with AsyncWeComClient(config) as client:

        async def forget():
            await client.get_access_token(force_refresh=True)

        async def card(agent, users, body):
            return await client.messages.send_template_card(agent, body, to_user=users)

        async def text(agent, users, content):
            return await client.messages.send_text(agent, content, to_user=users)

        async def call(method, path, body):
            return await client.request(method, path, json=body)

        async def upload(kind, name, data):
            raw = base64.b64decode(data)
            return await client.request(
                "POST", "/cgi-bin/media/upload", params={"type": kind}, files={"media": (name, raw)}
            )

        async def robot(url, content):
            return await client.robot.send_markdown(url, content)

        await serve({"robot": robot, "card": card, "text": text, "call": call, "upload": upload, "forget": forget})


asyncio.run(main())
