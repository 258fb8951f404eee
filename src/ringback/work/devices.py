"""Devices of this machine (GPUs), one for each replica that runs on a SKU which has some.

What is handed out here is known to nobody else: after kill -9 the replicas are gone, so all of them are free.
"""

from collections.abc import Callable, Mapping, Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that tells a process which devices it may use."""


class Devices:
    """Which devices are free."""

    def __init__(self, owned: Mapping[str, Sequence[str]]) -> None:
        """Take the devices of each SKU; one that is named by several is still handed out once."""
        self._owned = {sku: tuple(devices) for sku, devices in owned.items() if devices}
        self._used: set[str] = set()
        self._waiting: list[Callable[[], None]] = []

    def needed(self, sku: str) -> bool:
        """Say whether a replica on this SKU gets a device."""
        return sku in self._owned

    def take(self, sku: str) -> str | None:
        """Take a free device, or None if all are in use."""
        device = next((each for each in self._owned[sku] if each not in self._used), None)
        if device is not None:
            self._used.add(device)
        return device

    def give_back(self, device: str) -> None:
        """A device is free again: those who wait are called, the first first."""
        self._used.discard(device)
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def wait(self, call: Callable[[], None]) -> None:
        """Be called once, when a device becomes free."""
        if call not in self._waiting:
            self._waiting.append(call)

    def wait_no_more(self, call: Callable[[], None]) -> None:
        """Whoever waited has a device, or needs none any more."""
        if call in self._waiting:
            self._waiting.remove(call)
