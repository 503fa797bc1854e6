"""What a stage computes with, as DVC sees it: the modules that it imports, by their syntax trees."""

from pathlib import Path

from pipeline.items.closure import ROOT, import_closure, pinned_libraries
from pipeline.run.code_digest import code_digest


def stage_code(stage: str, root: Path = ROOT) -> str:
    """A line for each module in a stage's import closure and for each pinned library.

    Parameters
    ----------
    stage
        Name of a module in ``pipeline/stages``.
    root
        The folder that holds the packages `pipeline` and `store`, and ``requirements.txt``.

    Returns
    -------
    str
        Lines such as ``pipeline/analysis/edges.py 3f0c...``, a digest of 16 hex digits. It stays the
        same where comments, docstrings or the layout of the text change; annotations count, for
        pydantic reads them.
    """
    modules = import_closure(f"pipeline.stages.{stage}", root)
    return "".join(f"{name} {code_digest(root / name)}\n" for name in modules) + pinned_libraries(root)
