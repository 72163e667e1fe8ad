"""The command line where staff put right what the bot got wrong."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.towns import bring_in
from config.settings import DEMO_TOWN
from handlers import correct
from handlers.desk import Desk
from models import mark
from models.alias import AliasProposal, AliasState
from models.base import utc_now
from models.correction import Correction, CorrectionKind
from models.database import Database
from models.outbox import Outbox, read
from models.sample import Sample, SampleState
from models.suggestion import Suggestion, SuggestionState
from models.ticket import Status, Supporter, Ticket, TicketMessage
from tests.bot.test_cli import Shell, cells, home_db, shell
from tests.models.letters import open_ticket

__all__ = ["home_db", "shell"]  # fixtures


def a_ticket(session: Session, sender: str, text: str) -> Ticket:
    """A lamp of 柳岸花园6幢, told of a minute ago, in W01's hands."""
    at = utc_now() - timedelta(minutes=1)
    reading = {"engine": "embedded:1", "categories": [["facility.lighting", 0.9]]}
    ticket = open_ticket(
        session, at, status=Status.ASSIGNED, tier=1, grid="QX-01-01-01", place="P-LA-B06", worker="W01",
        reporter=sender, chat="g-QX-01-01-01", summary=text, reading=reading,
    )  # fmt: skip
    for number, said in enumerate((text, "打我13812345678 门禁也坏了")):
        session.add(
            TicketMessage(
                ticket=ticket.id or 0, channel="web", chat=ticket.chat, message=f"{sender}-{number}", sender=sender,
                kind="text", role="detail" if number else "report", text=said, sent_at=at,
            )
        )  # fmt: skip
    session.add(Supporter(ticket=ticket.id or 0, channel="web", chat=ticket.chat, sender=sender, since=at))
    return ticket


@pytest.fixture
def town(home_db: Database) -> Database:
    """The demo town with two tickets, a suggestion, a proposal and a sample."""
    bring_in(home_db, DEMO_TOWN)

    def write(session: Session) -> None:
        first, second = a_ticket(session, "u05", "6幢楼道灯不亮"), a_ticket(session, "u04", "6栋的灯坏了")
        session.add(Suggestion(ticket=second.id or 0, other=first.id or 0, points=2.25, at=utc_now()))
        session.add(AliasProposal(words="老槐树", place="P-LA-SQ", seen=3, at=utc_now()))
        session.add(
            Sample(
                channel="web", chat="g", message="m9", grid="QX-01-01-01", text="路灯罢工 13812345678", at=utc_now(),
                said={"intents": {"report": 0.31}}, engine="embedded:1",
            )
        )  # fmt: skip

    home_db.tx(write)
    return home_db


def look(db: Database, number: int = 1) -> Ticket:
    return db.tx(lambda session: session.get_one(Ticket, number))


def kept(db: Database) -> list[Correction]:
    return db.tx(lambda session: list(session.scalars(sa.select(Correction).order_by(Correction.id))))  # type: ignore[arg-type]


def sent(db: Database) -> list[str]:
    return [read(row).text for row in db.tx(lambda session: session.scalars(sa.select(Outbox)).all())]


def test_show_tells_what_is_needed_and_no_phone(shell: Shell, town: Database) -> None:
    code, out, _ = shell("ticket", "show", "LS00001")
    assert code == 0
    assert cells(out, "category")[1] == "facility.lighting 公共设施/照明, tier 1"
    assert cells(out, "place")[1] == "P-LA-B06 柳岸花园6幢"
    assert cells(out, "the engine said")[1] == "facility.lighting 0.90  (embedded:1)"
    assert "6幢楼道灯不亮" in cells(out, "1")
    assert "13812345678" not in out
    assert shell("ticket", "show", "1")[1] == shell("ticket", "show", "ls1")[1] == out


