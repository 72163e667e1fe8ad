"""The embedded engine: normalise, names, grammar, linear heads, lexicon. One core, no network, no GPU."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from nlu import corpus, cuts, features, judge, lexicon, store
from nlu.artefact import Progress
from nlu.head import Floats
from nlu.heads import Heads
from nlu.normalize import normalize
from nlu.reader.run import SecondReader
from nlu.reader.words import asked
from nlu.types import MATTER, Matter, Names, Span, Understanding, Utterance

log = structlog.get_logger(__name__)
# Shorter messages, and those that are hardly reports, tell of one thing at most.
MANY, MANY_LIKELY = 10, 0.35
KEPT_CATEGORIES = 5
SURE_KIND = 0.5
FORM_LEAST = 0.3  # so likely a matter, before a place is looked for by its form
OBJECT = re.compile(
    r"电梯|路灯|楼道灯|声控灯|感应灯|单元门|电子门|门禁|道闸|窨井盖|井盖|下水道|污水管|雨水管|水管|化粪池|外墙|屋顶|栏杆|扶手|健身器材|滑梯|秋千|座椅|长椅|充电桩|充电棚|垃圾桶|垃圾房|垃圾亭|"
    r"消防栓|灭火器|消防通道|电线|变压器|配电箱|红绿灯|减速带|站牌|护栏|台阶|坡道|水表|电表|气表|暖气|宽带|快递柜|信箱|树|花坛|摄像头|监控"
)


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
        """The engine for the data and code as they are: loads the artefact, or trains it first (seconds)."""
        folder = store.shipped(home, leaves)
        if not (folder / "heads.json").is_file():
            from nlu.train import train  # noqa: PLC0415 - a second of imports that a ready engine does not need

            train(corpus.everything(frozenset(leaves)), leaves, progress=progress).save(folder)
        return cls(Heads.load(folder), second)

    def parse(self, batch: Sequence[Utterance], names: Names) -> list[Understanding]:
        """See `nlu.types.Engine`."""
        return [self._one(utterance, names) for utterance in batch]

    def _one(self, utterance: Utterance, names: Names) -> Understanding:
        text = normalize(utterance.text)
        spans = features.places(text, names, heard=utterance.context.kind == "voice")
        seen = features.mask(text, spans)
        tokens = features.tokens(utterance.context, seen, spans)
        around = self.heads.sums(tokens)
        logits = self.heads.joined(self.heads.read(seen), around)
        alarms = lexicon.fired("urgent", text)
        whispers = lexicon.fired("sensitive", text)
        weighed = self._judge.weigh(judge.said(self.heads.heads, logits, (bool(alarms), bool(whispers))), tokens)
        intents = self._shares(weighed)
        second = self.second if self.second is not None and self.second.asks(_mass(intents)) else None
        if second is not None:
            theirs = second.scores_of(asked(seen, tokens))
            weighed = second.heard(self._judge.heads, weighed, theirs)
            logits = second.heard(self._kinds, logits, theirs)
            intents = self._shares(weighed)
        urgent = self._judge.probability("urgent", weighed)
        sensitive = self._judge.probability("sensitive", weighed)
        matters: tuple[Matter, ...] = ()
        if len(text) >= MANY and intents["report"] >= MANY_LIKELY:
            matters = self._parts(utterance, text, spans, cuts.Reader(self.heads, seen, around), second)
        matters = matters or (self._matter(utterance.text, logits, tuple(spans)),)
        if leaf := next((entry.leaf for entry in alarms if entry.leaf), ""):
            matters = tuple(_spoken_for(matter, leaf) for matter in matters)
        return Understanding(
            intents=intents,
            matters=matters,
            urgent=max(urgent, 0.9) if alarms else urgent,
            sensitive=max(sensitive, 0.9) if whispers else sensitive,
            flags=tuple(entry.name for entry in [*alarms, *whispers]),
            engine=self._signed,
            spans=(*(spans or self._by_form(text, intents)), *_objects(text)),
            credible=self._credible(intents),
        )

    def _shares(self, weighed: Floats) -> dict[str, float]:
        return dict(zip(self._intents, self._judge.probabilities("intent", weighed).tolist(), strict=True))

    def _by_form(self, text: str, intents: dict[str, float]) -> list[Span]:
        """Places that neither the town's names nor the grammar know. The heads have read the message without them."""
        spotter = self.heads.spotter
        if spotter is None or _mass(intents) < FORM_LEAST:
            return []
        return spotter.find(text)

    def _parts(
        self, utterance: Utterance, text: str, spans: list[Span], reader: cuts.Reader, second: SecondReader | None
    ) -> tuple[Matter, ...]:
        """What the parts of a message tell of, each read by itself; none when it is of one piece."""
        parts = cuts.cut(reader.masked, reader.parts, OBJECT)
        if len(parts) == 1:
            return ()
        seen, at = features.masked(text, spans)
        found: list[Matter] = []
        for start, end in parts:
            first, last = at[start], at[end] if end < len(seen) else len(text)
            inside = list(cuts.inside(spans, first, last))
            part = features.mask(text[first:last], inside)
            tokens = features.tokens(utterance.context, part, inside)
            logits = self.heads.joined(self.heads.read(part), self.heads.sums(tokens))
            if second is not None:
                logits = second.heard(self._kinds, logits, second.scores_of(asked(part, tokens)))
            found.append(self._matter(utterance.text[first:last], logits, tuple(inside)))
        return tuple(found)

    def _matter(self, text: str, logits: Floats, spans: tuple[Span, ...]) -> Matter:
        shares = self.heads.probabilities("leaf", logits)
        best = (-shares).argsort()[:KEPT_CATEGORIES]
        likely = shares[best].tolist()
        credible = tuple(self.heads.at_most("leaf", share) for share in likely) if self.heads.scores else ()
        categories = zip((self._leaves[number] for number in best.tolist()), likely, strict=True)
        return Matter(text, tuple(categories), spans, credible)

    def _credible(self, intents: dict[str, float]) -> dict[str, float]:
        """See `Understanding.credible`."""
        if not self.heads.scores:
            return {}
        mass = _mass(intents)
        return {"chatter": self.heads.at_least("chatter", mass), "matter": self.heads.at_most("matter", mass)}


def _mass(intents: dict[str, float]) -> float:
    """The share of a matter, whatever it adds to it."""
    return sum(intents[name] for name in MATTER)


def _spoken_for(matter: Matter, leaf: str) -> Matter:
    """The kind that an alarm's words speak for, where the head itself is unsure of the kind."""
    if matter.categories[0][1] >= SURE_KIND or matter.category == leaf:
        return matter
    others = tuple((code, share * (1 - SURE_KIND)) for code, share in matter.categories if code != leaf)
    return replace(matter, categories=((leaf, SURE_KIND), *others)[:KEPT_CATEGORIES], credible=())


def _objects(text: str) -> list[Span]:
    return [Span(match.start(), match.end(), "object", match.group()) for match in OBJECT.finditer(text)]
