"""What the tests of models share: our own evaluation, and Pythons that have other programs' modules."""
import os
import re
import subprocess
import sys

import pytest


def python_with(*modules):
    """A Python that has them: TICKCAST_TORCH_PYTHON, this one, or the system's (where Debian's packages are)."""
    for python in filter(None, (os.environ.get("TICKCAST_TORCH_PYTHON"), sys.executable, "/usr/bin/python3")):
        done = subprocess.run([python, "-c", "import " + ",".join(modules)], capture_output=True, check=False)
        if done.returncode == 0:
            return python
    pytest.skip(f"no Python here can import {' and '.join(modules)} (Debian: apt-get install python3-torch "
                "python3-sklearn, or name one in TICKCAST_TORCH_PYTHON)")
    return None


def eval_all(binary, environment, model, rows, *flags):
    """Lists of outputs and values after the last of the rows."""
    done = subprocess.run([binary, "model", "eval", model, *flags], env=environment, text=True, timeout=120,
                          input="".join(",".join(map(repr, row)) + "\n" for row in rows), capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"raw=(\S+) value=(\S+)\n", done.stdout)
    assert found, done.stdout
    return [float(v) for v in found[1].split(",")], [float(v) for v in found[2].split(",")]


def eval_rows(binary, environment, model, rows, *flags):
    """The output and the value of a model that has one of each."""
    (raw,), (out,) = eval_all(binary, environment, model, rows, *flags)
    return raw, out
