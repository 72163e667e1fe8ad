"""What `linsheng doctor` says of the channels beside the great platforms: (check, state, sentence), nothing opened."""

from collections.abc import Collection, Iterator

from bot.channels.archive.records import NAME as ARCHIVE
from bot.channels.group_robot.notices import NAME as ROBOT
from bot.channels.onebot.channel import TERMS
from bot.channels.onebot.events import NAME as ONEBOT
from config.settings import Settings

OK, WARN, FAIL = "ok", "warn", "fail"
SHORT = 16  # characters of a token
Check = tuple[str, str, str]


def side_channels(settings: Settings) -> Iterator[Check]:
    """What the settings alone tell."""
    yield from _onebot(settings)
    yield from _group_robot(settings)
    yield from _archive(settings)


def side_groups(settings: Settings, groups: Collection[tuple[str, str]]) -> Iterator[Check]:
    """What is wrong between the settings and the town. groups: (channel, code) of those in chats.csv."""
    robots = settings.group_robot.keys
    if unknown := sorted(chat for chat in robots if (ROBOT, chat) not in groups):
        yield ROBOT, FAIL, f"chats.csv names no group {', '.join(unknown)} of channel {ROBOT}: it would hear nothing."
    on = {ONEBOT: settings.onebot.enabled, ARCHIVE: settings.archive.enabled}
    for name in (name for name in on if on[name] and all(channel != name for channel, _ in groups)):
        yield name, WARN, f"chats.csv names no group of channel {name}: nothing that is said in groups would be kept."


def _onebot(settings: Settings) -> Iterator[Check]:
    token = settings.onebot.token
    if not settings.onebot.enabled or token is None:
        yield ONEBOT, OK, "off"
        return
    yield ONEBOT, WARN, f"on. {TERMS}"
    if len(token.get_secret_value()) < SHORT:
        said = f"the token has fewer than {SHORT} characters, it can be guessed: set LINSHENG_ONEBOT__TOKEN anew."
        yield ONEBOT, FAIL, said


def _group_robot(settings: Settings) -> Iterator[Check]:
    robot = settings.group_robot
    if not robot.enabled:
        yield ROBOT, OK, "off"
        return
    yield ROBOT, OK, f"{len(robot.keys)} groups hear of: {', '.join(sorted(robot.alerts)) or 'nothing'}"


def _archive(settings: Settings) -> Iterator[Check]:
    archive = settings.archive
    if not archive.enabled:
        yield ARCHIVE, OK, "off"
    elif archive.missing:
        needed = ", ".join(f"LINSHENG_ARCHIVE__{name.upper()}" for name in archive.missing)
        yield ARCHIVE, FAIL, f"answers are to go out as group notices; still missing: {needed}."
    elif archive.folder is not None and not archive.folder.is_dir():
        yield ARCHIVE, FAIL, f"{archive.folder} is no folder: LINSHENG_ARCHIVE__FOLDER."
    else:
        yield ARCHIVE, OK, f"on, answers: {archive.answers}"
