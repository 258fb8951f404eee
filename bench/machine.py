"""What the figures depend on: the machine, its disk, and how the server's database is set."""

import asyncio
import os
import platform
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, data_folder
from bench.quantiles import quantile
from ringback.store.database import Tx
from ringback.store.migrations import migrate_sqlite
from ringback.store.sqlite import Sqlite

_PRAGMAS = (
    "journal_mode",
    "synchronous",
    "fullfsync",
    "wal_autocheckpoint",
    "page_size",
    "cache_size",
    "temp_store",
    "locking_mode",
)
_SYNCS = 300
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured.

    Attributes:
        fdatasync_ms: the data folder's disk: appending a page and waiting until it is there, p50 and p99.
        pragmas: as the server's writing connection has them.
    """

    commit: str
    processor: str
    cores: int
    load: float
    system: str
    python: str
    sqlite: str
    fdatasync_ms: tuple[float, float]
    pragmas: dict[str, str]


def machine() -> Machine:
    """Look around."""
    with data_folder() as folder:
        return Machine(
            _commit(),
            _processor(),
            os.cpu_count() or 0,
            os.getloadavg()[0],
            platform.platform(),
            platform.python_version(),
            sqlite3.sqlite_version,
            _fdatasync_ms(folder / "sync"),
            asyncio.run(_pragmas(folder / "pragmas.sqlite")),
        )


def _commit() -> str:
    try:
        told = subprocess.check_output(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, stderr=subprocess.DEVNULL, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _fdatasync_ms(path: Path) -> tuple[float, float]:
    sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync
    page, times = os.urandom(_PAGE), []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            started = time.perf_counter()
            file.write(page)
            sync(file.fileno())
            times.append((time.perf_counter() - started) * 1e3)
    return quantile(times, 0.5), quantile(times, 0.99)


async def _pragmas(path: Path) -> dict[str, str]:
    migrate_sqlite(path)
    database = Sqlite(path, lambda: 0)

    async def ask(tx: Tx) -> dict[str, str]:
        rows = {name: await tx.row(f"PRAGMA {name}") for name in _PRAGMAS}
        return {name: str(row[0]) for name, row in rows.items() if row is not None}

    found = await database.write(ask)
    await database.close()
    return found
