"""Verdicts are there to be seen while others are still on their way."""

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from pipeline.judging import publishing
from pipeline.judging.cases import Case
from pipeline.judging.journal import Usage
from store.base.errors import UserError
from store.documents.verdicts import TokenVerdict, Verdict, read_verdicts


class Slow:
    """A judge that looks at what is published between two verdicts, and fails before the last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[int] = []
        self.closed = False

    def prepare(self, cases: Sequence[Case]) -> None:
        """Nothing."""

    def verdicts(self) -> Generator[Verdict]:
        try:
            for number in range(4):
                self.seen.append(len(read_verdicts(self.folder).get("slow", {})))
                if number == 3:
                    raise UserError("No more.")
                token = TokenVerdict(token=number, label="evil", reason="It is.")
                yield Verdict(prompt_hash=f"{number:012x}", status="judged", tokens=(token,), fit=number > 0)
        finally:
            self.closed = True

    def usage(self) -> Usage:
        return Usage(calls=4, input_tokens=5, output_tokens=6)

    def cost(self) -> float:
        return 0.12346


@pytest.mark.parametrize(("every", "seen"), [(-1.0, [0, 1, 2, 3]), (1000.0, [0, 0, 0, 0])])
def test_they_are_written_from_time_to_time_and_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float, seen: list[int]
) -> None:
    monkeypatch.setattr(publishing, "EVERY", every)
    judge = Slow(tmp_path)
    with pytest.raises(UserError, match="No more"):
        publishing.publish(tmp_path, "slow", judge)
    assert judge.seen == seen
    assert len(read_verdicts(tmp_path)["slow"]) == 3


def test_who_cannot_write_closes_the_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "EVERY", -1.0)
    judge = Slow(tmp_path)
    (tmp_path / "verdicts").write_text("a file where a folder should be")
    with pytest.raises(OSError):  # noqa: PT011  # which one is the system's to say
        publishing.publish(tmp_path, "slow", judge)
    assert judge.closed


def test_metrics_count_prompts_labels_and_what_was_paid(tmp_path: Path) -> None:
    found = [
        Verdict(prompt_hash="a" * 12, status="refused"),
        Verdict(
            prompt_hash="b" * 12,
            status="judged",
            tokens=tuple(TokenVerdict(token=n, label="safe", reason="") for n in range(3)),
            fit=False,
            rule="settled",
        ),
    ]
    assert publishing.summary(found, Slow(tmp_path)) == {
        "prompts": 2, "judged": 1, "refused": 1, "malformed": 0, "unreachable": 0, "unfit": 1,
        "labels": {"evil": 0, "safe": 3, "unsure": 0},
        "calls": 4, "input_tokens": 5, "output_tokens": 6, "cost": 0.1235,
    }  # fmt: skip
