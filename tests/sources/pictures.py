"""Small real PNG files: a shape of one colour on white."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

colours = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 200), "black": (0, 0, 0)}
shapes = ("square", "disc", "cross")


def png(shape: str, colour: str, side: int = 32) -> bytes:
    """The picture; about a hundred bytes at 32 pixels a side."""
    rows = b"".join(b"\0" + bytes(_inside(shape, x, y, side) for x in range(side)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 3, 0, 0, 0)
    palette = bytes((255, 255, 255, *colours[colour]))
    parts = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def draw(folder: Path, side: int = 32) -> list[tuple[str, str, str]]:
    """Every shape in every colour is in the folder; (file, shape, colour) of each."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for shape in shapes:
        for colour in colours:
            name = f"{colour}-{shape}.png"
            (folder / name).write_bytes(png(shape, colour, side))
            drawn.append((name, shape, colour))
    return drawn


def _inside(shape: str, x: int, y: int, side: int) -> bool:
    half = side / 2
    across, down = abs(x + 0.5 - half), abs(y + 0.5 - half)
    if shape == "disc":
        return across**2 + down**2 < (half * 0.7) ** 2
    if shape == "cross":
        return min(across, down) < side / 8
    return max(across, down) < half * 0.6


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
