"""Every behaviour there is: another one is a file beside this, a line here, and in ``dvc.yaml`` a name."""

from collections.abc import Iterable
from typing import Final

from pipeline.behaviours.addition import ADDITION
from pipeline.behaviours.agreement import AGREEMENT
from pipeline.behaviours.protocol import Behaviour
from pipeline.behaviours.recall import RECALL
from pipeline.behaviours.sentiment import SENTIMENT
from store.base.errors import UserError

BEHAVIOURS: Final[dict[str, Behaviour]] = {
    each.name: each for each in (AGREEMENT, RECALL, SENTIMENT, ADDITION)
}


def require_known(names: Iterable[str], where: str) -> None:
    """Refuse a behaviour that there is not.

    Raises
    ------
    UserError
        The sentence names it, the parameter, and those there are.
    """
    for name in names:
        if name not in BEHAVIOURS:
            raise UserError(
                f"params.yaml: {where} names the behaviour '{name}', but the behaviours are "
                f"{', '.join(sorted(BEHAVIOURS))}."
            )
