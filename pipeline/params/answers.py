"""The ``answers`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section, Size


class AnswerParams(Section):
    """How open questions are answered."""

    samples: Size | None
    max_new_tokens: Size
    temperature: float = Field(gt=0, le=1000)
    top_p: float = Field(gt=0, le=1)
    batch: Size
