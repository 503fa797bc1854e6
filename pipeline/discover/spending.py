"""What finding prompts may take: the limits of ``discover``, over generator and judges, in every run."""

from typing import Final, NamedTuple, TypeVar

from pipeline.judging.protocol import Judge
from pipeline.params.discover import DiscoverParams
from pipeline.params.judges import JudgeParams, OpenAIJudge
from store.documents.discovery import Discovery

P = TypeVar("P", bound=JudgeParams)


class Spent(NamedTuple):
    """Calls, and their price."""

    calls: int = 0
    cost: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(self.calls + other.calls, self.cost + other.cost)

    def minus(self, other: "Spent") -> "Spent":
        """What this has beyond the other."""
        return Spent(self.calls - other.calls, max(0.0, self.cost - other.cost))


NOTHING: Final = Spent()


def spent_in(found: Discovery) -> Spent:
    """What the rounds that have ended took."""
    return Spent(sum(each.calls for each in found.ended.values()), sum(e.cost for e in found.ended.values()))


def spent_by(judge: Judge) -> Spent:
    """What the answers about a judge's cases took, ever."""
    return Spent(judge.usage().calls, judge.cost())


def left_of(params: DiscoverParams, spent: Spent) -> Spent:
    """What of the limits is left."""
    return Spent(max(0, params.max_calls - spent.calls), max(0.0, params.max_cost - spent.cost))


def limited(params: P, left: Spent) -> P:
    """A judge that keeps to what is left, too, where it is one that is paid."""
    if not isinstance(params, OpenAIJudge):
        return params
    update = {
        "max_calls": min(params.max_calls, left.calls),
        "max_cost": min(params.max_cost, left.cost),
    }
    return params.model_copy(update=update)
