"""``streamlit run dashboard/app.py``: the entry point, and nothing else."""

import sys
from pathlib import Path
from typing import Final

# Every page's script, as `AppTest.switch_page` takes it; '' is the one that opens first.
PAGES: Final = (
    "",
    "views/compare.py",
    "views/features.py",
    "views/steering.py",
    "views/evaluation.py",
    "views/provenance.py",
)


def main() -> None:
    """Make the project importable (Streamlit adds this file's folder only) and draw."""
    root = str(Path(__file__).resolve().parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    from dashboard.shell import run

    run()


if __name__ == "__main__":
    main()
