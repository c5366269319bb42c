"""The backend on this machine: a small language model with a LoRA or DoRA adapter merged in."""

from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

import torch

from ..entity_map import Prompt, Types, render_prompt
from .adapters import read_info
from .calibration import example_tokens
from .checkpoints import resolve_base
from .confidence import Confidence, Confidences, read_confidences
from .constraint import Constraint, grammar_tokenizer
from .copying import CopyingDecoder, Task
from .drafts import Drafter
from .encoding import encode_prefix, encode_rest, load_tokenizer
from .merging import choose_precision, load_network
from .network import Network
from .protocol import Answer
from .type_choice import TypePosition, TypeTries
from .types_seen import TypeMemory
from .writing import Writing

_NO_CONFIDENCES = Confidences()


class LocalGenerator:
    """Generates on this machine. Implements `protocol.Generator`."""

    def __init__(
        self,
        network: Network,
        tokenizer: Any,
        system_prompt: str,
        confidences: Confidences = _NO_CONFIDENCES,
    ) -> None:
        """network (Network): The model, its adapter merged.
        tokenizer (PreTrainedTokenizerBase): Its tokenizer.
        system_prompt (str): The instruction that the adapter was trained with.
        confidences (Confidences): What turns its probabilities into confidences.
        """
        self._confidences = confidences
        self._tokenizer = tokenizer
        self._system_prompt = system_prompt
        self._decoder = CopyingDecoder(network)
        self._memory = TypeMemory()
        self._tries: Dict[Sequence[str], TypeTries] = {}
        self.context_length = network.shape.context_length

    @classmethod
    def load(
        cls, base: str, adapter: Path, device: str, dtype: str, quantize: str = "auto"
    ) -> "LocalGenerator":
        """Load a base model with an adapter merged into it.

        base (str): "smollm2-135m", a folder or a Hub id.
        adapter (Path): The adapter's folder.
        device (str): "auto" for the GPU if there is one, or a device of torch.
        dtype (str): "auto" for bfloat16 on a GPU that has it and float32 elsewhere, or a dtype of
            torch by name.
        quantize (str): "int8", "int4" or "none" for the matrices; "auto" for "int8" on the CPU if
            dtype is "auto" too.
        RETURNS (LocalGenerator): The generator.
        RAISES (OSError): If base or adapter cannot be had.
        RAISES (ValueError): If the adapter is of another base or format, or the base of a family
            that cannot be run.
        """
        found = resolve_base(base)
        info = read_info(adapter, found)
        tokenizer = load_tokenizer(found.path)
        precision = choose_precision(device, dtype, quantize)
        examples = example_tokens(tokenizer, info.system_prompt)
        network = load_network(found, adapter, precision, examples)
        return cls(network, tokenizer, info.system_prompt, read_confidences(info.extra))

    def render(self, text: str, types: Optional[Types]) -> Prompt:
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

    def confidence(self, types: Optional[Types]) -> Confidence:
        """As `protocol.Generator.confidence`."""
        return self._confidences.of(types)

    def generate(
        self,
        prompts: Sequence[Prompt],
        types: Optional[Types],
        *,
        max_new_tokens: int,
        batch_tokens: int,
        constrain: bool = False,
    ) -> List[Answer]:
        """As `protocol.Generator.generate`."""
        if not prompts:
            return []
        tasks = [
            Task(
                self._begin(prompt.text, types, max_new_tokens, constrain),
                encode_rest(self._tokenizer, prompt),
            )
            for prompt in prompts
        ]
        forbidden = self._tries_of(types).forbidden if types and not constrain else ()
        with torch.inference_mode():
            self._decoder.write(
                tasks,
                # The same for all: it comes from instruction and types.
                encode_prefix(self._tokenizer, prompts[0]),
                forbidden=sorted(forbidden),
                batch_tokens=batch_tokens,
            )
        return [task.writing.answer() for task in tasks]

    def _begin(
        self,
        text: str,
        types: Optional[Types],
        max_new_tokens: int,
        constrain: bool = False,
    ) -> Writing:
        names = None if types is None else list(types)
        drafter = Drafter(self._tokenizer, text, names, self._memory)
        position: Union[TypePosition, Constraint, None] = None
        if constrain:
            position = Constraint(self._grammar_tokenizer, text, names)
        elif types is not None:
            position = TypePosition(self._tries_of(types))
        return Writing(self._tokenizer, text, drafter, position, max_new_tokens)

    @cached_property
    def _grammar_tokenizer(self) -> Any:
        return grammar_tokenizer(self._tokenizer)

    def _tries_of(self, types: Types) -> TypeTries:
        key = tuple(types)
        if key not in self._tries:
            self._tries[key] = TypeTries(self._tokenizer, key)
        return self._tries[key]
