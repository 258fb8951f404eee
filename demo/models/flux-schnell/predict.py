"""Paints a misty morning for a prompt, pixel by pixel. It stands in for FLUX.1 [schnell].

A model is a folder with a cog.yaml that names a class like this one, or a function. The parameters' types are
the inputs' types, and what `run` returns is the output. This one needs nothing but Python.
"""

import math
import random
import struct
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SIZES = {
    "1:1": (256, 256),
    "16:9": (384, 216),
    "21:9": (448, 192),
    "3:2": (384, 256),
    "2:3": (256, 384),
    "4:5": (256, 320),
    "5:4": (320, 256),
    "3:4": (240, 320),
    "4:3": (320, 240),
    "9:16": (216, 384),
    "9:21": (192, 448),
}
"""Pixels across and down, by aspect ratio."""

SCALES = {"1": 1.0, "0.25": 0.5}
"""What the sides are multiplied by, by megapixels."""

STEP_S = 0.75
"""Seconds that a step takes at least: it stands in for something slow."""

AspectRatio = Literal["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"]
UpToFour = Literal[1, 2, 3, 4]

Colour = tuple[float, float, float]
"""Red, green and blue, from 0 to 1."""


class Painter:
    """The predictor: `setup` once, when its process starts; then `run` for each prediction."""

    def setup(self) -> None:
        """Get ready; a real model loads its weights here."""
        self.folder = tempfile.TemporaryDirectory(prefix="flux-schnell-")

    def run(
        self,
        *,
        prompt: str,
        aspect_ratio: AspectRatio = "1:1",
        num_outputs: UpToFour = 1,
        num_inference_steps: UpToFour = 4,
        seed: int | None = None,
        output_format: Literal["png"] = "png",
        output_quality: int = 80,
        disable_safety_checker: bool = False,
        go_fast: bool = True,
        megapixels: Literal["1", "0.25"] = "1",
    ) -> list[Path]:
        """Paint; the same prompt and seed give the same pictures.

        What is printed becomes the prediction's logs. In this form the clients read it as its progress.
        """
        del output_quality, disable_safety_checker, go_fast  # they make no difference to a PNG of a landscape
        width, height = (round(side * SCALES[megapixels]) for side in SIZES[aspect_ratio])
        landscapes = [imagine(f"{prompt} {seed} {number}", width, height) for number in range(num_outputs)]
        pictures: list[list[bytes]] = [[] for _ in landscapes]
        for step in range(1, num_inference_steps + 1):
            until = time.monotonic() + STEP_S
            last = height * step // num_inference_steps
            for landscape, rows in zip(landscapes, pictures, strict=True):
                rows += [landscape.row(y) for y in range(len(rows), last)]
            time.sleep(max(0.0, until - time.monotonic()))
            print(progress(step, num_inference_steps))
        paths = [Path(self.folder.name, f"out-{number}.{output_format}") for number in range(num_outputs)]
        for path, rows in zip(paths, pictures, strict=True):
            path.write_bytes(png(width, rows))
        return paths


def progress(step: int, steps: int) -> str:
    """Give a line such as ` 50%|#####     | 2/4`."""
    share = step / steps
    return f"{share:4.0%}|{'#' * round(10 * share):10}| {step}/{steps}"


@dataclass(frozen=True)
class Landscape:
    """Ridges one behind the other, far ones first, under a sky with a low sun.

    Attributes:
        ridges: for each ridge, for each column, how far down it begins; 0 is the top and 1 the bottom.
        tops: for each ridge, where its highest point is.
        sun: where the sun is, in heights from the left and from the top.
    """

    width: int
    height: int
    ridges: tuple[tuple[float, ...], ...]
    tops: tuple[float, ...]
    sun: tuple[float, float]
    zenith: Colour
    glow: Colour
    earth: Colour
    grain: random.Random

    def row(self, y: int) -> bytes:
        """Give a row of pixels, three bytes each."""
        down = y / self.height
        return bytes(channel for x in range(self.width) for channel in self._pixel(x, down))

    def _pixel(self, x: int, down: float) -> tuple[int, int, int]:
        colour = self._colour(x, down)
        grain = self.grain.uniform(-0.012, 0.012)  # without it the slow gradients show steps
        red, green, blue = (round(255 * min(1.0, max(0.0, part + grain))) for part in colour)
        return red, green, blue

    def _colour(self, x: int, down: float) -> Colour:
        for place in range(len(self.ridges) - 1, -1, -1):
            if down >= self.ridges[place][x]:
                return self._ridge(place, down)
        return self._sky(x, down)

    def _sky(self, x: int, down: float) -> Colour:
        away = math.hypot(x / self.height - self.sun[0], down - self.sun[1])
        sky = mix(self.zenith, self.glow, min(1.0, down * 1.7))
        return mix(sky, (1.0, 0.96, 0.86), math.exp(-9 * away) + 0.85 * (away < 0.035))

    def _ridge(self, place: int, down: float) -> Colour:
        nearness = (place + 1) / len(self.ridges)
        ground = mix(self.glow, self.earth, nearness**1.3)
        mist = (1 - math.exp(-5 * (down - self.tops[place]))) * (1.1 - nearness)  # it gathers in the valleys
        return mix(ground, self.glow, mist)


def imagine(idea: str, width: int, height: int, count: int = 6) -> Landscape:
    """Make up the landscape that `idea` stands for."""
    chance = random.Random(idea)
    warmth = chance.uniform(-0.08, 0.08)
    sun_across = chance.uniform(0.2, 0.8) * width / height
    ridges = tuple(ridge(chance, place / (count - 1), width, height) for place in range(count))
    return Landscape(
        width,
        height,
        ridges,
        tops=tuple(min(outline) for outline in ridges),
        sun=(sun_across, chance.uniform(0.26, 0.4)),
        zenith=(0.36 - warmth, 0.45, 0.62),
        glow=(0.95, 0.78 + warmth / 2, 0.66 - warmth),
        earth=(0.05, 0.11 + warmth / 3, 0.13),
        grain=chance,
    )


def ridge(chance: random.Random, nearness: float, width: int, height: int) -> tuple[float, ...]:
    """Give a ridge's outline: hills in the distance, and the nearer the more a line of trees."""
    waves = [(octave, chance.uniform(0, math.tau)) for octave in (1, 2, 4, 8, 16)]
    tall = [chance.uniform(0.3, 1.0) for _ in range(97)]
    spacing = 4 + 9 * nearness
    outline = []
    for x in range(width):
        hills = sum(math.sin(x / height * 2.3 * octave + phase) / octave for octave, phase in waves)
        tree, across = divmod(x / spacing, 1)
        spike = (1 - abs(2 * across - 1)) * tall[int(tree) % len(tall)]
        outline.append(0.47 + 0.42 * nearness - 0.05 * hills - 0.11 * nearness * spike)
    return tuple(outline)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Give `one` with `share` of `other` in it."""
    share = min(1.0, share)
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def png(width: int, rows: Sequence[bytes]) -> bytes:
    """Give a PNG file of rows of pixels, three bytes each (PNG specification, section 5)."""
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, data: bytes) -> bytes:
    """Give a chunk of a PNG file: its length, kind, data and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
