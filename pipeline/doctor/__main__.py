"""``python -m pipeline.doctor PROFILE``: will it run here, and are these the models that they claim to be?

What is there and at which commit; what each stage takes of memory, disk and time against what this
machine has; tokens, scales, parity and readings of hooks. Exit code 1 where something will fail.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence

from pipeline.doctor.findings import Finding, Verdict
from pipeline.doctor.machine import Machine, this_machine
from pipeline.doctor.needs import Need, needs
from pipeline.doctor.shapes import Shape, shape_of
from pipeline.doctor.sources import Named, look
from pipeline.doctor.subject_checks import (
    hook_findings,
    model_findings,
    model_readings,
    scale_findings,
    token_findings,
    told,
)
from pipeline.doctor.terminal import (
    finding_lines,
    lacks,
    machine_line,
    need_lines,
    place_lines,
    reading_lines,
    size,
)
from pipeline.doctor.work import Work, work_of
from pipeline.models.describe import build_manifest
from pipeline.models.tokenizer import load_tokenizer
from pipeline.models.transcoders import RESIDENT_SHARE
from pipeline.params.profiles import Profile
from pipeline.params.project import Params, load_params
from pipeline.run.determinism import make_deterministic
from pipeline.run.stage import artifacts
from store.base.errors import StoreError, UserError
from store.documents.manifest import Manifest


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; 0 if nothing will fail, else 1."""
    given = _parser().parse_args(arguments)
    try:
        params = load_params()
        profile = params.profile(given.profile)
        make_deterministic(params.runtime.seed, params.runtime.threads)
        named = look(given.profile, profile)
    except (StoreError, UserError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(place_lines(named.places)) + "\n")
    machine = this_machine()
    work, assumed = work_of(
        artifacts(given.profile), profile, params, prompts=given.prompts, tokens=given.tokens
    )
    shape = shape_of(named.empty, named.facts, list(named.modules.values()), dtype=profile.dtype)
    needed = _needs(shape, work, params, machine, held_whole=named.facts.held_whole)
    print(f"{machine_line(machine)}\nEstimated{assumed}:")
    print("\n".join(need_lines(needed, machine)) + "\n")
    findings = _room_for_files(named, machine)
    findings += _checked(given.profile, profile, named, needed[0], machine, shallow=given.shallow)
    print("\n".join(finding_lines(findings)))
    failing = [each for each in findings if each.verdict is Verdict.FAIL]
    lacking = [need for need in needed if lacks(need, machine)]
    if failing or lacking:
        print(f"\n{len(failing)} checks fail, {len(lacking)} stages have no room.")
        return 1
    print("\nNothing found that will fail.")
    return 0


def _needs(shape: Shape, work: Work, params: Params, machine: Machine, *, held_whole: bool) -> list[Need]:
    free = machine.free_device if machine.on_gpu else machine.free_memory
    resident = held_whole or shape.dictionary <= RESIDENT_SHARE * free
    mapped = not (held_whole or machine.on_gpu)
    return needs(shape, work, params, resident=resident, on_gpu=machine.on_gpu, mapped=mapped)


def _room_for_files(named: Named, machine: Machine) -> list[Finding]:
    if named.missing <= machine.free_disk:
        return []
    said = (
        f"{size(named.missing)} are to be fetched, {size(machine.free_disk)} free; make room, or set HF_HOME."
    )
    return [Finding(what="disk", verdict=Verdict.FAIL, said=said)]


def _checked(
    name: str, profile: Profile, named: Named, health: Need, machine: Machine, *, shallow: bool
) -> list[Finding]:
    """All checks that can be made with what is here."""
    findings = list(scale_findings(named))
    if not named.is_here:
        said = (
            f"not looked at: not all files are here yet; `dvc repro -s models@{name}` fetches and checks them"
        )
        return [*findings, Finding(what="tokens, weights", verdict=Verdict.NOTE, said=said)]
    try:
        manifest = _manifest(name, profile)
    except UserError as error:
        return [*findings, Finding(what="files", verdict=Verdict.FAIL, said=str(error))]
    findings += told("tokens", lambda: token_findings(load_tokenizer(manifest), profile.chat))
    if shallow:
        return findings
    if lacks(health, machine):
        said = "not loaded: there is no room for the models, as above"
        return [*findings, Finding(what="weights", verdict=Verdict.NOTE, said=said)]
    findings += told("health", lambda: model_findings(manifest))
    with contextlib.suppress(UserError):  # which the line above has told
        readings = model_readings(manifest)
        print("\n".join(reading_lines(readings)) + "\n")
        findings += hook_findings(readings)
    return findings


def _manifest(name: str, profile: Profile) -> Manifest:
    return build_manifest(
        name,
        model=profile.model,
        revision=profile.revision,
        transcoders=profile.transcoders,
        transcoders_revision=profile.transcoders_revision,
        adapters=profile.adapters,
        focus=profile.focus,
        dtype=profile.dtype,
        aliases=profile.aliases,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.doctor", description=__doc__.partition("\n")[0])
    parser.add_argument("profile", help="a profile of params.yaml")
    parser.add_argument("--shallow", action="store_true", help="load no weights: no parity, no hooks")
    parser.add_argument(
        "--prompts", type=int, metavar="N", help="how many are reckoned with, where the profile has none yet"
    )
    parser.add_argument("--tokens", type=int, metavar="N", help="tokens of each, likewise")
    return parser


if __name__ == "__main__":
    sys.exit(main())
