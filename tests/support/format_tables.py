"""The tables of ``store/FORMAT.md``, from the schema: ``python -m tests.support.format_tables``."""

from collections.abc import Mapping

from store.schema.dose import DOSE
from store.schema.registry import COLLECTIONS, DATASETS
from store.schema.specs import ArraySpec
from tests.support.places import ROOT

FORMAT = ROOT / "store" / "FORMAT.md"
START = "<!-- tables of the schema: written by `python -m tests.support.format_tables` -->\n"
_AS_GRAPHS = "Since version 2; the arrays and scalars of `graphs`, all since version 2 here.\n"


def tables() -> str:
    """Markdown tables of every array of every artifact."""
    parts = []
    for kind, collection in COLLECTIONS.items():
        if kind == DOSE.kind:
            parts.append(f"\n### `{kind}` (collection)\n\n{_AS_GRAPHS}")
            continue
        parts.append(f"\n### `{kind}` (collection)\n\n{_table({**collection.arrays, **collection.former})}")
        if collection.scalars:
            parts.append(f"\nScalars, in the index:\n\n{_table(collection.scalars)}")
    for kind, dataset in DATASETS.items():
        parts.extend(
            f"\n### `{kind}/{group}` (dataset)\n\n{_table(arrays)}"
            for group, arrays in dataset.groups.items()
        )
    return "".join(parts)


def _table(arrays: Mapping[str, ArraySpec]) -> str:
    rows = ["| array | since | dims | dtype | unit | meaning |", "|---|---|---|---|---|---|"]
    for name, spec in arrays.items():
        dims = ", ".join(spec.dims) or "item"
        meaning = spec.meaning.replace("|", "\\|")
        rows.append(
            f"| `{name}` | {_versions(spec)} | {dims} | {spec.dtype} | {spec.unit or '-'} | {meaning} |"
        )
    return "\n".join(rows) + "\n"


def _versions(spec: ArraySpec) -> str:
    return str(spec.since) if spec.until is None else f"{spec.since} to {spec.until}"


if __name__ == "__main__":
    prose, _, _ = FORMAT.read_text(encoding="utf-8").partition(START)
    FORMAT.write_text(prose + START + tables(), encoding="utf-8")
