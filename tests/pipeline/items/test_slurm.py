"""What pipeline/README says of Slurm: its program runs, and its job starts a worker as it should."""

import re

import pytest

from pipeline.items.closure import ROOT


def test_the_job_script_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "pipeline" / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(from dask_jobqueue.*?)cluster\.adapt", text, re.DOTALL)
    names: dict[str, object] = {}
    # Another port than the text's, where somebody may listen; no job is sent before `adapt`.
    exec(program.replace("8786", "0"), names)
    names["cluster"].close()  # type: ignore[attr-defined]
    script = capsys.readouterr().out
    assert "#SBATCH -p gpu" in script
    assert "#SBATCH --cpus-per-task=8" in script
    assert "#SBATCH --gres=gpu:1" in script
    (command,) = (line for line in script.splitlines() if "dask_worker" in line)
    assert re.search(r"-m distributed\.cli\.dask_worker tcp://\S+ .*--nthreads 1 ", command)