def test_category_place_urgent_sensitive_dismiss(shell: Shell, town: Database) -> None:
    code, out, _ = shell("ticket", "category", "LS00001", "facility.elevator", "--by", "C01")
    assert (code, cells(out, "category")[1]) == (0, "facility.elevator 公共设施/电梯, tier 1")
    code, out, _ = shell("ticket", "place", "LS00001", "P-JX-B02", "--by", "C01")
    assert (code, cells(out, "worker")[1], cells(out, "grid")[1]) == (0, "W02", "QX-01-02-02 机械厂新村")
    code, out, _ = shell("ticket", "place", "LS00001", "--grid", "QX-01-01-02", "--by", "C01")
    assert (code, cells(out, "worker")[1], cells(out, "place")[1]) == (0, "W01", "not known")
    assert cells(shell("ticket", "urgent", "LS00001", "--by", "C01")[1], "urgent")[1] == "yes"
    assert cells(shell("ticket", "urgent", "LS00001", "--off", "--by", "W01")[1], "urgent")[1] == "no"
    assert cells(shell("ticket", "sensitive", "LS00001", "--by", "C01")[1], "sensitive")[1] == "yes"
    code, out, _ = shell("ticket", "dismiss", "LS00001", "--by", "C01", "--note", "已换好")
    assert (code, cells(out, "status")[1]) == (0, "dismissed")

    assert [row.kind.value for row in kept(town)] == [
        "category", "place", "place", "urgent", "urgent", "sensitive", "dismissed",
    ]  # fmt: skip
    assert {row.engine for row in kept(town)} == {"embedded:1"}
    assert any(text.startswith("【新任务】LS00001") for text in sent(town))


def test_merge_and_split(shell: Shell, town: Database) -> None:
    code, out, _ = shell("ticket", "split", "LS00001", "-m", "2", "--category", "facility.access", "--by", "C01")
    assert (code, cells(out, "category")[1]) == (0, "facility.access 公共设施/门禁道闸, tier 1")
    assert look(town, 3).summary == "打我13812345678 门禁也坏了"
    code, out, _ = shell("ticket", "merge", "LS00002", "LS00001", "--by", "C01")
    assert (code, cells(out, "people")[1]) == (0, "2")
    assert (look(town, 2).status, look(town, 2).merged_into) == (Status.MERGED, 1)
    assert cells(shell("ticket", "show", "2")[1], "status")[1] == "merged, into LS00001"
    row = town.tx(lambda session: session.scalars(sa.select(Suggestion)).one())
    assert (row.state, row.by) == (SuggestionState.ACCEPTED, "C01")


