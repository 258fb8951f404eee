"""A model's folder: its cog.yaml, its sources, and the version they make."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ringback.store.versions import SourceFile
from ringback.words.errors import SetupError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?/[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_ENTRY = re.compile(r"(?P<file>[^:]+\.py):(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_LARGE = 10_000_000
"""Bytes from which on a file is kept by reference, not by content."""
_SKIPPED = frozenset({"__pycache__", "node_modules", "venv", "ringback-data"})


@dataclass(frozen=True, slots=True)
class Model:
    """A model as found on disk.

    Attributes:
        name: owner/name.
        folder: where its files are.
        entry: file.py:Class, or file.py:function.
        train: the same of what trains it; empty if nothing does.
        version: 64 hexadecimal digits.
        sources: its files.
        without: a folder that is not part of it, wherever it lies: the server's data.
    """

    name: str
    folder: Path
    entry: str
    train: str
    version: str
    sources: tuple[SourceFile, ...]
    without: Path


def read_model(name: str, folder: Path, version: str | None, without: Path) -> Model:
    """Read a model's folder.

    Args:
        name: owner/name.
        folder: the folder with cog.yaml.
        version: the version's id, if it is given and not to be made from the sources.
        without: the server's data folder, which is no source even if it lies in the model's folder.

    Raises:
        SetupError: something is missing or wrong, in one line.
    """
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"model {name!r}: expected owner/name, of letters, digits, dots, dashes, underscores"
        )
    folder = folder.absolute()
    entry, train = read_entries(folder)
    sources = tuple(_sources(folder, without))
    return Model(name, folder, entry, train, version or _version(name, entry, sources), sources, without)


def read_entries(folder: Path) -> tuple[str, str]:
    """Give what the `run` (or older `predict`) and the `train` of a folder's cog.yaml name, "" without.

    Raises:
        SetupError: something is missing or wrong, in one line.
    """
    path = folder / "cog.yaml"
    config = _config(folder, path)
    entry = _entry(folder, path, "run", config.get("run", config.get("predict")))
    train = config.get("train")
    return entry, "" if train is None else _entry(folder, path, "train", train)


def _config(folder: Path, path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "" if folder.is_dir() else " (no such folder)"
        raise SetupError(f"{folder}: there is no cog.yaml{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise SetupError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise SetupError(f"{path}: expected a mapping")
    return config


def _entry(folder: Path, path: Path, key: str, entry: object) -> str:
    match = _ENTRY.fullmatch(entry) if isinstance(entry, str) else None
    if match is None:
        raise SetupError(f"{path}: `{key}` must name file.py:Class or file.py:function, not {entry!r}")
    if not (folder / match["file"]).is_file():
        raise SetupError(f"{path}: `{key}` names {match['file']}, which is not in the folder")
    return str(entry)


def _sources(folder: Path, without: Path) -> Iterator[SourceFile]:
    for path in sorted(_walk(folder, without)):
        stat = path.stat()
        name = path.relative_to(folder).as_posix()
        if stat.st_size > _LARGE:
            yield SourceFile(name, stat.st_mode & 0o777, stat.st_size, None, str(path))
        else:
            yield SourceFile(name, stat.st_mode & 0o777, stat.st_size, path.read_bytes(), None)


def _walk(folder: Path, without: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if name not in _SKIPPED and not name.startswith(".") and Path(root, name) != without
        ]
        for name in names:
            path = Path(root, name)
            if not name.startswith(".") and not name.endswith(".pyc") and path.is_file():
                yield path


def _version(name: str, entry: str, sources: tuple[SourceFile, ...]) -> str:
    total = hashlib.sha256(f"ringback 1\0{name}\0{entry}\0".encode())
    for file in sources:
        content = (
            hashlib.sha256(file.content).hexdigest() if file.content is not None else _by_reference(file)
        )
        total.update(f"{file.path}\0{content}\0".encode())
    return total.hexdigest()


def _by_reference(file: SourceFile) -> str:
    # Hashing gigabytes of weights at each start would take longer than loading them.
    return f"{file.size} {Path(str(file.origin)).stat().st_mtime_ns}"


def unchanged(model: Model) -> bool:
    """Say whether the folder still holds the version that was read from it."""
    try:
        return tuple(_sources(model.folder, model.without)) == model.sources
    except OSError:
        return False


def restore(sources: list[SourceFile], folder: Path) -> None:
    """Write a version's kept sources into a folder; large files become links to where they lay.

    Each file comes whole into its place, so one that is there may be read-only, and a process that runs in
    the folder never finds half of one.

    Raises:
        FileNotFoundError: a large file is no longer where it was.
        OSError: a file can't be written.
    """
    for file in sources:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{secrets.token_hex(8)}")
        try:
            _put(file, beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _put(file: SourceFile, path: Path) -> None:
    if file.content is not None:
        path.write_bytes(file.content)
        path.chmod(file.mode)
        return
    origin = Path(str(file.origin))
    if not origin.is_file() or origin.stat().st_size != file.size:
        raise FileNotFoundError(f"{origin} is gone or has changed")
    path.symlink_to(origin)
