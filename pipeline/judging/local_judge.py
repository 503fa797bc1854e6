"""A chat model in a folder: the same conversations, the same reading of what it says, decoded greedily."""

from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.judging.asking import Keep, Messages, Request, Wanted
from pipeline.judging.journal import Record, Usage
from pipeline.judging.reading import MalformedAnswerError
from pipeline.judging.replies import TOP, Likely, Reply
from pipeline.params.judges import LocalJudge
from pipeline.params.runtime import RuntimeParams
from store.base.errors import UserError
from store.base.hashing import folder_digest
from store.base.parsing import one_line
from store.documents.manifest import Source

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


_LARGEST: Final = "100"
"""The longest number that is asked for; a tokenizer that has it as one token has the others so, too."""


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
    runtime
        Seed and threads.
    """

    def __init__(self, name: str, params: LocalJudge, runtime: RuntimeParams) -> None:
        self._name = name
        self._params = params
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

    @cached_property
    def _tokenizer(self) -> "PreTrainedTokenizerBase":
        from pipeline.models.tokenizer import read_tokenizer

        return read_tokenizer(self._source)

    def body(self, said: Messages, wanted: Wanted) -> dict[str, Any]:
        """The conversation, and what else decides how it goes on; the model by its content."""
        one = wanted == "token"
        how: dict[str, Any] = (
            {"top_logprobs": TOP} if one else self._params.model_dump(include={"max_new_tokens"})
        )
        body = {"model": self._source.fingerprint, "messages": said, "dtype": self._params.dtype, **how}
        return body | ({"chat": self._params.chat} if self._params.chat else {})

    def ways(self) -> Sequence[Wanted]:
        """By one token, if its tokenizer does not split numbers."""
        *_, last = self._tokenizer(_LARGEST, add_special_tokens=False)["input_ids"]
        return ("token",) if self._text(last).strip() == _LARGEST else ("text",)

    def require(self, requests: Sequence[Request[Any]]) -> None:
        """Tells how many answers are to be made."""
        print(f"judge {self._name}: {len(requests):,} answers of {self._params.folder}, here", flush=True)

    def ask(self, requests: Sequence[Request[Any]], keep: Keep) -> Generator[str]:
        """Answer a batch at a time. What cannot be read would be the same the next time: it is kept."""
        loaded = self._loaded
        ids = [self._ids(loaded, request) for request in requests]
        one = all("top_logprobs" in request.body for request in requests)
        for start in range(0, len(requests), self._params.batch):
            part = slice(start, start + self._params.batch)
            for request, reply in zip(requests[part], self._replies(loaded, ids[part], one), strict=True):
                keep(self._record(request, reply))
                yield request.key

    def price(self, usage: Usage) -> float:
        """Nothing is paid."""
        return 0.0

    @cached_property
    def _loaded(self) -> _Loaded:
        from transformers import AutoModelForCausalLM

        from pipeline.models.loading import DTYPES, default_device
        from pipeline.run.determinism import make_deterministic

        make_deterministic(self._runtime.seed, self._runtime.threads)
        tokenizer = self._tokenizer
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

    def _ids(self, loaded: _Loaded, request: Request[Any]) -> tuple[int, ...]:
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
        needed = len(ids) + request.body.get("max_new_tokens", 1)
        if context is not None and needed > context:
            raise UserError(
                f"judges.{self._name}: a request needs {needed:,} tokens with its answer, but the model in "
                f"{self._source.source} reads {context:,}; lower examples or max_new_tokens, or name "
                "another model."
            )
        return ids

    def _replies(self, loaded: _Loaded, batch: Sequence[tuple[int, ...]], one: bool) -> list[Reply]:
        """What the model says to each: all of it, or one token and what it could have been instead."""
        import torch

        from pipeline.models.sampling import until_stop
        from pipeline.text.tokens import decode_after, stop_ids

        model, stops = loaded.model, stop_ids(loaded.tokenizer, loaded.model)
        longest, limit = max(map(len, batch)), 1 if one else self._params.max_new_tokens
        # Padded on the left, so that every answer begins at the same place; (request, position)
        ids = torch.tensor([[stops[0] if stops else 0] * (longest - len(row)) + list(row) for row in batch])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in batch])
        generate: Any = model.generate  # from a mixin that torch's types hide
        with torch.no_grad():
            whole = generate(
                ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=limit,
                eos_token_id=stops or None,
                pad_token_id=stops[0] if stops else 0,
                do_sample=False,
                # Which a generation_config.json may set, and greedy decoding warns of.
                temperature=None,
                top_p=None,
                top_k=None,
                return_dict_in_generate=True,
                output_logits=one,
            )
        said = [until_stop(row, stops) for row in whole.sequences[:, longest:].tolist()]
        tops = self._tops(whole.logits[0]) if one else [None] * len(batch)
        return [
            Reply(
                text=decode_after(loaded.tokenizer, asked, tokens),
                refusal=None,
                cut=len(tokens) >= limit,
                model=self._source.fingerprint,
                usage=Usage(calls=1, input_tokens=len(asked), output_tokens=len(tokens)),
                top=top,
            )
            for asked, tokens, top in zip(batch, said, tops, strict=True)
        ]

    def _tops(self, logits: "torch.Tensor") -> list[tuple[Likely, ...]]:
        """The likeliest tokens of each row, (request, vocabulary) as the model gave it, most likely first."""
        found = logits.float().log_softmax(-1).topk(min(TOP, logits.shape[-1]))
        return [
            tuple(Likely(self._text(token), value) for token, value in zip(tokens, values, strict=True))
            for tokens, values in zip(found.indices.tolist(), found.values.tolist(), strict=True)
        ]

    def _text(self, token: int) -> str:
        return str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False))

    def _record(self, request: Request[Any], reply: Reply) -> Record[Any]:
        raw = ""
        try:
            answer = request.read(reply)
        except MalformedAnswerError as error:
            cut = f"it was cut after {self._params.max_new_tokens:,} tokens; " if reply.cut else ""
            answer, raw = request.form.failed("malformed", f"{cut}{error}"), reply.text
        usage = reply.usage or Usage()
        return Record(key=request.key, answer=answer, raw=raw, model=reply.model, usage=usage)
