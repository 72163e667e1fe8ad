"""What is not for the bot: it says nothing, and opens nothing."""

from tests.scenario.chat import Scene

# Group, who, what. Small talk, and talk that sounds like a report and is none.
CHATTER = [
    ("柳岸花园南区", "秀英姐", "早上好邻居们 今天降温出门多穿点"),
    ("柳岸花园南区", "豆豆妈", "今天食堂的红烧肉不错 去晚了就没了"),
    ("柳岸花园南区", "小满要早睡", "哈哈哈哈哈 笑死我了"),
    ("柳岸花园南区", "风吹柳", "谁家要猫 三个月大 会用猫砂"),
    ("柳岸花园南区", "老陈不钓鱼", "昨天钓了两条鲫鱼 晚上烧汤"),
    ("柳岸花园南区", "春芽", "我妈说明天要下雨 记得收衣服"),
    ("柳岸花园南区", "豆豆妈", "谁捡到一把钥匙 挂着小熊的"),
    ("柳岸花园南区", "风吹柳", "圆盘那边樱花开了 拍照好看"),
    ("粮站宿舍", "巷口月季", "包子铺今天开门没"),
    ("粮站宿舍", "粮仓老李", "下棋三缺一 井边等"),
    ("粮站宿舍", "大头他爸", "作业写到十点 心态炸了"),
    ("粮站宿舍", "巷口月季", "老家停水三天了 我妈还好存了水"),
    ("桂雨名苑西区", "桂雨西窗", "拼单买米 五常的 八十二一袋"),
    ("桂雨名苑西区", "南瓜粥", "我要一袋"),
    ("桂雨名苑西区", "二宝妈在线", "二宝今天会叫妈妈了"),
    ("桂雨名苑东区", "东区晴天", "楼上弹钢琴的小朋友进步好大 好听"),
    ("桂花社区居民群", "桂花糕小周", "明天买二送一 欢迎来店里"),
    ("桂花社区居民群", "茶小满", "电影里那个电梯坏了的镜头吓死我"),
    ("柳岸花园北区", "北区阿杰", "昨晚球赛点球大战看得我心都要停了"),
    ("柳岸花园北区", "糖糖外婆", "孙女感冒好了 谢谢大家关心"),
    ("溪口组", "枇杷姐", "枇杷熟了 五月来我家摘"),
    ("白石新苑", "新苑小贝", "我们家灯泡换了LED的 亮堂多了"),
    ("丝厂公寓", "丝丝入扣", "谁有24号的螺丝刀借我用一下"),
    ("丝厂公寓", "丝厂玉兰", "今晚七点广场有越剧 想看的一起走"),
    ("机械厂新村", "钳工老吴", "厂里当年的电影票五分钱一张"),
]
FALSE_ALARMS = 2  # a quiet 待确认 now and then is the price of missing little


def test_chatter_is_left_alone(chat: Scene) -> None:
    chat.at("2026-03-02 09:00")
    for group, name, text in CHATTER:
        chat.wait("7 minutes").group(group).says(name, text)

    assert [line.text for line in chat.lines() if not line.is_alert] == []
    assert len(chat.tickets()) <= FALSE_ALARMS, chat.tickets()


def test_notices_are_not_reports(chat: Scene) -> None:
    chat.at("2026-03-02 09:00").group("桂雨名苑西区").says(
        "西区何姐", "【通知】明天上午九点物业清洗水箱 停水两小时 请提前储水"
    )
    chat.says("桂雨物业柏经理", "【提醒】周五下午西区消防演练 听到警报不要慌")
    chat.group("桂花社区居民群").says("桂花社区小邵", "【通知】周四上午九点卫生服务中心来居委会量血压 请带身份证")
    chat.says("退休语文老师", "收到 谢谢小邵")

    assert chat.lines() == []
    assert chat.tickets() == []


def test_workers_acknowledge_in_the_group(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    group.says("春芽", "6幢楼道灯不亮了")
    before = len(chat.lines())
    group.says("网格员小顾", "收到 我下午过去看")
    group.says("柳岸物业段经理", "好的 已安排")
    group.says("网格员小顾", "师傅已经在路上了 大家稍等")

    assert len(chat.lines()) == before
    assert len(chat.tickets()) == 1


def test_thanks_and_jokes_after_a_report(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    group.says("豆豆妈", "1幢停水了 一滴都没有")
    group.says("豆豆妈", "不用了不用了 已经好了 是总阀关了")
    before = len(chat.lines())
    group.says("小满要早睡", "哈哈哈哈婆婆节水标兵")
    group.says("秀英姐", "没事就好")

    assert len(chat.lines()) == before
    assert len(chat.tickets()) == 1


def test_a_picture_alone_says_nothing(chat: Scene) -> None:
    group = chat.at("2026-03-02 09:00").group("柳岸花园南区")
    group.says("风吹柳", photo="樱花.jpg")
    chat.wait("40 minutes")

    assert chat.lines() == []
    assert chat.tickets() == []
