"""What all accounts have in common."""

from dataclasses import dataclass, field

from bot.platform.clock import Timepiece
from bot.platform.media import MediaStore
from bot.platform.names import Names
from bot.platform.push import Pusher
from bot.platform.world import World


@dataclass
class Shared:
    """One platform's clock, screens, files, names and callbacks. complaints: answers that could not be used."""

    clock: Timepiece
    world: World
    media: MediaStore
    pusher: Pusher
    names: Names
    complaints: list[str] = field(default_factory=list)
