"""An alert's card that broke off twice: its task id and that of the repeat are used, and nobody knows of either."""

from bot.channels.wecom_bot.letters import NAME
from models.database import Database
from models.message import Button, Card, Outgoing, Purpose
from tests.platform.harness import platform
from tests.platform.wecom_bot import connected

CARD = Card(title="LS00007 照明", words="灯坏了", buttons=(Button(text="接单", action="accept:7"),))


async def test_the_third_try_of_a_card_goes_as_words(sqlite_db: Database) -> None:
    alert = Outgoing(channel=NAME, chat="w01", text="【新任务】LS00007", card=CARD, purpose=Purpose.ALERT)
    async with platform() as p, connected(p, sqlite_db) as bot:
        p.bot.known.add("w01")
        await bot.send(alert, "c1")
        for _ in range(2):
            assert await bot.send(alert.model_copy(update={"repeat": True}), "c1")
        kinds = [bubble.kind for bubble in p.seen("w01")]
        assert kinds == ["template_card", "template_card", "markdown"]
        assert "接单" in p.seen("w01")[-1].text
