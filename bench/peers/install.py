"""What the peers need, installed into .bench/peers the first time, and when what is asked for changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.processes import DATA

HOME = Path(__file__).resolve().parent
PLACE = DATA / "peers"
PYTHON = PLACE / "venv" / "bin" / "python"
NODE_MODULES = PLACE / "node_modules"


class Missing(Exception):
    """A peer can't be measured here; the message says what it lacks."""


def environment() -> dict[str, str]:
    """Give an environment whose `node` and `npm` are this project's own."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def python_packages() -> None:
    """Make the environment of the Python peers.

    Raises:
        Missing: it can't be made.
    """
    wanted = HOME / "requirements.txt"
    if _is_made("venv", wanted):
        return
    _run([sys.executable, "-m", "venv", "--clear", str(PYTHON.parent.parent)])
    _run([str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(wanted)])
    _made("venv", wanted)


def node_packages() -> None:
    """Install the JavaScript peers, and the server that comes as a package.

    Raises:
        Missing: they can't be installed.
    """
    wanted = HOME / "package.json"
    if _is_made("node", wanted):
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    shutil.copy(wanted, PLACE)
    _run(["npm", "install", "--silent", "--no-progress", "--no-audit", "--no-fund", "--prefix", str(PLACE)])
    _made("node", wanted)


def redis() -> str:
    """Give the path of redis-server; install it where that needs nobody's leave.

    Raises:
        Missing: it is not there, and can't be installed.
    """
    found = shutil.which("redis-server")
    if found is None:
        _install_redis()
        found = shutil.which("redis-server")
    if found is None:
        raise Missing("redis-server is installed, but not on the PATH")
    return found


def _install_redis() -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Missing("there is no redis-server here; install it (Debian: apt-get install redis-server)")
    print("peers: installing redis-server", file=sys.stderr)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # it must not start one
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "redis-server"]
    try:
        _run(install, quiet)
    except Missing:  # its lists may be old
        _run(["apt-get", "update", "-qq"], quiet)
        _run(install, quiet)


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        check=False,
        env=env or environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Missing(f"{' '.join(command[:3])} … failed: {done.stdout.strip()[-500:]}")


def _stamp(name: str) -> Path:
    return PLACE / f"{name}.installed"


def _is_made(name: str, wanted: Path) -> bool:
    stamp = _stamp(name)
    made = stamp.exists() and stamp.read_text() == wanted.read_text()
    if not made:
        print(f"peers: installing what {wanted.name} says into {PLACE}", file=sys.stderr)
    return made


def _made(name: str, wanted: Path) -> None:
    _stamp(name).write_text(wanted.read_text())
