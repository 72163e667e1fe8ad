"""What falls due: one reminder, one escalation, and none for what is done."""

from tests.scenario.chat import Scene
from tests.scenario.seen import TicketView


def a_blocked_drain(chat: Scene) -> TicketView:
    """A ticket of tier 2: three days from Monday 08:30."""
    chat.at("2026-03-02 08:30").group("柳岸花园南区").says("春芽", "6幢楼下下水道堵了 污水冒出来了 臭死了")
    return chat.ticket()


def moments(chat: Scene, why: str) -> list[tuple[str, str]]:
    """(whom, when) of the alerts for a reason."""
    return [(alert.to, f"{alert.at:%m-%d %H:%M}") for alert in chat.alerts() if alert.why.startswith(why)]


def test_reminded_once(chat: Scene) -> None:
    ticket = a_blocked_drain(chat)
    chat.wait("2 days")
    assert ticket.events == ["opened", "assigned"]
    chat.wait("10 hours")

    assert moments(chat, "reminder") == [("网格员小顾", "03-04 14:30")]
    assert "reminded" in ticket.events
    assert chat.alerts()[-1].text.startswith("【临期】LS00001 排水管道 柳岸花园6幢")


def test_escalated_once_to_the_next_level(chat: Scene) -> None:
    ticket = a_blocked_drain(chat)
    chat.wait("20 days")

    past = "03-05 08:30"
    assert moments(chat, "overdue, to community") == [("柳岸社区余书记", past), ("柳岸社区小汪", past)]
    assert ticket.events.count("escalated") == 1
    assert chat.bot_said()[-1] == "LS00001 还没有办结，已上报社区督办。"
    assert ticket.row.is_open


def test_nothing_falls_due_for_what_is_done(chat: Scene) -> None:
    ticket = a_blocked_drain(chat)
    chat.wait("1 days").presses("网格员小顾", "done")
    alerts = len(chat.alerts())
    chat.wait("6 days")

    assert len(chat.alerts()) == alerts
    assert not {"reminded", "escalated"} & set(ticket.events)


def test_a_tier_of_the_same_day(chat: Scene) -> None:
    chat.at("2026-03-02 23:40").group("柳岸花园南区").says("春芽", "6幢楼道灯不亮了")

    # What is told at 23:40 cannot be settled at midnight.
    assert [f"{due:%m-%d %H:%M}" for due in chat.ticket().due] == ["03-03 00:40"]


def test_urgent_in_minutes(chat: Scene) -> None:
    chat.at("2026-03-02 07:20").group("桂雨名苑西区").says("二宝妈在线", "3幢1单元楼道里好大一股煤气味")
    chat.wait("3 hours")

    assert moments(chat, "urgent") == [("桂花社区温书记", "03-02 07:20"), ("桂花社区小邵", "03-02 07:20")]
    assert moments(chat, "reminder") == [("网格员小岑", "03-02 08:20")]
    past = "03-02 09:20"
    assert moments(chat, "overdue, to community") == [("桂花社区温书记", past), ("桂花社区小邵", past)]


def test_five_working_days_over_a_holiday(chat: Scene) -> None:
    # 2026: 1 to 5 May are free, Saturday the 9th is worked (the State Council's notice for 2026).
    chat.at("2026-04-29 10:00").group("粮站宿舍").says("粮站桂芬", "3幢屋顶漏水 顶楼几家都渗下来了")

    assert chat.ticket().row.tier == 3
    assert [f"{due:%m-%d %H:%M}" for due in chat.ticket().due] == ["05-10 00:00"]
    chat.at("2026-05-09 23:59")
    assert "escalated" not in chat.ticket().events
    chat.wait("2 minutes")
    assert "escalated" in chat.ticket().events


def test_what_comes_back_has_deadlines_of_its_own(chat: Scene) -> None:
    ticket = a_blocked_drain(chat)
    chat.presses("网格员小顾", "done")
    chat.wait("2 days").says("春芽", "没修好 还是堵的")
    assert [f"{due:%m-%d %H:%M}" for due in ticket.due] == ["03-07 08:30"]
    chat.wait("4 days")

    assert ticket.events.count("escalated") == 1


def test_a_ticket_without_a_worker_falls_due_too(chat: Scene) -> None:
    # Everybody who could take it is away; by the deadline the district's duty room is back.
    everybody = [person.name for person in chat.town.people.values() if chat.town.roles(person.code)]
    chat.at("2026-03-02 08:30").on_leave(*everybody, days=1)
    chat.group("柳岸花园南区").says("春芽", "6幢楼下下水道堵了 污水冒出来了 臭死了")
    # Nobody stands in, so the gridworker hears of it although she is away: somebody must know.
    assert (chat.ticket().status, chat.ticket().worker) == ("assigned", "网格员小顾")
    assert [alert.to for alert in chat.alerts()] == ["网格员小顾"]
    chat.wait("4 days")

    past = "03-05 08:30"
    assert moments(chat, "overdue, to community") == [("柳岸社区余书记", past), ("柳岸社区小汪", past)]


def test_a_ticket_without_a_grid_falls_due_too(chat: Scene) -> None:
    chat.at("2026-03-02 08:30").direct("新来的租客").writes("楼道灯坏了好几天 没人修")
    chat.wait("4 days")

    assert moments(chat, "overdue") != [], chat.ticket().events
