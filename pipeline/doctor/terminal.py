"""The doctor's report, as lines of a terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.doctor.findings import Finding, Verdict
from pipeline.doctor.machine import Machine
from pipeline.doctor.needs import Need
from pipeline.doctor.readings import Readings
from pipeline.doctor.sources import Place

_GIGA: Final = 1e9


def place_lines(places: Sequence[Place]) -> Iterator[str]:
    """What is there, and at which commit."""
    rows = []
    for place in places:
        at = place.commit[:12] if place.commit else f"files {place.fingerprint[:12]}"
        if place.missing is None:
            there = f"{size(place.here)} here; the hub cannot be asked what is missing"
        elif place.missing:
            there = f"{size(place.missing)} to be fetched, {size(place.here)} here"
        else:
            there = f"{size(place.here)} here"
        rows.append((place.role, place.source, at, there))
    yield from table(("what", "where", "commit", "on this disk"), rows)


def need_lines(needs: Sequence[Need], machine: Machine) -> Iterator[str]:
    """What each stage takes, and whether the machine has it; estimates."""
    rows = []
    for need in needs:
        lacking = lacks(need, machine)
        rows.append(
            (
                need.stages,
                size(need.device) if machine.on_gpu else "-",
                size(need.memory),
                size(need.disk),
                duration(need.operations / machine.speed),
                f"{Verdict.FAIL}: lower {need.lowered_by}" if lacking else "fits",
            )
        )
    yield from table(("stage", "GPU memory", "memory", "disk", "time, at least", ""), rows)


def lacks(need: Need, machine: Machine) -> bool:
    """Whether a stage needs more than is free."""
    on_device = machine.on_gpu and need.device > machine.free_device
    return on_device or need.memory > machine.free_memory or need.disk > machine.free_disk


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """What checks found."""
    yield from table(("check", "", ""), [(each.what, str(each.verdict), each.said) for each in findings])


def reading_lines(readings: Readings) -> Iterator[str]:
    """Unexplained variance by layer under each reading of the hooks."""
    names = list(readings.unexplained)
    rows = [
        (
            f"{'* ' if one == readings.declared else '  '}{' to '.join(one)}",
            f"{readings.typical(one):.3g}",
            " ".join(f"{share:.3g}" for share in readings.unexplained[one]),
        )
        for one in sorted(names, key=readings.typical)
    ]
    yield from table(("reading (* declared)", "typical", "variance unexplained, by layer"), rows)


def machine_line(machine: Machine) -> str:
    """What the machine has."""
    own = f", {size(machine.free_device)} of its memory free" if machine.on_gpu else ""
    return (
        f"{machine.device}{own}; {machine.cores} cores, {size(machine.free_memory)} of memory free, "
        f"{size(machine.free_disk)} of disk free, {machine.speed / 1e9:,.0f} billion operations a second"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as what stands in them; the last one is not filled up."""
    whole = [head, *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    for row in whole:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def size(n_bytes: float) -> str:
    """Bytes as a person reads them."""
    for unit, scale in (("GB", _GIGA), ("MB", 1e6)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:,.1f} {unit}"
    return f"{n_bytes / 1e3:,.0f} kB"


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    for unit, scale in (("h", 3600.0), ("min", 60.0)):
        if seconds >= scale:
            return f"{seconds / scale:,.1f} {unit}"
    return f"{max(seconds, 1):.0f} s"
