"""All of ``params.yaml``. Imports no torch."""

from pathlib import Path

from pydantic import ConfigDict, Field, model_validator

from pipeline.params.answers import AnswerParams
from pipeline.params.behaviour_interventions import BehaviourInterventionParams
from pipeline.params.behaviours import BehaviourParams
from pipeline.params.circuits import BehaviourFeatureParams, CircuitParams
from pipeline.params.components import ComponentParams
from pipeline.params.discover import TEMPLATES, DiscoverParams
from pipeline.params.dose import DoseParams
from pipeline.params.evaluate import EvaluateParams
from pipeline.params.faithfulness import FaithfulnessParams
from pipeline.params.features import FeatureParams
from pipeline.params.finetunes import FinetuneParams
from pipeline.params.graphs import GraphParams
from pipeline.params.interventions import InterventionParams
from pipeline.params.judges import JudgeParams
from pipeline.params.labels import LabelSection
from pipeline.params.mining import MiningParams
from pipeline.params.misalignment import MisalignmentParams
from pipeline.params.names import NameParams
from pipeline.params.pivotality import PivotalityParams
from pipeline.params.profiles import Profile
from pipeline.params.prompts import PromptParams
from pipeline.params.reading import read_params
from pipeline.params.recipes import RecipeParams
from pipeline.params.retention import RetentionParams
from pipeline.params.scores import ScoreParams
from pipeline.params.section import Name
from pipeline.params.steered import SteeredParams
from pipeline.params.training import TrainingParams
from pipeline.params.validation import ValidationParams
from store.base.errors import UserError


class Params(TrainingParams):
    """Every section of ``params.yaml``; another one is refused."""

    model_config = ConfigDict(extra="forbid")

    profiles: dict[Name, Profile] = Field(min_length=1)
    shipped: dict[Name, Profile] = Field(default_factory=dict)
    prompts: PromptParams
    labels: LabelSection
    discover: DiscoverParams
    graphs: GraphParams
    components: ComponentParams
    dose: DoseParams
    features: FeatureParams
    names: NameParams
    validation: ValidationParams
    faithfulness: FaithfulnessParams
    interventions: InterventionParams
    evaluate: EvaluateParams
    recipes: RecipeParams
    pivotality: PivotalityParams
    mining: MiningParams
    answers: AnswerParams
    scores: ScoreParams
    misalignment: MisalignmentParams
    steered: SteeredParams
    behaviours: BehaviourParams
    behaviour_interventions: BehaviourInterventionParams
    behaviour_features: BehaviourFeatureParams
    circuits: CircuitParams
    retention: RetentionParams
    finetunes: dict[Name, FinetuneParams] = Field(default_factory=dict)
    judges: dict[Name, JudgeParams] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _judges_are_there(self) -> "Params":
        for name, profile in (self.shipped | self.profiles).items():
            for where, judges in profile.judging().items():
                for judge in judges:
                    if judge not in self.judges:
                        raise ValueError(
                            f"profiles.{name}.{where} names '{judge}', but the judges are "
                            f"{', '.join(sorted(self.judges)) or 'none'}"
                        )
        return self

    @model_validator(mode="after")
    def _generator_is_there(self) -> "Params":
        name = self.discover.generator
        able = sorted(each for each, judge in self.judges.items() if judge.kind != "rubric")
        if name != TEMPLATES and name not in able:
            raise ValueError(
                f"discover.generator is '{name}', but what writes prompts is {', '.join([TEMPLATES, *able])}"
            )
        return self

    @model_validator(mode="after")
    def _profiles_are_there(self) -> "Params":
        for name, finetune in self.finetunes.items():
            if finetune.profile not in self.profiles:
                raise ValueError(
                    f"finetunes.{name}.profile is '{finetune.profile}', but the profiles are "
                    f"{', '.join(sorted(self.profiles))}"
                )
        return self

    def profile(self, name: str) -> Profile:
        """The profile of that name, or the shipped one.

        Raises
        ------
        UserError
            There is none.
        """
        known = self.shipped | self.profiles
        if name not in known:
            raise UserError(f"There is no profile '{name}' in params.yaml; it has {sorted(known)}.")
        return known[name]

    def require(self, name: str) -> None:
        """Check that a stage can run for that name.

        Raises
        ------
        UserError
            It cannot.
        """
        self.profile(name)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check all of ``params.yaml``; for its errors see `read_params`."""
    return read_params(path, Params)
