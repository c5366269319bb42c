"""What a model's matrices read: a few large values make rounding all others to 8 bits coarse."""

from importlib.resources import files
from typing import Any, Callable, Iterable, Iterator, List, Sequence

import srsly
import torch

from ..entity_map import render_prompt, write_answer
from .encoding import encode_answer, encode_prompt
from .weights import Weights

_EXAMPLES = files(__package__).joinpath("calibration.jsonl")


def example_tokens(tokenizer: Any, system_prompt: str) -> Iterator[List[int]]:
    """Encode some prompts with their answers, as a model sees them when it tags.

    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    system_prompt (str): The instruction that the adapter was trained with.
    YIELDS (List[int]): Token ids.
    """
    for line in _EXAMPLES.read_text("utf8").splitlines():
        example = srsly.json_loads(line)
        prompt = render_prompt(
            tokenizer, example["text"], example["types"], system_prompt=system_prompt
        )
        answer = write_answer(example["entities"].items())
        yield encode_prompt(tokenizer, prompt) + encode_answer(tokenizer, answer)


def measure_peaks(model: Any, examples: Iterable[List[int]]) -> Weights:
    """Measure the largest absolute value of each feature that a matrix reads.

    model (PreTrainedModel): The model, in float32.
    examples (Iterable[List[int]]): Token ids to run.
    RETURNS (Weights): By the matrix's name in `weights.fuse_weights`, such as "3.down", of shape
        (in). Those that read heads are left out.
    """
    peaks: Weights = {}

    def watch(name: str, states: torch.Tensor) -> None:
        peak = states.abs().amax(0)
        peaks[name] = torch.maximum(peaks[name], peak) if name in peaks else peak

    _run(model, examples, ("qkv", "gate_up", "down"), watch)
    return peaks


def measure_moments(model: Any, examples: Iterable[List[int]]) -> Weights:
    """Measure how the features that a matrix reads go together.

    model (PreTrainedModel): The model, in float32.
    examples (Iterable[List[int]]): Token ids to run.
    RETURNS (Weights): By the matrix's name in `weights.fuse_weights`, the sum of the outer products
        of all states, of shape (in, in).
    """
    moments: Weights = {}

    def watch(name: str, states: torch.Tensor) -> None:
        moment = states.T @ states
        moments[name] = moments[name].add_(moment) if name in moments else moment

    _run(model, examples, ("qkv", "attention_out", "gate_up", "down"), watch)
    return moments


def _run(
    model: Any,
    examples: Iterable[List[int]],
    names: Sequence[str],
    watch: Callable[[str, torch.Tensor], None],
) -> None:
    """Run examples, and show the states of each that matrices of these names read."""

    def hook(name: str) -> Callable[..., None]:
        return lambda module, inputs: watch(name, inputs[0].flatten(0, -2))

    hooks = []
    for number, layer in enumerate(model.get_decoder().layers):
        modules = {
            "qkv": layer.self_attn.q_proj,
            "attention_out": layer.self_attn.o_proj,
            "gate_up": layer.mlp.gate_proj,
            "down": layer.mlp.down_proj,
        }
        for name in names:
            hooks.append(modules[name].register_forward_pre_hook(hook(f"{number}.{name}")))
    with torch.inference_mode():
        for tokens in examples:
            model.get_decoder()(input_ids=torch.tensor([tokens]), use_cache=False)
    for handle in hooks:
        handle.remove()
