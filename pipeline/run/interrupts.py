"""Ctrl-C while a program is still importing what it needs: one sentence and exit code 130, as later."""

import sys
from types import TracebackType


def end_on_interrupt() -> None:
    """Give an interrupt that comes before `run_stage` its sentence, where a program is started.

    Called where a package of programs is imported, before the seconds that torch takes. Python
    calls the program ``-m`` while it looks for the module to run; whoever else imports the
    package keeps their own way to end.
    """
    if sys.argv[:1] == ["-m"]:
        sys.excepthook = _told


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("Interrupted; nothing was done yet.", file=sys.stderr)
    raise SystemExit(130)
