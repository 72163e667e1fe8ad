"""The embedded engine: normalise, names, grammar, linear heads, lexicon. One core, no network, no GPU."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from nlu import corpus, cuts, store
from nlu.artefact import Progress
from nlu.head import Floats
from nlu.heads import Heads
from nlu.judge import FLAGS, said
from nlu.lexicon import ALARM
from nlu.look import OBJECT, Look, look_at, objects, parts_of
from nlu.reader.run import SecondReader
from nlu.reader.words import asked
from nlu.types import MATTER, Matter, Names, Span, Understanding, Utterance

log = structlog.get_logger(__name__)
AT_ONCE = 64  # messages read in one pass; more of them no longer fit the processor's own memory
# Shorter messages, and those that are hardly reports, tell of one thing at most.
MANY, MANY_LIKELY = 10, 0.35
KEPT_CATEGORIES = 5
SURE_KIND = 0.5
FORM_LEAST = 0.35  # so likely a matter (decisions.yaml, quiet_placed), before a place is looked for by its form


class EmbeddedEngine:
    """Engine that runs inside the process. Holds the trained heads; everything else is pure functions."""

    name = "embedded"

    def __init__(self, heads: Heads, second: SecondReader | None = None) -> None:
        """second: asked about the messages of its band. Raises ValueError when the heads have no judge."""
        if heads.judge is None:
            raise ValueError("these heads have no judge: `linsheng nlu train`")
        self.heads = heads if second is None else second.trusted(heads)
        self.second = second
        self._judge = heads.judge
        self._intents = heads.heads["intent"].labels
        self._leaves = heads.heads["leaf"].labels
        self._kinds = {"leaf": heads.heads["leaf"]}
        self._signed = f"{self.name}:{heads.facts['data']}{'' if second is None else '+reader'}"

    @classmethod
    def ready(
        cls, home: Path, leaves: Sequence[str], progress: Progress = lambda what, share: None,
        second: SecondReader | None = None,
    ) -> "EmbeddedEngine":  # fmt: skip
        """The engine in force: the one that was promoted (`nlu.store`), if the code and the categories are still those
        it was made for, else the one of the data that ship.

        home: the data folder; artefacts are kept in `nlu/<id>` under it. second: see `nlu.reader.wanted.wanted`.
        """
        current = store.promoted(home)
        if current and (why := store.unfit(home, current, leaves)):
            log.warning("engine.not_promoted", artefact=current, why=why, todo="linsheng nlu retrain")
        elif current:
            return cls(Heads.load(store.folder_of(home, current)), second)
        return cls.shipped(home, leaves, progress, second)

    @classmethod
    def shipped(
        cls, home: Path, leaves: Sequence[str], progress: Progress = lambda what, share: None,
        second: SecondReader | None = None,
    ) -> "EmbeddedEngine":  # fmt: skip
        """The engine for the data and code as they are: loads the artefact, or trains it first (a minute)."""
        folder = store.shipped(home, leaves)
        if not (folder / "heads.json").is_file():
            from nlu.train import train  # noqa: PLC0415 - a second of imports that a ready engine does not need

            train(corpus.everything(frozenset(leaves)), leaves, progress=progress).save(folder)
        return cls(Heads.load(folder), second)

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """See `nlu.types.Engine`. What a message is told does not depend on what stands beside it."""
        return [found for at in range(0, len(batch), AT_ONCE) for found in self._parse(batch[at : at + AT_ONCE], names)]

    def _parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        looks = [look_at(utterance, names) for utterance in batch]
        tokens = [look.tokens for look in looks]
        around = self.heads.sums(tokens)
        logits = self.heads.joined(self.heads.read([look.seen for look in looks]), around)
        fired = np.array([[bool(look.alarms), bool(look.whispers)] for look in looks], dtype=np.float32)
        weighed = self._judge.weigh(said(self.heads.heads, logits, fired), tokens)
        second = self._heard(looks, logits, weighed)
        intents = self._intents_of(weighed)
        urgent, sensitive = (self._judge.probabilities(name, weighed)[:, 0].tolist() for name in FLAGS)
        matters: list[tuple[Matter, ...]] = [
            (matter,) for matter in self._matters([(look.words, look.spans) for look in looks], logits)
        ]
        many = [i for i, look in enumerate(looks) if len(look.text) >= MANY and intents[i]["report"] >= MANY_LIKELY]
        parts = self._parts([looks[i] for i in many], around[many], [i in second for i in many])
        for i, found in zip(many, parts, strict=True):
            matters[i] = found or matters[i]
        masses = [_mass(shares) for shares in intents]
        credible = self._credible(masses)
        return [
            self._told(*row) for row in zip(looks, intents, masses, credible, matters, urgent, sensitive, strict=True)
        ]

    def again(self, words: Utterance, names: Names) -> Understanding:
        """See `nlu.types.Engine`."""
        return self.parse([words], names)[0]

    def _heard(self, looks: Sequence[Look], logits: Floats, weighed: Floats) -> frozenset[int]:
        """Ask the second reader about messages of its band, and change what the heads say of them; gives their
        numbers."""
        second = self.second
        if second is None:
            return frozenset()
        band = [i for i, intents in enumerate(self._intents_of(weighed)) if second.asks(_mass(intents))]
        for i in band:
            theirs = second.scores_of(asked(looks[i].seen, looks[i].tokens))
            weighed[i] = second.heard(self._judge.heads, weighed[i], theirs)
            logits[i] = second.heard(self._kinds, logits[i], theirs)
        return frozenset(band)

    def _told(
        self, look: Look, intents: dict[str, float], mass: float, credible: dict[str, float],
        matters: tuple[Matter, ...], urgent: float, sensitive: float,
    ) -> Understanding:  # fmt: skip
        if leaf := next((entry.leaf for entry in look.alarms if entry.leaf), ""):
            matters = tuple(_spoken_for(matter, leaf) for matter in matters)
        return Understanding(
            intents=intents,
            matters=matters,
            urgent=max(urgent, ALARM) if look.alarms else urgent,
            sensitive=max(sensitive, ALARM) if look.whispers else sensitive,
            flags=tuple(entry.name for entry in [*look.alarms, *look.whispers]),
            engine=self._signed,
            spans=(*(look.spans or self._by_form(look.text, mass)), *objects(look.text)),
            credible=credible,
        )

    def _intents_of(self, weighed: Floats) -> list[dict[str, float]]:
        shares = self._judge.probabilities("intent", weighed).tolist()
        return [dict(zip(self._intents, row, strict=True)) for row in shares]

    def _by_form(self, text: str, mass: float) -> tuple[Span, ...]:
        """Places that neither the town's names nor the grammar know. The heads have read the message without them."""
        spotter = self.heads.spotter
        if spotter is None or mass < FORM_LEAST:
            return ()
        return tuple(spotter.find(text))

    def _parts(
        self, looks: Sequence[Look], around: Floats, second: Sequence[bool]
    ) -> list[tuple[Matter, ...]]:  # fmt: skip
        """What the parts of each message tell of, each read by itself; nothing where it is of one piece. second: for
        each, whether the second reader is asked too."""
        if not looks:
            return []
        reader = cuts.Reader(self.heads, [look.seen for look in looks], around)
        found = cuts.cut(reader.masked, reader.parts, OBJECT)
        pieces = [
            (i, piece)
            for i, (look, parts) in enumerate(zip(looks, found, strict=True))
            for piece in (parts_of(look, parts) if len(parts) > 1 else ())
        ]
        out: list[list[Matter]] = [[] for _ in looks]
        if pieces:
            logits = self.heads.joined(
                self.heads.read([piece.seen for _, piece in pieces]), self.heads.sums([p.tokens for _, p in pieces])
            )
            for row, (i, piece) in enumerate(pieces):
                if self.second is not None and second[i]:
                    theirs = self.second.scores_of(asked(piece.seen, piece.tokens))
                    logits[row] = self.second.heard(self._kinds, logits[row], theirs)
            matters = self._matters([(piece.words, piece.spans) for _, piece in pieces], logits)
            for (i, _), matter in zip(pieces, matters, strict=True):
                out[i].append(matter)
        return [tuple(found) for found in out]

    def _matters(self, told: Sequence[tuple[str, tuple[Span, ...]]], logits: Floats) -> list[Matter]:
        """Of each row what kind it is. told: the words as written, and the places in them."""
        shares = self.heads.probabilities("leaf", logits)
        best = (-shares).argsort(axis=1)[:, :KEPT_CATEGORIES]
        likely = shares[np.arange(len(best))[:, None], best].tolist()
        credible = self.heads.at_most("leaf", likely).tolist() if self.heads.scores else [()] * len(likely)
        return [
            Matter(words, tuple(zip(map(self._leaves.__getitem__, numbers), row, strict=True)), spans, tuple(alike))
            for (words, spans), numbers, row, alike in zip(told, best.tolist(), likely, credible, strict=True)
        ]

    def _credible(self, masses: Sequence[float]) -> list[dict[str, float]]:
        """See `Understanding.credible`; for each share of a matter."""
        if not self.heads.scores:
            return [{} for _ in masses]
        chatter, matter = self.heads.at_least("chatter", masses), self.heads.at_most("matter", masses)
        return [{"chatter": a, "matter": b} for a, b in zip(chatter.tolist(), matter.tolist(), strict=True)]


def _mass(intents: dict[str, float]) -> float:
    """The share of a matter, whatever it adds to it."""
    return sum(intents[name] for name in MATTER)


def _spoken_for(matter: Matter, leaf: str) -> Matter:
    """The kind that an alarm's words speak for, where the head itself is unsure of the kind."""
    if matter.categories[0][1] >= SURE_KIND or matter.category == leaf:
        return matter
    others = tuple((code, share * (1 - SURE_KIND)) for code, share in matter.categories if code != leaf)
    return replace(matter, categories=((leaf, SURE_KIND), *others)[:KEPT_CATEGORIES], credible=())
