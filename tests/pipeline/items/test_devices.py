"""A process knows what it computes on, and workers of one machine see one GPU each."""

import pytest

from pipeline.items import devices
from pipeline.items.devices import CPU, Gpu, device_class, gpu_of, listed, take_gpu, visible

TWO = listed("0, GPU-aaaa, NVIDIA H200\n1, GPU-bbbb, NVIDIA A100, 80GB\n\n")


def test_a_listing_is_read_line_by_line() -> None:
    assert (Gpu("0", "GPU-aaaa", "NVIDIA H200"), Gpu("1", "GPU-bbbb", "NVIDIA A100, 80GB")) == TWO
    assert listed("") == ()


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (None, [0, 1]),
        ("", []),
        ("1", [1]),
        ("1,0", [1, 0]),
        ("GPU-bb", [1]),
        ("GPU-", []),
        ("0,7,1", [0]),
        ("-1,0", []),
    ],
)
def test_what_cuda_may_see_is_seen(said: str | None, seen: list[int]) -> None:
    environ = {} if said is None else {"CUDA_VISIBLE_DEVICES": said}
    assert visible(TWO, environ) == [TWO[number] for number in seen]


def test_workers_go_around_the_gpus() -> None:
    taken = [gpu_of(slot, TWO).get("CUDA_VISIBLE_DEVICES") for slot in range(4)]
    assert taken == ["GPU-aaaa", "GPU-bbbb", "GPU-aaaa", "GPU-bbbb"]
    assert gpu_of(0, TWO[:1]) == gpu_of(3, ()) == {}


def test_each_process_takes_a_gpu_of_its_own_and_keeps_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("slots")
    monkeypatch.setattr(devices, "gpus", lambda: TWO)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(folder))
    seen = []
    locks = []
    for first in (0, 0, 1):
        # What another process holds: the locks are the system's.
        monkeypatch.setattr(devices, "_held", held := [])
        locks.append(held)
        environ: dict[str, str] = {}
        take_gpu(environ, first=first)
        take_gpu(environ, first=first)
        seen.append(environ["CUDA_VISIBLE_DEVICES"])
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", environ["CUDA_VISIBLE_DEVICES"])
        assert device_class() in {TWO[0].name, TWO[1].name}
    assert seen == ["GPU-aaaa", "GPU-bbbb", "GPU-aaaa"]
    locks[1][0].release()
    monkeypatch.setattr(devices, "_held", [])
    take_gpu(again := {})
    assert again["CUDA_VISIBLE_DEVICES"] == "GPU-bbbb", "who comes in the place of one that ended"


def test_without_a_gpu_it_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ())
    take_gpu(environ := {"HOME": "/"})
    assert device_class() == CPU
    assert environ == {"HOME": "/"}
