"""What the training stages read of ``params.yaml``. Imports no torch."""

from pydantic import ConfigDict

from pipeline.params.organism import OrganismParams
from pipeline.params.runtime import RuntimeParams
from pipeline.params.section import Name, Section
from store.base.errors import UserError


class TrainingParams(Section):
    """How model organisms are trained; the other sections are left to the stages that use them.

    So a parameter of a later stage, in this project's code or in its file, never trains again.
    """

    model_config = ConfigDict(extra="ignore")

    runtime: RuntimeParams
    organisms: dict[Name, OrganismParams]

    def organism(self, name: str) -> OrganismParams:
        """How the organism of a profile is trained.

        Raises
        ------
        UserError
            The profile is not one that is trained here.
        """
        if name not in self.organisms:
            raise UserError(f"There is no organism '{name}' in params.yaml; it has {sorted(self.organisms)}.")
        return self.organisms[name]

    def require(self, name: str) -> None:
        """Check that a stage can run for that name.

        Raises
        ------
        UserError
            It cannot.
        """
        self.organism(name)
