"""The backend on transformers: any causal language model, with a LoRA or DoRA adapter merged in."""

from bisect import bisect_left
from itertools import accumulate
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import torch
from peft import PeftModel
from tokenizers.decoders import DecodeStream
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from ..entity_map import Prompt, end_of_news, render_prompt
from .adapters import read_info
from .checkpoints import resolve_base
from .encoding import encode_prompt
from .protocol import Answer
from .type_choice import TypePosition, TypeTries, mask_scores


class TransformersGenerator:
    """Generates on this machine. Implements `protocol.Generator`."""

    def __init__(self, model: PreTrainedModel, tokenizer: Any, system_prompt: str) -> None:
        """model (PreTrainedModel): A causal language model, its adapter merged.
        tokenizer (PreTrainedTokenizerBase): Its tokenizer.
        system_prompt (str): The instruction that the adapter was trained with.
        """
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._system_prompt = system_prompt
        self._tries: Dict[Sequence[str], TypeTries] = {}
        self.context_length: int = model.config.max_position_embeddings
        # Replaces the model's own defaults, which may sample.
        self._model.generation_config = GenerationConfig(
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        )

    @classmethod
    def load(cls, base: str, adapter: Path, device: str, dtype: str) -> "TransformersGenerator":
        """Load a base model and merge an adapter into it.

        base (str): "smollm2-135m", a folder or a Hub id.
        adapter (Path): The adapter's folder.
        device (str): "auto" for the GPU if there is one, or a device of torch.
        dtype (str): "auto" for bfloat16 on a GPU that has it and float32 elsewhere, or a dtype of
            torch by name.
        RETURNS (TransformersGenerator): The generator.
        RAISES (OSError): If base or adapter cannot be had.
        RAISES (ValueError): If the adapter is of another base or format.
        """
        found = resolve_base(base)
        info = read_info(adapter, found)
        device = _choose_device(device)
        # Merged in float32, whatever it runs in: a rounded weight changes answers.
        model = AutoModelForCausalLM.from_pretrained(
            found.path, dtype=torch.float32, use_safetensors=True
        )
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        model = model.to(device=device, dtype=_choose_dtype(dtype, device))
        return cls(model, AutoTokenizer.from_pretrained(found.path), info.system_prompt)

    def render(self, text: str, types: Optional[Sequence[str]]) -> Prompt:
        """As `protocol.Generator.render`."""
        return render_prompt(self._tokenizer, text, types, system_prompt=self._system_prompt)

    def token_starts(self, text: str) -> List[int]:
        """As `protocol.Generator.token_starts`."""
        encoded = self._tokenizer(
            text,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
        )
        return [start for start, _ in encoded["offset_mapping"]]

    def generate(
        self,
        prompts: Sequence[Prompt],
        types: Optional[Sequence[str]],
        *,
        max_new_tokens: int,
        batch_tokens: int,
    ) -> List[Answer]:
        """As `protocol.Generator.generate`."""
        encoded = [encode_prompt(self._tokenizer, prompt) for prompt in prompts]
        answers: Dict[int, Answer] = {}
        for indices in _batches(encoded, batch_tokens):
            batch = [encoded[index] for index in indices]
            generated = self._generate_batch(batch, types, max_new_tokens)
            answers.update(zip(indices, generated, strict=True))
        return [answers[index] for index in range(len(prompts))]

    def _generate_batch(
        self, batch: List[List[int]], types: Optional[Sequence[str]], max_new_tokens: int
    ) -> List[Answer]:
        width = max(map(len, batch))
        pad = self._tokenizer.eos_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in batch])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch])
        recorder = _LogprobRecorder()
        processors = LogitsProcessorList([recorder])
        writer = _Writer(self._tokenizer, len(batch))
        if types is not None:
            processors.insert(0, _TypeChoice(self._tries_of(types), writer))
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=mask.to(self._model.device),
                max_new_tokens=max_new_tokens,
                logits_processor=processors,
                stopping_criteria=StoppingCriteriaList([writer]),
            )
        rows = zip(output[:, width:].tolist(), writer.pieces, recorder.by_row(), strict=True)
        return [self._make_answer(*row) for row in rows]

    def _tries_of(self, types: Sequence[str]) -> TypeTries:
        key = tuple(types)
        if key not in self._tries:
            self._tries[key] = TypeTries(self._tokenizer, key)
        return self._tries[key]

    def _make_answer(self, tokens: List[int], pieces: List[str], logprobs: List[float]) -> Answer:
        complete = self._tokenizer.eos_token_id in tokens
        length = tokens.index(self._tokenizer.eos_token_id) if complete else len(tokens)
        text = "".join(pieces[:length])
        ends = list(accumulate(map(len, pieces[:length])))
        end = end_of_news(text)
        if end is None:
            return Answer(text, ends, logprobs[:length], complete)
        kept = bisect_left(ends, end) + 1
        return Answer(text[:end] + "}", ends[:kept], logprobs[:kept], complete=True, looped=True)


class _LogprobRecorder(LogitsProcessor):
    """Keeps the log-probability of the likeliest token, which greedy decoding takes.

    Keeping the scores of the whole vocabulary instead would take a gigabyte for a long batch.
    """

    def __init__(self) -> None:
        self._steps: List[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.float()
        self._steps.append(scores.amax(-1) - scores.logsumexp(-1))
        return scores

    def by_row(self) -> List[List[float]]:
        return torch.stack(self._steps, dim=1).tolist()


class _Writer(StoppingCriteria):
    """Decodes answers while they grow, and ends those that only repeat themselves, which would go
    on to the limit on new tokens.

    pieces (List[List[str]]): For each answer, what each of its tokens wrote.
    """

    def __init__(self, tokenizer: Any, answers: int) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._streams = [DecodeStream(skip_special_tokens=True) for _ in range(answers)]
        self.pieces: List[List[str]] = [[] for _ in range(answers)]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        ended = [self._add(row, token) for row, token in enumerate(input_ids[:, -1].tolist())]
        return torch.tensor(ended, device=input_ids.device)

    def _add(self, row: int, token: int) -> bool:
        piece = self._streams[row].step(self._backend, token) or ""
        self.pieces[row].append(piece)
        # A pair is complete with a quote.
        return '"' in piece and end_of_news("".join(self.pieces[row])) is not None


class _TypeChoice(LogitsProcessor):
    """Masks all but the given types where an answer has a type."""

    def __init__(self, tries: TypeTries, writer: _Writer) -> None:
        self._tries = tries
        self._writer = writer
        self._rows = [TypePosition(tries) for _ in writer.pieces]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for row, position in enumerate(self._rows):
            if self._writer.pieces[row]:
                position.add(int(input_ids[row, -1]), self._writer.pieces[row][-1])
        return mask_scores(self._rows, self._tries, scores.float())


def _batches(encoded: Sequence[List[int]], batch_tokens: int) -> Iterator[List[int]]:
    """Group prompts of similar length, the longest first, so that little is padding."""
    indices: List[int] = []
    for index in sorted(range(len(encoded)), key=lambda index: -len(encoded[index])):
        if indices and len(encoded[indices[0]]) * (len(indices) + 1) > batch_tokens:
            yield indices
            indices = []
        indices.append(index)
    if indices:
        yield indices


def _choose_device(device: str) -> str:
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _choose_dtype(dtype: str, device: str) -> torch.dtype:
    if dtype != "auto":
        return getattr(torch, dtype)
    on_gpu = torch.device(device).type == "cuda"
    return torch.bfloat16 if on_gpu and torch.cuda.is_bf16_supported() else torch.float32