@pytest.mark.parametrize("words", [("--accept", "1"), ("--refuse", "1")])
def test_suggestions_are_decided_once(shell: Shell, town: Database, words: tuple[str, ...]) -> None:
    assert cells(shell("ticket", "suggestions")[1], "1")[:4] == ["1", "LS00002", "LS00001", "2.250"]
    code, out, _ = shell("ticket", "suggestions", *words, "--by", "C01")
    assert (code, "LS00002" in out) == (0, False)
    assert look(town, 2).status == (Status.MERGED if words[0] == "--accept" else Status.ASSIGNED)
    code, _, err = shell("ticket", "suggestions", *words, "--by", "C01")
    assert (code, len(err.splitlines())) == (1, 1)
    assert len(kept(town)) == (words[0] == "--accept")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("category", "LS00001", "facility.elevater", "--by", "C01"), "category: there is no category"),
        (("category", "LS00001", "facility.elevater", "--by", "C01"), 'Did you mean "facility.elevator"?'),
        (("category", "LS00001", "facility", "--by", "C01"), "category: there is no category"),
        (("category", "LS00001", "facility.lighting", "--by", "C01"), "category: LS00001 is facility.lighting already"),
        (("category", "LS00009", "city.noise", "--by", "C01"), 'ticket: there is no ticket "LS00009"'),
        (("category", "LS1x", "city.noise", "--by", "C01"), 'ticket: there is no ticket "LS1x"'),
        (("category", "LS00001", "city.noise", "--by", "C0l"), 'there is no person "C0l". Did you mean "C01"?'),
        (("category", "LS00001", "city.noise", "--by", "W07"), "W07 has no duty to correct LS00001."),
        (("category", "LS00001", "city.noise", "--by", "U05"), "U05 has no duty to correct LS00001."),
        (("place", "LS00001", "P-LA-B6", "--by", "C01"), 'place: there is no place "P-LA-B6". Did you mean "P-LA-B'),
        (("place", "LS00001", "--grid", "QX-99", "--by", "C01"), 'grid: there is no grid "QX-99".'),
        (("place", "LS00001", "--by", "C01"), "place: a place or a grid is needed"),
        (("urgent", "LS00001", "--off", "--by", "C01"), "urgent: LS00001 is not urgent"),
        (("merge", "LS00001", "LS00001", "--by", "C01"), "into: LS00001 cannot be merged into itself"),
        (("merge", "LS00001", "LS00099", "--by", "C01"), 'into: there is no ticket "LS00099"'),
        (("merge", "LS00002", "LS00001", "--by", "W01"), "W01 has no duty to correct LS00001."),
        (("split", "LS00001", "-m", "1", "-m", "2", "--by", "C01"), "messages: all that tell of the matter are named"),
        (("split", "LS00001", "-m", "3", "--by", "C01"), "messages: 3: no message of LS00001"),
        (("split", "LS00001", "-m", "2", "--place", "P-X", "--by", "C01"), 'place: there is no place "P-X".'),
        (("split", "LS00001", "-m", "2", "--by", "W01"), "W01 has no duty to correct LS00001."),
        (("suggestions", "--refuse", "9", "--by", "C01"), "suggestion: there is no suggestion 9"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(
    shell: Shell, town: Database, words: tuple[str, ...], said: str
) -> None:  # fmt: skip
    before = look(town).model_dump()
    code, out, err = shell("ticket", *words)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert said in err
    assert look(town).model_dump() == before
    assert (kept(town), sent(town)) == ([], [])


def test_what_has_ended_is_not_merged_or_dismissed_again(shell: Shell, town: Database) -> None:
    shell("ticket", "dismiss", "LS00001", "--by", "C01")
    _, _, err = shell("ticket", "merge", "LS00002", "LS00001", "--by", "C01")
    assert err == "into: LS00001 has ended\n"
    _, _, err = shell("ticket", "dismiss", "LS00001", "--by", "C01")
    assert err == "LS00001 is dismissed: it cannot be dismissed.\n"
    shell("ticket", "merge", "LS00001", "LS00002", "--by", "C01")
    assert len(kept(town)) == 1


def test_nicknames(shell: Shell, town: Database) -> None:
    before = town.tx(lambda session: mark.value(session, mark.TOWN))
    assert cells(shell("alias", "list")[1], "1") == ["1", "老槐树", "P-LA-SQ", "柳岸花园圆盘广场", "3"]
    for words, said in (
        (("confirm", "1", "--by", "W01"), "W01 has no duty to name P-LA-SQ."),
        (("confirm", "7", "--by", "C01"), "alias: there is no proposal 7"),
        (("confirm", "1", "7", "--by", "C01"), "alias: there is no proposal 7"),
    ):
        code, _, err = shell("alias", *words)
        assert (code, err.strip()) == (1, said)
    assert town.tx(lambda session: session.get_one(AliasProposal, 1)).state == AliasState.OPEN
    assert shell("alias", "confirm", "1", "--by", "C01")[:2] == (0, "1 confirmed.\n")
    assert town.tx(lambda session: mark.value(session, mark.TOWN)) == before + 1
    assert shell("alias", "refuse", "1", "--by", "C01")[2] == "alias: 1 was confirmed before\n"


def test_reviewing_silence(shell: Shell, town: Database) -> None:
    _, out, _ = shell("review", "list")
    assert cells(out, "1")[-1] == "路灯罢工 [电话]"
    assert shell("review", "report", "1", "facility.lighting", "--by", "W01")[0] == 1
    assert shell("review", "report", "1", "facility.lighting", "--by", "C01")[:2] == (0, "1: kept as missed.\n")
    assert shell("review", "fine", "1", "--by", "C01")[2] == "sample: 1 was reviewed before: missed\n"
    (correction,) = kept(town)
    assert (correction.kind, correction.engine) == (CorrectionKind.MISSED, "embedded:1")
    assert town.tx(lambda session: session.get_one(Sample, 1)).state == SampleState.MISSED


def test_looking_needs_a_database_and_makes_none(shell: Shell) -> None:
    for words in (("ticket", "show", "1"), ("ticket", "suggestions"), ("alias", "list"), ("review", "list")):
        code, _, err = shell(*words)
        assert (code, err.startswith("there is no database yet")) == (1, True)
    assert not (shell.home / "linsheng.db").exists()


@pytest.mark.parametrize("times", [1, 9])
def test_who_was_first_is_respected_and_the_command_done_again(
    shell: Shell, town: Database, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:  # fmt: skip
    """Another process changes the ticket between this command's look at it and its own change."""
    left = [times]
    real = correct.category

    def late(desk: Desk, ticket: Ticket, code: str, by: str) -> None:
        if left[0]:
            left[0] -= 1
            change = sa.text("UPDATE ticket SET version = version + 1 WHERE id = :id")
            desk.session.connection().execute(change, {"id": ticket.id})
        real(desk, ticket, code, by)

    monkeypatch.setattr(correct, "category", late)
    code, _, err = shell("ticket", "category", "LS00001", "facility.elevator", "--by", "C01")
    done = times == 1
    assert (code, err) == ((0, "") if done else (1, "somebody else changes this ticket just now; try again.\n"))
    assert look(town).category == ("facility.elevator" if done else "facility.lighting")
    assert len(kept(town)) == len(sent(town)) == done
