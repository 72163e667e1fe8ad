"""What `linsheng doctor` looks at: each check one line, ok, warn or fail, with what to do."""

import ipaddress
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import sqlalchemy as sa

from bot.channels import checks
from bot.proving import prove, switches
from bot.rasa_client import RasaClient
from bot.rasa_engine import token
from bot.table_check import faults
from bot.training import folder_of, is_trained
from config.names import PREFIX, unknown
from config.secret_files import files, readable_by_all
from config.settings import Settings, SettingsError, load_settings
from config.tables import TableError, categories, leaves
from handlers import town as towns
from handlers.limits import limits
from handlers.town import Town
from handlers.workdays import WorkCalendar
from models.base import Clock, utc_now
from models.chat import ChatKind
from models.database import BadAddress, Database, is_there
from models.person import WORKERS, Role
from models.schema import current, known
from nlu.corpus import BadData
from nlu.rasa_answer import Garbage
from nlu.reader.wanted import ALL, OFF, wanted

OK, WARN, FAIL = "ok", "warn", "fail"
SKEW = timedelta(seconds=5)
NAMED = 3  # examples in a sentence
SHORT = 16  # characters of a secret key


@dataclass(frozen=True)
class Finding:
    """One line. state: ok, warn or fail. said: what is the case and, unless it is ok, what to do about it."""

    check: str
    state: str
    said: str


