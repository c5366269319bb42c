"""The backend on transformers: any causal language model, with a LoRA or DoRA adapter merged in."""

from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from ..entity_map import Prompt, render_prompt
from .adapters import read_info
from .checkpoints import resolve_base
from .copying import CopyingDecoder
from .drafts import Drafter, TypeMemory
from .encoding import encode_prompt
from .protocol import Answer
from .type_choice import TypeTries
from .writing import Writing


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
        self._decoder = CopyingDecoder(self._model)
        self._memory = TypeMemory()
        self._tries: Dict[Sequence[str], TypeTries] = {}
        self.context_length: int = model.config.max_position_embeddings

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
            begun = [self._begin(prompts[index].text, types, max_new_tokens) for index in indices]
            with torch.inference_mode():
                self._decoder.write(begun, [encoded[index] for index in indices])
            answers.update((i, writing.answer()) for i, writing in zip(indices, begun, strict=True))
        return [answers[index] for index in range(len(prompts))]

    def _begin(self, text: str, types: Optional[Sequence[str]], max_new_tokens: int) -> Writing:
        tries = None if types is None else self._tries_of(types)
        drafter = Drafter(self._tokenizer, text, types, self._memory)
        return Writing(self._tokenizer, drafter, tries, max_new_tokens)

    def _tries_of(self, types: Sequence[str]) -> TypeTries:
        key = tuple(types)
        if key not in self._tries:
            self._tries[key] = TypeTries(self._tokenizer, key)
        return self._tries[key]


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
