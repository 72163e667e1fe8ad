"""A photo as a phone takes it, and what may be left of it once it is kept."""

import io

from PIL import Image

RED = (200, 10, 10)


def photo(kind: str = "JPEG", size: tuple[int, int] = (40, 20), orientation: int = 6) -> bytes:
    """Of one colour, with maker and position. orientation: EXIF's; 6 is to be turned by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "MAKER-OF-THE-PHONE"
    exif.get_ifd(0x8825)[2] = (31.0, 12.0, 30.5)  # GPSLatitude
    made = io.BytesIO()
    Image.new("RGB", size, RED).save(made, kind, exif=exif)
    return made.getvalue()


def is_bare_and_whole(kept: bytes) -> bool:
    """The picture of `photo()`, upright, with nothing beside it."""
    with Image.open(io.BytesIO(kept)) as picture:
        seen = picture.convert("RGB").getpixel((5, 5))
        alike = isinstance(seen, tuple) and max(abs(a - b) for a, b in zip(seen, RED, strict=True)) < 6
        bare = not picture.getexif() and b"MAKER" not in kept and b"Exif" not in kept
        return bare and alike and picture.size == (20, 40)