def examine(clock: Clock = utc_now) -> list[Finding]:
    """All checks. One that cannot be made is a finding too; nothing is changed, and nothing is created but a probe."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return [Finding("settings", FAIL, str(error))]
    found = [Finding("settings", OK, "can be read")]
    found += _safely("data folder", lambda: [_folder(settings.home)])
    found += _safely("database", lambda: _database(settings, clock))
    found += _safely("engine", lambda: [_engine(settings)])
    found += _safely("reader", lambda: [_reader(settings)])
    found += _safely("rasa", lambda: _rasa(settings))
    found += _safely("tables", lambda: _tables(settings))
    found += _safely("tiers", lambda: [_tiers()])
    found += _safely("calendar", lambda: _calendar(settings, clock))
    return [
        *found,
        _secret(settings),
        *_names(),
        *_address(settings),
        *_channels(settings),
        *_side(settings),
        _demo(settings),
    ]


def _safely(check: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    try:
        return list(look())
    except (TableError, BadData, BadAddress, OSError) as error:
        return [Finding(check, FAIL, " ".join(str(error).split()))]
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        return [Finding(check, FAIL, f"no answer: {reason}. Look at LINSHENG_DATABASE_URL, and whether it runs.")]


def _folder(home: Path) -> Finding:
    home.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.NamedTemporaryFile(dir=home):
            return Finding("data folder", OK, str(home.resolve()))
    except OSError as error:
        said = f"{home.resolve()} cannot be written ({error.strerror}); set LINSHENG_HOME."
        return Finding("data folder", FAIL, said)


def _database(settings: Settings, clock: Clock) -> Iterator[Finding]:
    if not is_there(settings.url):
        yield Finding("database", WARN, "sqlite, not there yet: `linsheng serve` makes it.")
        return
    db = Database(settings.url, threads=1)
    try:
        here, newest = current(db)
        kind = db.engine.dialect.name
        if here is None:
            yield Finding("database", WARN, f"{kind}, empty: `linsheng serve` makes the tables.")
            return
        if not known(here):
            said = f"{kind}, at {here}, which this version does not know: run the version that migrated it."
            yield Finding("database", FAIL, said)
            return
        if here != newest:
            yield Finding("database", WARN, f"{kind}, at {here}, the newest is {newest}: `linsheng serve` migrates it.")
            return
        yield Finding("database", OK, f"{kind}, tables at {here}")
        if not db.is_sqlite:
            yield _skew(db, clock)
        town = db.tx(towns.load)
        yield from _town(town)
        yield from (Finding(*one) for one in checks.side_groups(settings, town.chats))
    finally:
        db.close()


def _skew(db: Database, clock: Clock) -> Finding:
    there = db.tx(lambda session: session.connection().execute(sa.text("SELECT clock_timestamp()")).scalar_one())
    apart = abs(clock() - there)
    if apart > SKEW:
        said = f"{apart.total_seconds():.0f} s from the database's: leases and deadlines go wrong; run NTP on both."
        return Finding("clock", FAIL, said)
    return Finding("clock", OK, "agrees with the database's")


def _town(town: Town) -> Iterator[Finding]:
    if not town.grids:
        said = "there is none: `linsheng town import DIR`, or LINSHENG_DEMO=true for the demo town."
        yield Finding("town", FAIL, said)
        return
    yield Finding("town", OK, f"{len(town.grids)} grids, {len(town.places)} places, {len(town.people)} people")
    micro = [code for code in town.grids if not town.children.get(code)]
    groups = {chat.grid for chat in town.chats.values() if chat.kind == ChatKind.GROUP}
    silent = [code for code in micro if groups.isdisjoint(_nearby(town, code))]
    lone = [code for code in micro if not any(_worked(town, grid) for grid in _nearby(town, code))]
    unknown = [code for code in town.duties if not town.addresses(code) and WORKERS & town.roles(code)]
    mute = sum(not town.addresses(code) for code in town.people)
    yield _some("grid chats", silent, "micro-grids hear no group", "add the group to chats.csv", WARN)
    yield _some("gridworkers", lone, "micro-grids have no gridworker", "add one to people.csv", FAIL)
    todo = "no alert reaches them: add channel and user to people.csv"
    yield _some("reachable", unknown, "workers have no identity on any channel", todo, FAIL)
    if mute:
        said = f"{mute} of {len(town.people)} people have none: the bot cannot tell who they are."
        yield Finding("identities", WARN, said)


def _nearby(town: Town, grid: str) -> Iterator[str]:
    """The grid, and those above it up to its 社区: farther up nobody is of the neighbourhood any more."""
    last = town.community(grid)
    for code in town.chain(grid):
        yield code
        if code == last:
            return


def _worked(town: Town, grid: str) -> bool:
    """A 兼职网格员 does not count: what nobody has routed to a department never reaches one."""
    return bool(town.on_duty(grid, Role.GRIDWORKER))


def _some(check: str, codes: list[str], what: str, todo: str, state: str) -> Finding:
    if not codes:
        return Finding(check, OK, "all of them" if check != "reachable" else "all workers")
    more = ", …" if len(codes) > NAMED else ""
    return Finding(check, state, f"{len(codes)} {what} ({', '.join(codes[:NAMED])}{more}): {todo}.")


def _engine(settings: Settings) -> Finding:
    known = leaves()
    if is_trained(settings.home, known):
        return Finding("engine", OK, f"trained, {folder_of(settings.home, known).name}")
    return Finding("engine", WARN, "not trained for these data yet: `linsheng train`, or the first `serve` does it.")


def _reader(settings: Settings) -> Finding:
    try:
        second = wanted(settings.reader, settings.home, leaves())
    except SettingsError as error:
        return Finding("reader", FAIL, str(error))
    if second is None:
        return Finding("reader", OK, OFF)
    asked = "everything" if settings.reader == ALL else f"matters from {second.band[0]:g} to {second.band[1]:g}"
    return Finding("reader", OK, f"asked about {asked}")


def _rasa(settings: Settings) -> Iterator[Finding]:
    """Only where it is chosen. Without it the bot works, by the embedded engine: a warning."""
    if settings.nlu == "embedded":
        return
    client = RasaClient(settings.rasa, token(settings), leaves())
    try:
        yield Finding("rasa", OK, f"answers at {settings.rasa.url}, model {client.model()[:12]}")
    except aiohttp.ClientResponseError as error:
        todo = {
            401: "the token is wrong: LINSHENG_RASA__TOKEN, or that of HOME/rasa/token",
            409: "it has no model: `make rasa`",
        }.get(error.status, f"it answers {error.status}")
        yield Finding("rasa", WARN, f"{settings.rasa.url}: {todo}. The embedded engine answers alone.")
    except (aiohttp.ClientError, TimeoutError, Garbage) as error:
        said = f"no answer at {settings.rasa.url} ({type(error).__name__}): start `make rasa-serve`, or look at"
        yield Finding("rasa", WARN, f"{said} LINSHENG_RASA__URL. The embedded engine answers alone.")
    finally:
        client.close()


def _tables(settings: Settings) -> list[Finding]:
    wrong = faults(settings.zone)
    return [Finding("tables", FAIL, one) for one in wrong] or [Finding("tables", OK, f"{len(categories())} categories")]


def _tiers() -> Finding:
    without = [str(tier) for tier, limit in limits().tiers.items() if limit is None]
    if without:
        said = f"tier {', '.join(without)} has no limit, its tickets no deadline: see tiers.yaml."
        return Finding("tiers", WARN, said)
    return Finding("tiers", OK, "every tier has a limit")


def _calendar(settings: Settings, clock: Clock) -> Iterator[Finding]:
    calendar = WorkCalendar.configured(settings.zone)
    year = clock().astimezone(settings.zone).year
    todo = "add them to workdays.yaml, or install a newer `holidays`"
    for one, state in ((year, FAIL), (year + 1, WARN)):
        if calendar.knows(one):
            yield Finding(f"calendar {one}", OK, "holidays and make-up days are known")
        else:
            yield Finding(f"calendar {one}", state, f"no make-up days known (published each November): {todo}.")


def _secret(settings: Settings) -> Finding:
    if settings.secret_key is not None:
        if len(settings.secret_key.get_secret_value()) < SHORT:
            said = f"shorter than {SHORT} characters, it can be guessed: set LINSHENG_SECRET_KEY to 32 random ones."
            return Finding("secret key", WARN, said)
        return Finding("secret key", OK, "set")
    if settings.demo:
        return Finding("secret key", OK, f"the demo's own, in {settings.home / 'secret'}")
    said = "not set: task cards have no link. Set LINSHENG_SECRET_KEY to 32 random characters."
    return Finding("secret key", WARN, said)


def _names() -> Iterator[Finding]:
    """What was meant as a setting and is none; and secrets that are none to the others on this machine."""
    folder = os.environ.get(f"{PREFIX}SECRETS_DIR")
    held = {f"{PREFIX}{path.name}": path.name for path in files(Path(folder))} if folder else {}
    for name, near in unknown(Settings, {*os.environ, *held}).items():
        is_file = name in held
        meant = f" Did you mean {near.removeprefix(PREFIX).lower() if is_file else near}?" if near else ""
        what = f"the secret file {held[name]}" if is_file else name
        yield Finding("names", WARN, f"{what} is no setting of this version, so it does nothing.{meant}")
    if folder and (loose := readable_by_all(Path(folder))):
        said = f"everybody on this machine may read {', '.join(loose)} in {folder}: chmod o= them."
        yield Finding("secret files", WARN, said)


def _address(settings: Settings) -> Iterator[Finding]:
    """Task cards carry links; one to this machine opens on nobody's phone."""
    host = urlsplit(settings.public_url).hostname or ""
    if settings.secret_key is not None and not settings.demo and host in ("127.0.0.1", "localhost", "::1"):
        said = f"{settings.public_url}: links on task cards open nowhere else. Set LINSHENG_PUBLIC_URL."
        yield Finding("public url", WARN, said)
    if settings.platform_addresses and not settings.trusted_proxies:
        said = (
            "no proxy is trusted: behind one all callbacks come from it and are refused; set LINSHENG_TRUSTED_PROXIES."
        )
        yield Finding("platform addresses", WARN, said)


def examine_channel(name: str) -> list[Finding]:
    """One channel, proved against its platform. Raises SettingsError."""
    return [Finding(*one) for one in prove(name, load_settings())]


def _channels(settings: Settings) -> Iterator[Finding]:
    yield from (Finding(*one) for one in switches(settings))


def _side(settings: Settings) -> Iterator[Finding]:
    yield from (Finding(*one) for one in checks.side_channels(settings))


def _demo(settings: Settings) -> Finding:
    if not settings.demo:
        return Finding("demo", OK, "off")
    if _public(urlsplit(settings.public_url).hostname or ""):
        said = f"on at {settings.public_url}: anybody may be anybody there. Set LINSHENG_DEMO=false."
        return Finding("demo", FAIL, said)
    return Finding("demo", WARN, "on: anybody who reaches this machine may be anybody.")


def _public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".localhost"))
