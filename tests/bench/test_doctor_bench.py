from pathlib import Path

from pipeline.doctor.needs import needs
from pipeline.params.project import load_params
from tests.bench.doctor_bench import STAGES, shape, work
from tests.bench.doctor_peak import MEASURED
from tests.support.builders import make_checkpoint


def test_every_estimate_is_held_against_a_measured_peak(tmp_path: Path) -> None:
    sizes = shape(make_checkpoint(tmp_path), "float32")
    found = needs(sizes, work("dose", 16, 1.0), load_params(), resident=True, on_gpu=False, mapped=True)
    assert {need.stages for need in found} == set(STAGES.values())
    assert MEASURED.keys() == STAGES.keys()
