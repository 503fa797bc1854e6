"""Programs that share their imports: each runs in a fork of one process and ends as its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PARENT: Final = """
import gc, json, os, sys, tempfile

imports, programs = json.load(sys.stdin)
exec(imports)
gc.collect()
gc.freeze()  # else a fork that collects garbage copies every page of what is imported
ended = {}
for name, program in programs.items():
    sys.stdout.flush()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            exec(program)
            sys.exit()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = [(stream.seek(0), stream.read().decode())[1] for stream in (out, errors)]
        ended[name] = [code, *said]
print(json.dumps(ended))
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a program left: its exit code, what it printed and what it said of errors."""

    code: int
    out: str
    errors: str


def forked(
    programs: Mapping[str, str], *, imports: str, folder: Path, environment: Mapping[str, str]
) -> dict[str, Ended]:
    """Run Python programs one after the other; importing torch or DVC takes seconds, once.

    Parameters
    ----------
    programs
        Source of each program by a name.
    imports
        Source that runs once, before all of them.
    folder
        Where they run.
    environment
        Their environment.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PARENT],
        input=json.dumps([imports, dict(programs)]),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=900,
    )
    ended = json.loads(done.stdout.splitlines()[-1])
    return {name: Ended(code=code, out=out, errors=errors) for name, (code, out, errors) in ended.items()}
