"""`[hardware.<sku>]`: what models can be run on beside the processor."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ringback.assembly.settings.reading import Rule

CPU = "cpu"
"""The SKU that is always there and has no devices."""

_PUNCTUATION = frozenset("-._")


@dataclass(frozen=True, slots=True)
class HardwareConfig:
    """Hardware that models can be run on: `[hardware.<sku>]`."""

    name: str = ""
    """What a person calls it; the SKU when empty."""
    devices: list[str] = field(default_factory=list)
    """Its devices; each replica on it gets one of them, alone, as CUDA_VISIBLE_DEVICES. Without any, nothing
    is set, and there may be as many replicas as you like."""


def rules(sku: str, hardware: HardwareConfig) -> Iterator[Rule]:
    """Give what must hold of a SKU's settings."""
    at = f"hardware.{sku}"
    letters = set(sku) - _PUNCTUATION
    yield (
        sku.isascii() and letters and all(each.isalnum() for each in letters),
        f"hardware.{sku!r}: a SKU is letters, digits and . - _",
    )
    devices = hardware.devices
    yield not devices or sku != CPU, f"{at}.devices: {CPU} has none"
    yield len(set(devices)) == len(devices), f"{at}.devices: one is named twice"
    yield all(each and "," not in each for each in devices), f"{at}.devices: name one device each"
