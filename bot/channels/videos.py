"""MP4, MOV and their kin (ISO 14496-12): what such a file is, and the same without where it was taken.

Phones write the position into boxes beside picture and sound: `udta` (©xyz, loci), `meta` (Apple) and `uuid` (XMP).
Each such box becomes a `free` one of zeros and the same length, so that nothing in the file moves. A position that an
action camera records second by second, as a track of its own, stays.
"""

from collections.abc import Iterator

# Photos in the same wrapping: Pillow reads none of them without a plugin, so they cannot be saved anew.
STILL = frozenset({
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1", b"miaf",
    b"avif", b"avis", b"avci", b"avcs", b"crx ",
})  # fmt: skip
MOVING = frozenset({b"mp41", b"mp42", b"avc1", b"M4A ", b"M4B ", b"M4V ", b"qt  ", b"mmp4", b"MSNV", b"dash"})
FAMILIES = (b"iso", b"3gp", b"3g2")  # isom, iso2 …, 3gp4 …
NESTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"moof", b"traf"})
TOLD = frozenset({b"udta", b"meta", b"uuid", b"free", b"skip"})
BRANDS = 64  # that are looked at
DEEP = 8  # nests in each other; a film has four


class Broken(ValueError):
    """The boxes do not add up: nobody can say what is in the file."""


def kind(data: bytes) -> str | None:
    """`heif` for a photo, `mp4` for what moves or sounds, None for neither. By the brands of its first box."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4]), 16 + 4 * BRANDS)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & STILL:
        return "heif"
    return "mp4" if any(brand in MOVING or brand[:3] in FAMILIES for brand in brands) else None


def bare(data: bytes) -> bytes:
    """The file without what is told about it, byte for byte as long. Raises Broken."""
    made = bytearray(data)
    for at, body, end in _told(made, 0, len(made), DEEP):
        made[at + 4 : at + 8] = b"free"
        made[body:end] = bytes(end - body)
    return bytes(made)


def _told(data: bytearray, at: int, end: int, deep: int) -> Iterator[tuple[int, int, int]]:
    """Where such a box begins, its content begins, and it ends. The last box of a file may be cut off."""
    if not deep:
        raise Broken("boxes in boxes without end")
    while end - at >= 8:
        size, name, body = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + 8]), at + 8
        if size == 1:  # longer than 4 GB could be, says the next number
            size, body = int.from_bytes(data[body : body + 8]), body + 8
        after = min(at + size, end) if size else end
        if after < body:
            raise Broken("a box is shorter than its head")
        if name in TOLD:
            yield at, body, after
        elif name in NESTS:
            yield from _told(data, body, after, deep - 1)
        at = after
