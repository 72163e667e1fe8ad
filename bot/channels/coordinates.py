"""GCJ-02 (火星坐标), which WeChat and the Chinese maps speak, and WGS-84, which the database speaks.

The formula is the widely published one (eviltransform, coordtransform) on the Krasovsky 1940 ellipsoid; the authority
publishes none. It moves a point by 300 to 700 m inside the rectangle that covers China and leaves it alone outside.
"""

from math import cos, pi, sin, sqrt

AXIS = 6_378_245.0  # metres, semi-major
ECCENTRICITY = 0.00669342162296594323  # squared
ROUNDS = 10  # the shift changes by about a thousandth over its own length: each round gains three digits


def gcj02_from_wgs84(lon: float, lat: float) -> tuple[float, float]:
    """Degrees in, degrees out, both as (lon, lat)."""
    if not (72.004 <= lon <= 137.8347 and 0.8293 <= lat <= 55.8271):
        return lon, lat
    x, y = lon - 105.0, lat - 35.0
    waves = (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + waves
    north += (20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + waves
    east += (20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
    bend = 1.0 - ECCENTRICITY * sin(lat / 180.0 * pi) ** 2
    north_degrees = north * 180.0 * bend * sqrt(bend) / (AXIS * (1.0 - ECCENTRICITY) * pi)
    east_degrees = east * 180.0 * sqrt(bend) / (AXIS * cos(lat / 180.0 * pi) * pi)
    return lon + east_degrees, lat + north_degrees


def wgs84_from_gcj02(lon: float, lat: float) -> tuple[float, float]:
    """The inverse, by iteration: right to a millionth of a degree (0.1 m) away from the rectangle's rim."""
    back_lon, back_lat = lon, lat
    for _ in range(ROUNDS):
        there_lon, there_lat = gcj02_from_wgs84(back_lon, back_lat)
        back_lon, back_lat = back_lon + lon - there_lon, back_lat + lat - there_lat
    return back_lon, back_lat
