"""``streamlit run dashboard/app.py``: the entry point, and nothing else."""

import sys
from pathlib import Path


def main() -> None:
    """Make the project importable (Streamlit adds this file's folder only) and draw."""
    root = str(Path(__file__).resolve().parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    from dashboard.navigation import run

    run()


if __name__ == "__main__":
    main()
