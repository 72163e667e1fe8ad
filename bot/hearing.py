"""Ears for voices that come without a transcript: off unless `LINSHENG_ASR_MODEL` names a folder with a model.

A voice is handled at once, as one without words: it is held, or joins what its sender just told. Beside the workers it
is then heard, and what was heard is one more message of hers (`models.voices`); her own later words need not wait for
it. Where nothing is understood, she is asked to type.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import structlog
from sqlmodel import Session

from config.settings import SettingsError
from handlers.desk import Desk
from handlers.town import Town, load
from handlers.voices import ask_to_type
from handlers.workdays import WorkCalendar
from models import mark, outbox, voices
from models.base import Clock, utc_now
from models.chat import ChatKind
from models.database import Database
from models.voices import UNHEARD, Voice

log = structlog.get_logger(__name__)
RATE = 16_000  # samples a second, what the models were trained on
LONGEST = 120.0  # seconds of one voice; the platforms allow 60
LEASE = timedelta(minutes=2)
FRESH = timedelta(hours=24)  # older voices are left alone: their matter is over, or was typed
TRIES = 3
INSTALL = "LINSHENG_ASR_MODEL: install linsheng[asr]"


class Ear(Protocol):
    """Something that writes down what is said."""

    async def hear(self, path: Path) -> str | None:
        """The words of a voice file; None when there are none to be understood, or it is no sound."""
        ...


class SherpaEar:
    """sherpa-onnx with a SenseVoice or Paraformer model that the operator supplies; decodes with PyAV (AMR, Opus, AAC,
    WAV). One voice at a time, in a thread of its own."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """folder: `model.int8.onnx` or `model.onnx`, and `tokens.txt`. Raises SettingsError naming what is missing."""
        try:
            import av  # noqa: F401, PLC0415 - an extra
            import sherpa_onnx  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise SettingsError(f"{INSTALL} ({error.name} is not there)") from error
        model = next((one for one in (folder / "model.int8.onnx", folder / "model.onnx") if one.is_file()), None)
        tokens = folder / "tokens.txt"
        if model is None or not tokens.is_file():
            missing = "tokens.txt" if model else "model.int8.onnx or model.onnx"
            raise SettingsError(f"LINSHENG_ASR_MODEL: there is no {missing} in {folder}")
        make = sherpa_onnx.OfflineRecognizer
        # Only SenseVoice has tokens for languages.
        if "<|zh|>" in tokens.read_text(encoding="utf-8", errors="replace"):
            told: dict[str, Any] = {"language": "auto", "use_itn": True}
            self._model = make.from_sense_voice(str(model), str(tokens), num_threads=threads, **told)
        else:
            self._model = make.from_paraformer(str(model), str(tokens), num_threads=threads)

    async def hear(self, path: Path) -> str | None:
        """See `Ear.hear`."""
        return await asyncio.to_thread(self._hear, path)

    def _hear(self, path: Path) -> str | None:
        samples = sound(path)
        if samples is None:
            return None
        stream = self._model.create_stream()
        stream.accept_waveform(RATE, samples)
        self._model.decode_stream(stream)
        return str(stream.result.text).strip() or None


def sound(path: Path) -> Any | None:
    """A voice file as float32 samples at 16 kHz, one channel, at most two minutes; None when it cannot be decoded
    (the SILK of the WeChat client is not)."""
    import av  # noqa: PLC0415 - an extra
    import numpy as np  # noqa: PLC0415 - beside it

    to = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    parts: list[Any] = []
    length = 0
    try:
        with av.open(str(path)) as box:
            for frame in box.decode(audio=0):
                some = [one.to_ndarray().reshape(-1) for one in to.resample(frame)]
                parts += some
                length += sum(map(len, some))
                if length > LONGEST * RATE:
                    break
            parts += [one.to_ndarray().reshape(-1) for one in to.resample(None)]
    except (av.FFmpegError, IndexError, OSError, ValueError) as error:
        log.info("voice.no_sound", error=type(error).__name__)
        return None
    return np.concatenate(parts).astype(np.float32) if parts else None


class Listening:
    """Hears what nobody has heard. Any number may run on one database."""

    def __init__(
        self, db: Database, ear: Ear, media: Path, calendar: WorkCalendar, *, clock: Clock = utc_now,
        wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """media: the folder of the voices. wake: called once there is something to handle or to send."""
        self._db = db
        self._ear = ear
        self._media = media
        self._calendar = calendar
        self._clock = clock
        self._wake = wake
        self._town: Town | None = None

    async def step(self) -> int:
        """Hear one voice. Returns 1, or 0 when there is none."""
        now = self._clock()
        voice = await self._db.run(lambda s: voices.take(s, now=now, since=now - FRESH, lease=LEASE))
        if voice is None:
            return 0
        text = "" if voice.attempts > TRIES else await self._words(voice)
        if text is None:
            return 1  # tried again when the lease is over
        outcome = await self._db.run(lambda session: self._settle(session, voice, text))
        log.info("voice.heard", inbox=voice.row, outcome=outcome or "words", characters=len(text))
        self._wake()
        return 1

    async def _words(self, voice: Voice) -> str | None:
        """An empty string where there are none; None when the ear itself failed, and may hear it the next time."""
        name = next((media.path for media in voice.message.media if media.path), "")
        path = (self._media / name).resolve()
        if not path.is_relative_to(self._media.resolve()) or not path.is_file():
            return ""
        try:
            return await self._ear.hear(path) or ""
        except Exception as error:  # one voice that cannot be heard must not keep the others waiting
            log.exception("voice.failed", inbox=voice.row, error=type(error).__name__)
            return None

    def _settle(self, session: Session, voice: Voice, text: str) -> str:
        now = self._clock()
        outcome = voices.settle(session, voice, text.replace("\x00", "")[:20_000], now=now)
        if outcome == UNHEARD:
            if self._town is None or self._town.version != mark.value(session, mark.TOWN):
                self._town = load(session)
            m = voice.message
            desk = Desk(session, self._town, now, self._calendar, m.dedup_key)
            direct = m.direct or self._town.kind(m.channel, m.chat) == ChatKind.DIRECT
            ask_to_type(desk, m, direct=direct)
            outbox.put(session, desk.take(), now)
        return outcome
