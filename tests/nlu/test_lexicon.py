"""Words that must never be missed, and the guards that take a word back."""

import re
from pathlib import Path

import pytest

from config.tables import TableError, leaves
from nlu import corpus
from nlu.lexicon import Entry, Watch, fired, lexicon, needs
from nlu.normalize import normalize

FIRES: dict[str, tuple[str, ...]] = {
    "trapped": ("有人被困在电梯里了", "我卡在电梯 按铃没人理", "3幢电梯里关着人 快来"),
    "fire": ("5幢着火了！！", "起火了 快来人", "配电间在冒黑烟", "樓道有明火"),
    "gas_leak": ("楼道一股煤气味", "好像天然气泄漏了", "闻到煤气 头晕"),
    "violence": ("楼下打起来了 有人动刀", "他拿着菜刀在门口", "隔壁在打老婆 救命"),
    "lost": ("我家孩子走丢了 穿红衣服", "有没有看到一个六岁小男孩", "奶奶早上出去到现在没回来"),
    "not_answering": ("对门老太太敲门没人应", "张大爷三天没出门了"),
    "fell_ill": ("老人晕倒在楼下", "有人掉河里了", "叫不醒了 快点", "有人晕倒了 快打120"),
    "live_wire": ("电线掉在地上冒火花", "充电桩漏电了"),
    "explosion": ("煤气罐爆炸了", "围墙要塌了 快让开"),
}
TAKEN_BACK: dict[str, tuple[str, ...]] = {
    "trapped": ("下午电梯困人演练", "上次我也被困在电梯里", "看新闻 有人困在电梯"),
    "fire": ("昨晚着火已经扑灭了 谢谢消防", "社区火灾隐患宣传", "楼下烧烤冒烟"),
    "gas_leak": ("燃气泄漏知识讲座", "煤气味昨晚就修好了"),
    "violence": ("这空调救命啊 凉快", "昨天他俩打起来了", "笑死 救命"),
    "lost": ("孩子找不到了…找到了找到了 谢谢大家", "新闻里说老人走失"),
    "not_answering": ("物业电话没人接", "敲门没人应 快递放门口了"),
    "fell_ill": ("全场跳楼价", "急救知识培训 心梗怎么办", "差点掉河里"),
    "live_wire": ("漏电保护器宣传 触电漏电怎么办", "光纤线掉地上 没电火花"),
    "explosion": ("他那个爆炸头", "房价塌了"),
}
URGENT = {entry.name: entry for entry in lexicon()["urgent"]}


def pairs(said: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(name, text) for name, texts in said.items() for text in texts]


def test_every_urgent_entry_has_its_examples() -> None:
    assert set(URGENT) == set(FIRES) == set(TAKEN_BACK)
    assert min(len(texts) for texts in [*FIRES.values(), *TAKEN_BACK.values()]) >= 2


@pytest.mark.parametrize(("name", "text"), pairs(FIRES))
def test_it_fires(name: str, text: str) -> None:
    assert name in {entry.name for entry in fired("urgent", normalize(text))}


@pytest.mark.parametrize(("name", "text"), pairs(TAKEN_BACK))
def test_its_guard_takes_it_back(name: str, text: str) -> None:
    assert URGENT[name].pattern.search(normalize(text)), "the words are not there: the guard has nothing to do"
    assert name not in {entry.name for entry in fired("urgent", normalize(text))}


def test_the_categories_are_there() -> None:
    wrong = [entry.name for part in lexicon().values() for entry in part if entry.leaf and entry.leaf not in leaves()]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "收到",
        "谢谢大家",
        "早上好",
        "今天菜场的鱼不错",
        "有人拼单吗",
        "明天去烧烤",
        "孩子考了100分",
        "电梯广告好吵",
        "煤气费怎么交",
    ],
)
def test_small_talk_is_not_urgent(text: str) -> None:
    assert fired("urgent", normalize(text)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keep_quiet", "别在群里说是我讲的"),
        ("keep_quiet", "可以匿名吗"),
        ("family", "他又打老婆了"),
        ("illness", "我妈刚做完化疗"),
        ("poverty", "想问问低保怎么申请"),
    ],
)
def test_what_is_not_for_the_group(name: str, text: str) -> None:
    assert name in {entry.name for entry in fired("sensitive", normalize(text))}


@pytest.mark.parametrize(
    ("table", "named"),
    [("urgent:\n  fire: {words: '(着火'}\n", "fire"), ("urgent:\n  fire: {leaf: safety.fire}\n", "fire")],
    ids=["not an expression", "no words"],
)
def test_a_bad_entry_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, named: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "lexicon.yaml").write_text(table, encoding="utf-8")
    monkeypatch.setenv("LINSHENG_HOME", str(tmp_path))
    with pytest.raises(TableError, match=named):
        lexicon.__wrapped__()


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("着火|火灾", {"着火", "火灾"}),
        ("(着|起)火", {"着火", "起火"}),
        ("冒(黑|浓)?烟", {"冒烟", "冒黑烟", "冒浓烟"}),
        ("[刀枪]人", {"刀人", "枪人"}),
        ("(人|娃).{0,3}(困在|卡住)", {"困在", "卡住"}),
        ("打人(?!了)", {"打人"}),
        ("(?:很多)+人?", {"很多"}),
        ("着火|.{3}", set()),
        ("人?", set()),
        ("(?i)FIRE", set()),
        ("[^火]", set()),
        ("[a-z]", set()),
    ],
)
def test_the_words_an_expression_needs(pattern: str, words: set[str]) -> None:
    assert needs(re.compile(pattern)) == words


def test_looking_for_the_needed_words_first_misses_nothing() -> None:
    known = frozenset(leaves())
    texts = [normalize(e.text) for file in corpus.files() for e in corpus.utterances(file, known)]
    texts += [text for said in (FIRES, TAKEN_BACK) for _, text in pairs(said)]
    for part, entries in lexicon().items():
        fires = [[entry for entry in entries if entry.fires(text)] for text in texts]
        assert [fired(part, text) for text in texts] == fires
        assert sum(map(bool, fires)) >= 50, "nothing was compared"


def test_an_entry_that_tells_no_words_is_always_tried() -> None:
    entry = Entry("any", re.compile(".火"), re.compile("没"), "")
    blind = Entry("blind", re.compile("."), None, "")
    assert Watch([entry, blind]).fired("起火") == [entry, blind]
    assert Watch([entry, blind]).fired("没起火") == [blind]
    assert Watch([]).fired("起火") == []
