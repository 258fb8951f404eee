"""Devices of this machine (GPUs), one for each replica that runs on a SKU which has some.

What is handed out here is known to nobody else: after kill -9 the replicas are gone, so all of them are free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that tells a process which devices it may use."""


class Holder(Protocol):
    """Who has a device, or waits for one."""

    device: str | None

    def wake(self) -> None:
        """A device is free, or others wait for one: look again."""


@dataclass(slots=True, eq=False)
class Share:
    """What a pool has of the devices, and when it got one last: who has less, or waits longer, is first."""

    held: int = 0
    turn: int = 0


class Devices:
    """Which devices are free, and who waits for one."""

    def __init__(self, owned: Mapping[str, Sequence[str]]) -> None:
        """Take the devices of each SKU; one that is named by several is still handed out once."""
        self._owned = {sku: tuple(devices) for sku, devices in owned.items() if devices}
        self._used: dict[str, Holder] = {}
        self._given_up: set[str] = set()
        self._waiting: dict[Holder, tuple[str, Share]] = {}
        self._turns = 0

    def equip(self, holder: Holder, sku: str, share: Share) -> bool:
        """Say whether a holder has the device that this SKU asks for, giving it a free one."""
        if holder.device is None and sku in self._owned:
            holder.device = next((each for each in self._owned[sku] if self._may_have(each, share)), None)
            if holder.device is None:
                return False
            self._used[holder.device] = holder
            self._turns += 1
            share.held, share.turn = share.held + 1, self._turns
        return True

    def _may_have(self, device: str, share: Share) -> bool:
        """Say whether it is free and nobody else who waits for it is before this share."""
        others = [other for other in self._others(device, share) if device not in self._used]
        first = all((share.held, share.turn) <= (other.held, other.turn) for other in others)
        return first and device not in self._used

    def _others(self, device: str, share: Share) -> list[Share]:
        waiting = self._waiting.values()
        return [other for sku, other in waiting if other is not share and device in self._owned[sku]]

    def put_back(self, holder: Holder, share: Share) -> None:
        """A holder's device is free again, if it has one: those who wait are called."""
        device, holder.device = holder.device, None
        if device is not None:
            del self._used[device]
            self._given_up.discard(device)
            share.held -= 1
            self._call()

    def wait(self, holder: Holder, sku: str, share: Share) -> None:
        """Be called whenever a device becomes free; those who have one are told that somebody waits."""
        if holder not in self._waiting:
            self._waiting[holder] = (sku, share)
            for device in self._owned[sku]:
                if device in self._used:
                    self._used[device].wake()

    def wait_no_more(self, holder: Holder) -> None:
        """Whoever waited has a device, or needs none any more; it may have kept others waiting."""
        if self._waiting.pop(holder, None) is not None:
            self._call()

    def _call(self) -> None:
        for each in self._waiting:
            each.wake()

    def gives_up(self, holder: Holder, share: Share, *, busy: bool) -> bool:
        """Say whether a holder is to give its device up for another share that waits; then it must.

        Args:
            holder: who has one.
            share: of whose.
            busy: whether it has work: then only for a share that has none.
        """
        device = holder.device
        if device is None or device in self._given_up:
            return device is not None
        others = [other for other in self._others(device, share) if not (busy and other.held)]
        if len(set(others) if busy else others) <= len(self._given_up):
            return False
        self._given_up.add(device)
        return True
