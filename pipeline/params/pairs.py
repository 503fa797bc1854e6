"""All of ``params.yaml``, for stages of one profile and one behaviour each. Imports no torch."""

from pipeline.params.project import Params
from store.base.errors import UserError


class PairParams(Params):
    """Every section, as `Params`; a stage is asked for by a pair such as ``organism-agreement``."""

    def pair(self, name: str) -> tuple[str, str]:
        """Profile and behaviour of DVC's name for the two; a behaviour's has no hyphen.

        Raises
        ------
        UserError
            It names no profile and a behaviour.
        """
        profile, _, behaviour = name.rpartition("-")
        if not profile:
            raise UserError(
                f"'{name}' names no profile and behaviour of params.yaml; join both: organism-agreement."
            )
        self.profile(profile)
        return profile, behaviour

    def require(self, name: str) -> None:
        """Check that a stage can run for the pair; raises as `pair`."""
        self.pair(name)
