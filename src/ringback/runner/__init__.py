"""Floor 2, runner: the child process that hosts one predictor, and the frames it is spoken to with.

The child is run by the model's own Python (CPython 3.9 or newer), with the standard library only. It
loads this folder as the package `_ringback_runner` and never puts the folder on `sys.path`, because a
model may have a `schema.py` of its own. Only `protocol` and this module are for the parent.
"""

from __future__ import annotations

import pathlib

# First of all the working directory leaves sys.path: a model's json.py must not become the runner's. main
# puts it back when the runner has all it needs.
BOOTSTRAP = """\
import sys
if sys.path and not sys.path[0]:
    del sys.path[0]
import importlib.util
folder, control, lifeline = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def load(name, file, **places):
    spec = importlib.util.spec_from_file_location(name, folder + "/" + file, **places)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
load("_ringback_runner", "__init__.py", submodule_search_locations=[folder])
from _ringback_runner.main import main
main(control, lifeline)
"""


def command(python: str, control_fd: int, lifeline_fd: int) -> list[str]:
    """Return the command line of a runner.

    Start it with the model's folder as its working directory, in a session of its own, with both
    descriptors passed on, an empty stdin, and one pipe as stdout and stderr.

    Args:
        python: the model's interpreter.
        control_fd: one end of a stream socket pair; frames of `protocol` go both ways over it.
        lifeline_fd: the read end of a pipe that nobody writes to. When its last write end is closed
            (the parent's, even by `kill -9`), the runner and all it has started are killed.
    """
    folder = pathlib.Path(__file__).resolve().parent
    return [python, "-c", BOOTSTRAP, str(folder), str(control_fd), str(lifeline_fd)]
