"""What calls will cost, and the limits that they keep to."""

import math
import threading
from collections.abc import Sequence
from typing import Any, Final

from pipeline.judging.asking import Request
from pipeline.judging.journal import Usage
from pipeline.params.judges import OpenAIJudge
from store.base.errors import UserError
from store.base.hashing import canonical_json

_BYTES_A_TOKEN: Final = 3
"""Of JSON in English: between 3 and 4 with today's tokenizers."""
_MILLION: Final = 1e6


class LimitError(UserError):
    """A run has reached one of its limits, or would pass it."""


def expected_usage(requests: Sequence[Request[Any]]) -> Usage:
    """What it takes to ask each once, guessed to the high side."""
    n_bytes = sum(len(canonical_json(request.body).encode("utf-8")) for request in requests)
    return Usage(
        calls=len(requests),
        input_tokens=math.ceil(n_bytes / _BYTES_A_TOKEN),
        output_tokens=sum(request.output_tokens for request in requests),
    )


def price(usage: Usage, params: OpenAIJudge) -> float:
    """What it costs."""
    return (usage.input_tokens * params.input_price + usage.output_tokens * params.output_price) / _MILLION


def require_within(name: str, requests: Sequence[Request[Any]], params: OpenAIJudge) -> float:
    """What a run is expected to cost.

    Raises
    ------
    LimitError
        More than one of the judge's limits allows.
    """
    usage = expected_usage(requests)
    cost = price(usage, params)
    if usage.calls > params.max_calls:
        raise LimitError(
            f"judges.{name}: {usage.calls:,} calls are needed, but max_calls is {params.max_calls:,}; "
            "raise it in params.yaml, or judge less."
        )
    if cost > params.max_cost:
        raise LimitError(
            f"judges.{name}: {usage.calls:,} calls may cost {cost:,.2f}, but max_cost is "
            f"{params.max_cost:,.2f}; raise it in params.yaml, or judge less."
        )
    return cost


class Budget:
    """What is left of a run's limits, while answers arrive and some calls are made again.

    Calls in flight are not counted as paid: a run may cost more than `max_cost` by as many as `concurrency`.
    """

    def __init__(self, name: str, params: OpenAIJudge) -> None:
        self._name = name
        self._params = params
        self._lock = threading.Lock()
        self._calls = 0
        self._cost = 0.0

    def call(self) -> None:
        """Count a call that is about to be made.

        Raises
        ------
        LimitError
            A limit is reached.
        """
        with self._lock:
            reached = (
                "max_calls"
                if self._calls >= self._params.max_calls
                else "max_cost"
                if self._cost > self._params.max_cost
                else None
            )
            if reached:
                raise LimitError(
                    f"judges.{self._name}: {reached} is reached after {self._calls:,} calls for "
                    f"{self._cost:,.2f}; what was answered is kept, so raise it in params.yaml and run "
                    "again to go on."
                )
            self._calls += 1

    def spend(self, request: Request[Any], usage: Usage | None) -> None:
        """Count what a call has cost; what it was expected to where the service does not say."""
        with self._lock:
            self._cost += price(expected_usage([request]) if usage is None else usage, self._params)
