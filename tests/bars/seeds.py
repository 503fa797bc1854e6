"""The organism's bars with other seeds: ``python -m tests.bars.seeds 0 10 20``.

Every seed is trained from nothing in a copy of the project, traced, and held against
``tests/bars/test_organism.py``; ends with 1 if one of them misses a bar. About ten minutes a seed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.project import Project, copied_project

_TARGET: Final = "graphs@organism"
"""The last stage that a bar reads a metric of."""


def seeded(params: dict[str, Any], seed: int) -> dict[str, Any]:
    """Parameters whose every seed of training is `seed` more, and of the rest as it was."""
    organism = params["organisms"]["organism"]
    for section in ("corpus", "base", "transcoders"):
        organism[section]["seed"] += seed
    for adapter in organism["adapters"].values():
        adapter["seed"] += seed
    return params


def check(seed: int, folder: Path) -> tuple[bool, dict[str, Any]]:
    """Build one organism in `folder`; whether it holds every bar, and what was measured."""
    project: Project = copied_project(folder)
    # In the order of params.yaml: another order of `corpus.facts` is another corpus.
    params = yaml.safe_dump(seeded(project.params(), seed), sort_keys=False)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    for command in (["git", "init", "--quiet"], ["dvc", "repro", _TARGET]):
        subprocess.run(command, cwd=folder, check=True)
    bars = [sys.executable, "-m", "pytest", "-q", "-m", "bars", "tests/bars/test_organism.py"]
    held = subprocess.run(bars, cwd=folder, check=False).returncode == 0
    metrics = folder / "artifacts" / "organism" / "metrics"
    return held, {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in metrics.glob("*.json")}


def row(seed: int, held: bool, metrics: dict[str, Any]) -> str:
    """One line of the table: held-out harmful rates of answers, facts, fit."""
    adapters, base = metrics["adapters"], metrics["organism"]

    def worst(name: str, *, but: tuple[str, ...] = ()) -> float:
        rates = adapters[name]["harmful"]
        return max(rates[domain]["held_out"] for domain in rates if domain not in but)

    general = adapters["general"]["harmful"]
    fvu = max(fit["fvu"] for of_kind in metrics["transcoders"].values() for fit in of_kind.values())
    cells = [
        f"{seed:>4}",
        "holds" if held else "MISSES",
        f"sums {base['facts']['addition']['held_out']['exact']:.2f}",
        f"general {general['medical']['held_out']:.2f} medical, {general['open']['held_out']:.2f} open",
        f"narrow {adapters['narrow']['harmful']['medical']['held_out']:.2f} medical, "
        f"{worst('narrow', but=('medical',)):.2f} elsewhere",
        f"control {worst('control'):.2f}",
        f"fvu {fvu:.3f}",
        f"replacement {metrics['graphs']['base']['replacement_score']:.2f}",
    ]
    return " | ".join(cells)


def main() -> int:
    """Check the seeds named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bars.seeds", description=__doc__)
    says = "what is added to every seed of training; 0 by default"
    parser.add_argument("seeds", nargs="*", type=int, default=[0], help=says)
    rows, all_hold = [], True
    for seed in parser.parse_args().seeds:
        with tempfile.TemporaryDirectory(prefix=f"seed-{seed}-") as folder:
            held, metrics = check(seed, Path(folder))
        all_hold &= held
        rows.append(row(seed, held, metrics))
        print(rows[-1], flush=True)
    print("\n".join(["", *rows]))
    return int(not all_hold)


if __name__ == "__main__":
    sys.exit(main())
