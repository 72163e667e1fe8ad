"""The codes of 微信客服 and 公众号 by what their pages say that they mean: the test platform and the adapters must not
agree on a number that means something else.

Sources: 企业微信 90313 全局错误码; 公众号 全局返回码说明 and 客服接口-发消息.
"""

import re
from inspect import getsource
from types import ModuleType

import pytest

from bot.channels.wechat_mp import pushing as mp
from bot.channels.wecom_kf import puller
from bot.channels.wecom_kf import pushing as kf
from bot.platform import api, kf_api, official, official_api
from bot.platform import kf as kf_people
from bot.platform.codes import TEXTS

HER_WORD, NEVER, TOKEN, OURS = "waits for her word", "never", "asked for anew", "a fault of ours or of the settings"

# code: what it means, what the adapter makes of it.
KF = {
    40008: ("不合法的消息类型", OURS),
    40058: ("不合法的参数", NEVER),
    40096: ("不合法的外部联系人userid", NEVER),
    44004: ("文本消息content参数为空", NEVER),
    45002: ("消息内容大小超过限制", NEVER),
    95000: ("不合法的open_kfid", NEVER),
    95001: ("发送客服消息次数限制", HER_WORD),
    95002: ("发送客服消息时间限制", HER_WORD),
    95007: ("不合法的msgtoken", TOKEN),
    95013: ("会话已经结束", HER_WORD),
    95018: ("发送客服消息时当前会话状态不允许发送", HER_WORD),
}
MP = {
    40003: ("不合法的OpenID", NEVER),
    40008: ("不合法的消息类型", OURS),
    40037: ("不合法的template_id", NEVER),
    40058: ("不合法的参数", OURS),
    43004: ("需要接收者关注", NEVER),
    43101: ("用户拒绝接受消息", HER_WORD),
    44004: ("文本消息内容为空", OURS),
    45002: ("消息内容超过限制", NEVER),
    45015: ("回复时间超过限制", HER_WORD),
    45047: ("客服接口下行条数超过上限", HER_WORD),
    47001: ("解析JSON/XML内容错误", OURS),
    47003: ("模板参数不准确", NEVER),
    48002: ("粉丝拒收消息", NEVER),
}
MEANS_NOW = {95011: "已在企业微信使用微信客服", 95012: "未在企业微信使用微信客服", 95014: "用户不是接待人员"}
NUMBER = re.compile(r"\b[4-9]\d{4}\b")


def having(table: dict[int, tuple[str, str]], fate: str) -> set[int]:
    return {code for code, (_, follows) in table.items() if follows == fate}


def named(*modules: ModuleType) -> set[int]:
    """Every errcode that stands in the source of the test platform."""
    return {int(found) for module in modules for found in NUMBER.findall(getsource(module)) if int(found) in TEXTS}


def test_what_kf_waits_with_gives_up_and_asks_again() -> None:
    assert having(KF, HER_WORD) == kf.CLOSED
    assert having(KF, NEVER) == kf.FINAL
    assert {puller.BAD_TOKEN} == having(KF, TOKEN)
    assert not kf.CLOSED & kf.FINAL


def test_what_the_official_account_waits_with_and_gives_up() -> None:
    assert having(MP, HER_WORD) == mp.CLOSED | {mp.DISAGREED}
    assert having(MP, NEVER) == mp.FINAL | mp.NOTICE_FINAL
    assert not mp.CLOSED & (mp.FINAL | mp.NOTICE_FINAL)


@pytest.mark.parametrize(("table", "modules"), [(KF, (kf_people, kf_api)), (MP, (official, official_api))])
def test_the_platform_says_no_other_code(table: dict[int, tuple[str, str]], modules: tuple[ModuleType, ...]) -> None:
    assert named(*modules) <= set(table)


def test_no_code_stands_for_what_it_does_not_mean() -> None:
    """95011 once passed for a repeated msgid, and 95013 for the end of the 48 hours."""
    assert not set(MEANS_NOW) & (set(TEXTS) | kf.CLOSED | kf.FINAL)


def test_who_may_not_call_hears_it_in_the_platforms_own_number() -> None:
    assert {48001, 48002} <= named(api)
