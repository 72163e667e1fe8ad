"""Voices without a transcript: heard once, handled as if the words had come with them, taken back with them."""

import asyncio
import math
import os
import struct
import wave
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from bot import hearing
from bot.hearing import Listening, SherpaEar, sound
from bot.looking import run, steps
from bot.worker import Worker
from config.settings import Settings, SettingsError
from handlers.town import Town
from handlers.workdays import WorkCalendar
from models import voices
from models.database import Database
from models.inbox import Inbox, receive
from models.message import Incoming, Kind, Media
from nlu.embedded import EmbeddedEngine
from tests.conftest import HandClock
from tests.scenario.chat import ZONE, Scene
from tests.scenario.conftest import engine

__all__ = ["engine"]
GROUP = "柳岸花园南区"
WORDS = "三幢一单元楼道灯坏了 黑咕隆咚的"


class Ear:
    """Hears what it was told to; or raises it."""

    def __init__(self, *answers: str | Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[Path] = []

    async def hear(self, path: Path) -> str | None:
        """The next answer."""
        self.asked.append(path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """The media folder, with one voice in it."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "v1.amr").write_bytes(b"#!AMR\n")
    return folder


@pytest.fixture
def scene(town_db: Database, demo_town: Town, engine: EmbeddedEngine, clock: HandClock) -> Scene:
    """The demo town with a worker that knows of an ear."""
    found = Scene(town_db, demo_town, engine, clock)
    found.worker = Worker(town_db, engine, WorkCalendar.configured(ZONE), clock=clock, hears=True)
    return found


def listening(scene: Scene, ear: Ear, media: Path) -> Listening:
    return Listening(scene.db, ear, media, WorkCalendar.configured(ZONE), clock=scene.clock)


def speaks(scene: Scene, name: str, *, direct: bool = False, path: str = "v1.amr") -> Incoming:
    room = scene.direct(name) if direct else scene.group(GROUP)
    return scene.deliver(room, name, kind=Kind.VOICE, media=(Media(path=path, platform_id="m1"),))


def rows(db: Database) -> list[Inbox]:
    return db.tx(lambda session: list(session.scalars(sa.select(Inbox).order_by(col(Inbox.id)))))


async def test_what_is_heard_is_handled_as_if_it_had_come_with_the_voice(scene: Scene, media: Path) -> None:
    voice = speaks(scene, "小满要早睡")
    assert (scene.outcome(voice), scene.tickets()) == ("held", [])
    ear = Ear(WORDS)
    there = listening(scene, ear, media)
    assert [await there.step(), await there.step()] == [1, 0]
    assert ear.asked == [media / "v1.amr"]
    scene.work()
    ticket = scene.ticket()
    assert (ticket.category, ticket.place, sorted(ticket.messages)) == ("facility.lighting", "柳岸花园3幢", ["", WORDS])
    assert ticket.reporters == ["小满要早睡"]
    heard = rows(scene.db)[-1]
    assert (heard.message, heard.sent_at, heard.sender) == (f"{voice.id}~heard", voice.sent_at, voice.sender)
    assert [await listening(scene, ear, media).step(), len(scene.tickets())] == [0, 1]


async def test_words_of_a_voice_that_joined_a_matter_join_it_too(scene: Scene, media: Path) -> None:
    scene.group(GROUP).says("小满要早睡", "3幢1单元楼道灯坏了，黑咕隆咚的，麻烦修一下")
    assert scene.outcome(speaks(scene, "小满要早睡")) == "detail"
    await listening(scene, Ear("就是二楼到三楼那一个 闪了两天了"), media).step()
    scene.work()
    assert scene.ticket().messages[-1] == "就是二楼到三楼那一个 闪了两天了"


@pytest.mark.parametrize("answer", [None, ""])
async def test_who_is_not_understood_is_asked_once(scene: Scene, media: Path, answer: str | None) -> None:
    speaks(scene, "小满要早睡", direct=True)
    assert scene.told("小满要早睡") == []  # an ear is there: nobody has to type yet
    there = listening(scene, Ear(answer), media)
    assert [await there.step(), await there.step()] == [1, 0]
    assert ["打几个字" in line for line in scene.told("小满要早睡")] == [True]
    assert [row.outcome for row in rows(scene.db)] == ["held", "unheard"]


async def test_in_a_group_who_is_not_understood_hears_it_in_private_once_a_day(scene: Scene, media: Path) -> None:
    there = listening(scene, Ear(None), media)
    for _ in range(2):
        speaks(scene, "小满要早睡")
        await there.step()
    assert len(scene.told("小满要早睡")) == 1
    assert scene.bot_said(GROUP) == []


@pytest.mark.parametrize("path", ["missing.amr", "../secret.amr"])
async def test_a_file_that_is_not_in_the_folder_is_not_opened(scene: Scene, media: Path, path: str) -> None:
    (media.parent / "secret.amr").write_bytes(b"#!AMR\n")
    speaks(scene, "小满要早睡", path=path)
    ear = Ear(WORDS)
    assert await listening(scene, ear, media).step() == 1
    assert (ear.asked, rows(scene.db)[-1].outcome) == ([], "unheard")


async def test_an_ear_that_fails_tries_again_and_gives_up(scene: Scene, media: Path) -> None:
    speaks(scene, "小满要早睡", direct=True)
    there = listening(scene, Ear(RuntimeError("no memory")), media)
    for attempt in range(1, 4):
        assert await there.step() == 1
        assert await there.step() == 0  # leased
        assert (rows(scene.db)[-1].outcome, rows(scene.db)[-1].attempts) == ("hearing", attempt)
        scene.clock.forward(minutes=3)
    assert await there.step() == 1
    assert rows(scene.db)[-1].outcome == "unheard"
    assert len(scene.told("小满要早睡")) == 1


async def test_a_process_that_died_over_a_voice_is_followed_by_another(scene: Scene, media: Path) -> None:
    speaks(scene, "小满要早睡")
    since, lease = scene.clock() - timedelta(days=1), timedelta(minutes=2)
    first = scene.db.tx(lambda s: voices.take(s, now=scene.clock(), since=since, lease=lease))
    assert first is not None
    scene.clock.forward(minutes=3)
    await listening(scene, Ear(WORDS), media).step()
    # The first one was only slow: it has nothing to say any more.
    assert scene.db.tx(lambda s: voices.settle(s, first, "别的话", now=scene.clock())) == "lost"
    scene.work()
    assert WORDS in scene.ticket().messages


async def test_a_voice_that_is_taken_back_is_forgotten_with_its_words(scene: Scene, media: Path) -> None:
    voice = speaks(scene, "小满要早睡")
    await listening(scene, Ear(WORDS), media).step()
    scene.work()
    assert scene.ticket().status == "assigned"
    scene.room = scene.group(GROUP)
    scene.recalls("小满要早睡", voice)
    assert scene.ticket().status == "withdrawn"
    assert not any(WORDS in row.payload for row in rows(scene.db))
    assert not any(scene.ticket().messages)


async def test_a_voice_taken_back_while_it_is_heard_says_nothing(scene: Scene, media: Path) -> None:
    voice = speaks(scene, "小满要早睡")

    class Slow(Ear):
        async def hear(self, path: Path) -> str | None:
            await asyncio.to_thread(scene.recalls, "小满要早睡", voice)
            return await super().hear(path)

    await listening(scene, Slow(WORDS), media).step()
    scene.work()
    assert (scene.tickets(), rows(scene.db)[1].outcome) == ([], "recalled")
    assert not any(WORDS in row.payload for row in rows(scene.db))


async def test_old_voices_and_those_with_words_are_left_alone(scene: Scene, media: Path) -> None:
    scene.deliver(scene.group(GROUP), "豆豆妈", kind=Kind.VOICE, text="今天天气真好", media=(Media(path="v1.amr"),))
    speaks(scene, "小满要早睡")
    scene.clock.forward(hours=25)
    ear = Ear(WORDS)
    assert (await listening(scene, ear, media).step(), ear.asked) == (0, [])


async def test_without_an_ear_a_group_stays_silent_and_the_sender_is_told(
    town_db: Database, demo_town: Town, engine: EmbeddedEngine, clock: HandClock
) -> None:
    scene = Scene(town_db, demo_town, engine, clock)
    speaks(scene, "小满要早睡")
    speaks(scene, "小满要早睡")
    speaks(scene, "谁也不认识")
    scene.wait("4 minutes")
    assert scene.bot_said(GROUP) == []
    assert ["群里" in line for line in scene.told("小满要早睡")] == [True]


def test_an_id_of_any_length_has_one_of_its_own(town_db: Database, clock: HandClock) -> None:
    for length in (1, 122, 123, 128):
        assert len(voices.heard_id("x" * length)) <= 128
    told = Incoming(id="x" * 128, channel="web", chat="g1", sender="u01", sent_at=clock(), kind=Kind.VOICE,
                    media=(Media(path="v1.amr"),))  # fmt: skip

    def work(session: Session) -> list[bool]:
        receive(session, [told], clock())
        session.connection().execute(sa.update(Inbox).values(outcome="held", finished_at=clock()))
        ask = {"now": clock(), "since": clock() - timedelta(days=1), "lease": timedelta(minutes=2)}
        return [voices.take(session, **ask) is not None for _ in range(2)]  # type: ignore[arg-type]

    assert town_db.tx(work) == [True, False]


# --- the real ear ---------------------------------------------------------------------------------------------------


def tone(path: Path) -> Path:
    """A second of a tone, 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(b"".join(struct.pack("<h", int(9_000 * math.sin(i / 3))) for i in range(8_000)))
    return path


def test_sound_is_decoded_to_what_models_take(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra `asr` is not installed")
    samples = sound(tone(tmp_path / "a.wav"))
    assert samples is not None
    assert abs(len(samples) - hearing.RATE) < 200
    assert 0.2 < float(abs(samples).max()) < 0.4
    (tmp_path / "b.amr").write_bytes(b"no sound at all")
    assert sound(tmp_path / "b.amr") is None


async def test_the_real_ear(tmp_path: Path) -> None:
    """Only where an operator's model is: `LINSHENG_TEST_ASR_MODEL=folder`."""
    pytest.importorskip("sherpa_onnx", reason="the extra `asr` is not installed")
    folder = os.environ.get("LINSHENG_TEST_ASR_MODEL")
    if not folder:
        pytest.skip("no model: LINSHENG_TEST_ASR_MODEL names no folder")
    assert isinstance(await SherpaEar(Path(folder)).hear(tone(tmp_path / "a.wav")), str | None)


def test_a_folder_without_a_model_is_said(tmp_path: Path, sqlite_db: Database) -> None:
    settings = Settings(home=tmp_path, asr_model=tmp_path / "nothing")
    with pytest.raises(SettingsError, match="LINSHENG_ASR_MODEL"):
        steps(settings, sqlite_db)
    with pytest.raises(SettingsError, match="nothing to do"):
        steps(Settings(home=tmp_path), sqlite_db)


async def test_the_process_takes_turns_and_survives_a_fault() -> None:
    stop = asyncio.Event()
    done: list[str] = []

    async def one() -> int:
        done.append("one")
        if len(done) > 6:
            stop.set()
        return 1

    async def other() -> int:
        done.append("other")
        if len(done) == 2:
            raise RuntimeError("the database is away")
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.looking.PAUSE", 0.01)
        await asyncio.wait_for(run([one, other], stop, poll=0.01), 5)
    assert done[:4] == ["one", "other", "one", "other"]
