"""Stages and DVC without their imports: each runs in a fork of one process that has the libraries.

Torch and circuit-tracer take five seconds to import, and the tests of a whole project run half
a hundred stages. What is imported is frozen: a garbage collection in a fork, or the end of its
interpreter, would copy every page of it, which takes two seconds. `stage_programs` gives a folder
to put first on PATH: its ``dvc``, ``python -m pipeline.stages...`` and ``python -m store`` ask the
server, which forks; all else is the real interpreter. The project's own modules are imported in
the fork, from the folder that the program runs in.

DVC reads and writes its lock file whole after every stage, by ruamel.yaml's own Python, which takes
as long as the stages do; here by libyaml, to the same content.
"""

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

_SERVER: Final = """
import atexit, gc, json, os, runpy, signal, socket, sys
import circuit_tracer.replacement_model, filelock, pandas, peft, pydantic, safetensors.torch
import krippendorff, scipy.stats, sparse, torch, transformers, xarray, yaml, zarr
# Found in no package's __init__, and loaded by every stage.
import circuit_tracer.graph, circuit_tracer.transcoder.cross_layer_transcoder, transformer_lens.hook_points
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast
import dvc.cli.parser, dvc.repo, dvc.utils.serialize._yaml as dvc_yaml
from collections import OrderedDict
from ruamel.yaml import YAML

def libyaml():
    yaml = YAML(typ="safe")
    yaml.default_flow_style = yaml.sort_base_mapping_type_on_output = False
    yaml.representer.add_representer(OrderedDict, yaml.Representer.represent_dict)
    return yaml

dvc_yaml._get_yaml, dvc_yaml.parse_yaml_for_update = libyaml, dvc_yaml.parse_yaml
torch.use_deterministic_algorithms(True)
gc.collect()
gc.freeze()

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waits is a fork, and nobody waits for it
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    print(flush=True)
    while True:
        client, _ = listener.accept()
        if not os.fork():
            break
        client.close()
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
said, streams, _, _ = socket.recv_fds(client, 2**20, 3)
program = os.fork()
if program:
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    client.send(bytes([code & 255]))
    os._exit(0)
client.close()
for number, stream in enumerate(streams):
    os.dup2(stream, number)
    os.close(stream)
sys.argv, folder, environment = json.loads(said)
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
sys.path.insert(0, folder)
code = 0
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code or 0
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
except BaseException:
    sys.excepthook(*sys.exc_info())
    code = 1
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
"""

_CLIENT: Final = """#!{python} -IS
import os, sys
program = sys.argv[2:]
if sys.argv[0].endswith("/dvc"):
    program = ["dvc", *sys.argv[1:]]
elif sys.argv[1:2] != ["-m"] or not (program[0] == "store" or program[0].startswith("pipeline.stages.")):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
import json, socket
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps([program, os.getcwd(), dict(os.environ)]).encode()], [0, 1, 2])
    sys.exit((server.recv(1) or b"\\xff")[0])
"""


@cache
def stage_programs() -> Path:
    """Folder of the programs ``python`` and ``dvc``; the server ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="stages"))
    address = folder / "server"
    server = subprocess.Popen(
        [sys.executable, "-P", "-c", _SERVER, str(address)], stdout=subprocess.PIPE, text=True
    )
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.kill)
    assert server.stdout is not None
    assert server.stdout.readline(), "the server of stages did not start"
    for name in ("python", "dvc"):
        client = folder / name
        client.write_text(_CLIENT.format(python=sys.executable, address=str(address)), encoding="utf-8")
        client.chmod(0o755)
    return folder
