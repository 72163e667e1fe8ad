"""Names of the demo town written as a voice transcript writes them, and ordinary talk that names nothing."""

import pytest

from handlers.town import Town
from nlu.normalize import normalize
from nlu.sounds import Sounds, merged


@pytest.fixture(scope="module")
def sounds(shared_town: Town) -> Sounds:
    """The names and aliases of the demo town's places."""
    places = shared_town.places.values()
    return Sounds((name, [place.code]) for place in places for name in [place.name, *place.aliases.split("|")] if name)


ORDINARY = """今天天气不错 出去走走|谁家孩子丢了把伞|明天早上几点集合啊|快递到了没人拿|哈哈哈笑死我了
电梯又坏了三天没人修|收到 谢谢网格员|楼下那只猫生了四只|我在上班 晚点再说|求推荐靠谱的家政
单元门口积水了|人才市场怎么走|昨晚停电到十一点|菜价又涨了真是受不了|李老师节日快乐
十来分钟前我好像看见一个人|垃圾分类到底怎么分|大家新年快乐|有没有人会修水管|那个口子上个月才通的
我背货下来差点踩虚|电动车碰了一下没事|走访记录已经交了|门口停车把路都堵死了|今晚先把阳台收一收
手机电量不够了|奶奶在小区里跳舞|下雨天路滑 慢点开|晾衣服不要滴水|物业费什么时候交
楼上天天半夜拖椅子|明天九点到十一点装窗帘|我赶紧往里挪了|说是直接换新的好|外卖送错楼了
一斤五块五|春天花都开了|下午三点开会别忘了|小孩发烧去哪个医院|谁有充电器借一下""".replace("\n", "|").split("|")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("刘安花园那边停水了", "柳岸花园"),
        ("我在青溪小学里", "清溪小学"),
        ("桂语明苑的灯不亮", "桂雨名苑"),
        ("百石新苑没电", "白石新苑"),
        ("鸡械厂新村路灯坏了", "机械厂新村"),
        ("粮站宿色的门关不上", "粮站宿舍"),
    ],
)
def test_other_characters_with_the_same_sound(sounds: Sounds, shared_town: Town, said: str, name: str) -> None:
    found = sounds.find(normalize(said), shared_town.names.find(normalize(said)))
    assert [shared_town.places[code].name for span in found for code in span.codes if span.how == "sound"][:1] == [name]
    assert all(span.text == said[span.start : span.end] for span in found)


def test_ordinary_talk_names_nothing(sounds: Sounds, shared_town: Town) -> None:
    assert len(ORDINARY) == 40
    heard = {said: sounds.find(said, shared_town.names.find(said)) for said in map(normalize, ORDINARY)}
    assert {said: spans for said, spans in heard.items() if spans} == {}


def test_what_is_found_by_name_is_not_heard_again(sounds: Sounds, shared_town: Town) -> None:
    said = "柳岸花园3幢停水"
    exact = shared_town.names.find(said)
    assert exact
    assert sounds.find(said, exact) == []
    assert sounds.beside(said, exact) == exact
    assert sounds.find(said) == []


def test_a_piece_of_a_longer_name_gives_way(sounds: Sounds, shared_town: Town) -> None:
    said = "百石新苑和南区都停水"
    exact = shared_town.names.find(said)
    assert [span.text for span in exact][:1] == ["新苑"]
    assert [(span.text, span.how) for span in sounds.beside(said, exact)] == [("百石新苑", "sound"), ("南区", "name")]


@pytest.mark.parametrize(
    ("one", "other"), [("zhang", "zang"), ("shi", "si"), ("lan", "nan"), ("xing", "xin"), ("chuang", "cuan")]
)
def test_sounds_that_many_do_not_tell_apart(one: str, other: str) -> None:
    assert merged(one) == merged(other)


def test_f_and_h_are_one_only_where_it_is_asked_for() -> None:
    names = [("福业街", ["R1"])]
    assert Sounds(names).find("胡业街堵了") == []
    assert Sounds(names, f_is_h=True).find("胡业街堵了")[0].codes == ("R1",)


def test_names_with_two_readings_and_names_that_sound_alike() -> None:
    found = Sounds([("长安路", ["R1"]), ("常安路", ["R2"]), ("红星路", ["R3"])]).find("昌安路口的灯")
    assert found[0].codes == ("R1", "R2")
    assert Sounds([("厦门路", ["R4"])]).find("下门路堵了")[0].codes == ("R4",)


def test_short_names_and_names_with_digits_are_left_out() -> None:
    assert len(Sounds([("桥头", ["P1"]), ("a座楼下", ["P2"]), ("3幢旁边", ["P3"])])) == 0
    assert Sounds([]).find("桥头") == []


def test_no_character_of_it_as_written_is_no_name() -> None:
    assert Sounds([("奶茶店", ["S1"])]).find("我背货下来差点踩虚") == []
