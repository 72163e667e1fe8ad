"""Videos keep picture and sound and lose where they were taken; photos in the same wrapping are not kept."""

from pathlib import Path

import pytest

from bot.channels import media, videos
from bot.channels.media import NotFetched

WHERE = b"+28.9501+118.9002/"


def box(name: bytes, *inside: bytes, long: bool = False) -> bytes:
    body = b"".join(inside)
    if long:
        return (1).to_bytes(4) + name + (16 + len(body)).to_bytes(8) + body
    return (8 + len(body)).to_bytes(4) + name + body


def begin(major: bytes, *brands: bytes) -> bytes:
    return box(b"ftyp", major, b"\0\0\0\0", *brands)


@pytest.mark.parametrize(
    ("major", "brands", "kind"),
    [
        (b"isom", (b"iso2", b"mp41"), "mp4"), (b"mp42", (), "mp4"), (b"3gp4", (), "mp4"), (b"qt  ", (), "mp4"),
        (b"M4A ", (), "mp4"), (b"XAVC", (b"XAVC", b"mp42"), "mp4"),
        (b"heic", (b"mif1", b"heic"), "heif"), (b"mif1", (b"miaf",), "heif"), (b"avif", (), "heif"),
        (b"isom", (b"msf1",), "heif"), (b"crx ", (b"isom",), "heif"), (b"jp2 ", (), None), (b"none", (), None),
    ],
)  # fmt: skip
def test_the_brands_say_what_it_is(major: bytes, brands: tuple[bytes, ...], kind: str | None) -> None:
    # What follows the first box names no brand.
    assert media.sniff(begin(major, *brands) + box(b"mdat", b"heicmp42")) == kind


def test_a_heic_photo_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match="as JPEG it is kept"):
        media.keep(tmp_path, begin(b"heic", b"mif1") + box(b"meta", WHERE))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("long", [False, True])
def test_a_video_loses_its_position_and_nothing_moves(tmp_path: Path, long: bool) -> None:
    track = box(b"trak", box(b"tkhd", b"matrix"), box(b"udta", box(b"loci", WHERE)))
    told = box(b"udta", box(b"\xa9xyz", b"\0\x12\x15\xc7", WHERE), long=long)
    apple = box(b"meta", box(b"keys", b"com.apple.quicktime.location.ISO6709"), box(b"ilst", WHERE))
    film = box(b"mdat", b"udta and picture and sound")
    whole = begin(b"mp42", b"isom") + box(b"moov", box(b"mvhd", b"head"), track, told, apple, long=long) + film
    whole += box(b"uuid", b"XMP!" * 4, WHERE) + box(b"free", WHERE)
    kept = (tmp_path / media.keep(tmp_path, whole).path).read_bytes()
    assert whole.count(WHERE) == 5
    assert (WHERE in kept, b"location" in kept) == (False, False)
    assert len(kept) == len(whole)
    for left in (begin(b"mp42", b"isom"), box(b"mvhd", b"head"), box(b"tkhd", b"matrix"), film):
        assert kept.index(left) == whole.index(left)
    assert videos.bare(kept) == kept


def test_a_video_that_is_cut_off_is_still_bare() -> None:
    whole = begin(b"qt  ") + box(b"mdat", b"film") + box(b"moov", box(b"udta", WHERE))
    for length in range(1, len(WHERE)):
        assert WHERE[:3] not in videos.bare(whole[:-length])
    assert videos.bare(begin(b"mp42")) == begin(b"mp42")
    open_ended = begin(b"mp42") + bytes(4) + b"moov" + box(b"udta", WHERE)
    assert WHERE not in videos.bare(open_ended)


@pytest.mark.parametrize("rest", [(7).to_bytes(4) + b"moov" + WHERE, (bytes(4) + b"moov") * 100_000])
def test_boxes_that_do_not_add_up_are_not_kept(tmp_path: Path, rest: bytes) -> None:
    with pytest.raises(NotFetched, match="cannot be read"):
        media.keep(tmp_path, begin(b"mp42") + rest)
