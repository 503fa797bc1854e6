"""A chat model in a folder: the same conversation and the same reading of its answer, decoded greedily."""

from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.judging.answers import Answer, MalformedAnswerError, parse_answer
from pipeline.judging.asking import Keep, Request
from pipeline.judging.cases import Case
from pipeline.judging.examples import Example, chosen
from pipeline.judging.journal import Record, Usage
from pipeline.judging.messages import messages
from pipeline.params.judges import LocalJudge
from pipeline.params.runtime import RuntimeParams
from store.base.errors import UserError
from store.base.hashing import folder_digest
from store.base.parsing import one_line
from store.documents.manifest import Source

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class _Loaded(NamedTuple):
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"


class LocalModel:
    """Answers requests in batches.

    Parameters
    ----------
    name
        Of the judge.
    params
        Of ``params.yaml``.
    examples
        Those that may go with a request.
    runtime
        Seed and threads.
    """

    def __init__(
        self, name: str, params: LocalJudge, examples: Sequence[Example], runtime: RuntimeParams
    ) -> None:
        self._name = name
        self._params = params
        self._examples = examples
        self._runtime = runtime

    @cached_property
    def _source(self) -> Source:
        folder = Path(self._params.folder)
        if not folder.is_dir():
            raise UserError(
                f"judges.{self._name}.folder: there is no folder {folder}; download the model there, or "
                "correct the path in params.yaml."
            )
        return Source(source=str(folder), revision=None, fingerprint=folder_digest(folder))

    def body(self, case: Case) -> dict[str, Any]:
        """The conversation, and what else decides how it goes on; the model by its content."""
        said = messages(case, chosen(self._examples, case, self._params.examples))
        decoding = self._params.model_dump(include={"dtype", "max_new_tokens"})
        chat = {"chat": self._params.chat} if self._params.chat else {}
        return {"model": self._source.fingerprint, "messages": said, **decoding, **chat}

    def require(self, requests: Sequence[Request]) -> None:
        """Tells how many answers are to be made."""
        print(f"judge {self._name}: {len(requests):,} answers of {self._params.folder}, here", flush=True)

    def ask(self, requests: Sequence[Request], keep: Keep) -> Generator[str]:
        """Answer a batch at a time. What cannot be read would be the same the next time: it is kept."""
        loaded = self._load()
        ids = [self._ids(loaded, request) for request in requests]
        for start in range(0, len(requests), self._params.batch):
            part = slice(start, start + self._params.batch)
            for request, asked, said in zip(
                requests[part], ids[part], self._answers(loaded, ids[part]), strict=True
            ):
                keep(self._record(loaded, request, asked, said))
                yield request.key

    def price(self, usage: Usage) -> float:
        """Nothing is paid."""
        return 0.0

    def _load(self) -> _Loaded:
        from transformers import AutoModelForCausalLM

        from pipeline.models.loading import DTYPES, default_device
        from pipeline.models.tokenizer import read_tokenizer
        from pipeline.run.determinism import make_deterministic

        make_deterministic(self._runtime.seed, self._runtime.threads)
        tokenizer = read_tokenizer(self._source)
        if not tokenizer.chat_template:
            raise UserError(
                f"judges.{self._name}: the tokenizer in {self._source.source} has no chat template; name a "
                "model that chats."
            )
        try:
            # Not `pipeline.models.loading.read_base`: that takes what can be traced, in float32.
            model = AutoModelForCausalLM.from_pretrained(
                self._source.source,
                dtype=DTYPES[self._params.dtype],
                use_safetensors=True,
                local_files_only=True,
            )
        except (OSError, ValueError) as error:
            raise UserError(
                f"judges.{self._name}: the model in {self._source.source} cannot be loaded "
                f"({one_line(error)}); its weights must be safetensors files."
            ) from error
        return _Loaded(model.eval().requires_grad_(False).to(default_device()), tokenizer)

    def _ids(self, loaded: _Loaded, request: Request) -> tuple[int, ...]:
        from pipeline.text.chats import REFUSALS, render_chat
        from pipeline.text.tokens import encode_rendered

        try:
            text = render_chat(loaded.tokenizer, request.body["messages"], self._params.chat, opened=True)
        except UserError as error:
            raise UserError(f"judges.{self._name}: {error}.") from error
        except REFUSALS as error:
            raise UserError(
                f"judges.{self._name}: the chat template in {self._source.source} refuses a conversation "
                f"({one_line(error)}); name another model."
            ) from error
        ids = encode_rendered(loaded.tokenizer, text)
        context = getattr(loaded.model.config, "max_position_embeddings", None)
        needed = len(ids) + self._params.max_new_tokens
        if context is not None and needed > context:
            raise UserError(
                f"judges.{self._name}: a request needs {needed:,} tokens with its answer, but the model in "
                f"{self._source.source} reads {context:,}; lower examples or max_new_tokens, or name "
                "another model."
            )
        return ids

    def _answers(self, loaded: _Loaded, batch: Sequence[tuple[int, ...]]) -> list[list[int]]:
        """Token ids of each answer, before its stop; one that was cut is `max_new_tokens` long."""
        import torch

        from pipeline.models.sampling import until_stop
        from pipeline.text.tokens import stop_ids

        model, stops = loaded.model, stop_ids(loaded.tokenizer, loaded.model)
        longest = max(map(len, batch))
        # Padded on the left, so that every answer begins at the same place; (request, position)
        ids = torch.tensor([[stops[0] if stops else 0] * (longest - len(row)) + list(row) for row in batch])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in batch])
        generate: Any = model.generate  # from a mixin that torch's types hide
        with torch.no_grad():
            whole = generate(
                ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=self._params.max_new_tokens,
                eos_token_id=stops or None,
                pad_token_id=stops[0] if stops else 0,
                do_sample=False,
                # Which a generation_config.json may set, and greedy decoding warns of.
                temperature=None,
                top_p=None,
                top_k=None,
            )
        return [until_stop(row, stops) for row in whole[:, longest:].tolist()]

    def _record(self, loaded: _Loaded, request: Request, asked: Sequence[int], said: Sequence[int]) -> Record:
        from pipeline.text.tokens import decode_after

        text, raw = decode_after(loaded.tokenizer, asked, said), ""
        try:
            answer = parse_answer(text, request.tokens)
        except MalformedAnswerError as error:
            cut = len(said) >= self._params.max_new_tokens
            what = f"it was cut after {len(said):,} tokens; {error}" if cut else str(error)
            answer, raw = Answer(status="malformed", detail=what), text
        usage = Usage(calls=1, input_tokens=len(asked), output_tokens=len(said))
        return Record(key=request.key, answer=answer, raw=raw, model=self._source.fingerprint, usage=usage)
