"""From records to batches: the loss counts the answer alone, and logits are computed only there."""

import logging
import random
from typing import Any, Dict, Iterable, List, Optional, Sequence

import torch
from torch.nn.functional import cross_entropy

from ..corpus.records import Record
from ..entity_map import render_prompt, write_answer
from ..errors import Warnings
from ..generation.encoding import encode_answer, encode_prompt

logger = logging.getLogger("spacy_nerllm")

IGNORED = -100  # What torch's cross entropy leaves out.


# A record as {"prompt_ids", "answer_ids", "length"}: its token ids, and how many they are together.
# The last id of the answer is the end of turn.
Encoded = Dict[str, Any]


def encode_records(
    records: Iterable[Record], tokenizer: Any, system_prompt: str, max_length: int, source: str
) -> List[Encoded]:
    """Encode records, leaving out those that are too long, with a warning that counts them.

    records (Iterable[Record]): The records.
    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    system_prompt (str): The instruction.
    max_length (int): The most tokens that prompt and answer may have together.
    source (str): What the warning names.
    RETURNS (List[Encoded]): The records that fit.
    """
    encoded = []
    left_out = 0
    for record in records:
        prompt = render_prompt(
            tokenizer, record["input"], record["types"], system_prompt=system_prompt
        )
        prompt_ids = encode_prompt(tokenizer, prompt)
        answer_ids = encode_answer(tokenizer, write_answer(record["output"].items()))
        length = len(prompt_ids) + len(answer_ids)
        if length <= max_length:
            encoded.append({"prompt_ids": prompt_ids, "answer_ids": answer_ids, "length": length})
        else:
            left_out += 1
    if left_out:
        total = left_out + len(encoded)
        logger.warning(
            Warnings.W006.format(count=left_out, total=total, path=source, max_length=max_length)
        )
    return encoded


def group_by_tokens(encoded: Sequence[Encoded], tokens: int, seed: int) -> List[Dict[str, Any]]:
    """Group examples of similar length, so that each group costs about the same to train on.

    A batch of a fixed number of records costs ten times more where they are long, and its memory
    with it. The groups stand in a random order.

    encoded (Sequence[Encoded]): From `encode_records`.
    tokens (int): The most tokens of a group, its padding included; or 0 to leave every example in
        a group of its own.
    seed (int): Of the order.
    RETURNS (List[Dict[str, Any]]): Groups as {"examples": [...], "length": of the longest}.
    """
    shuffled = list(encoded)
    rng = random.Random(seed)
    rng.shuffle(shuffled)
    if tokens:
        shuffled.sort(key=lambda example: example["length"])
    groups: List[List[Encoded]] = []
    for example in shuffled:
        # Sorted, so that the example at hand is the longest of its group.
        if groups and example["length"] * (len(groups[-1]) + 1) <= tokens:
            groups[-1].append(example)
        else:
            groups.append([example])
    rng.shuffle(groups)
    return [{"examples": group, "length": group[-1]["length"]} for group in groups]


class AnswerCollator:
    """Pad examples on the right, where causal attention never looks: no mask is needed."""

    def __init__(self, pad_id: int) -> None:
        """pad_id (int): The token that fills up."""
        self.pad_id = pad_id

    def __call__(self, groups: List[Dict[str, Any]]) -> Dict[str, Any]:
        """Make one batch.

        groups (List[Dict[str, Any]]): From `group_by_tokens`.
        RETURNS (Dict[str, Any]): "input_ids" and "labels" of shape (batch, tokens), where the
            labels are the answers' tokens; and what makes the model return hidden states, and
            next to no logits.
        """
        examples = [example for group in groups for example in group["examples"]]
        rows = [[*example["prompt_ids"], *example["answer_ids"]] for example in examples]
        labels = [
            [IGNORED] * len(example["prompt_ids"]) + example["answer_ids"] for example in examples
        ]
        return {
            "input_ids": _pad_right(rows, self.pad_id),
            "labels": _pad_right(labels, IGNORED),
            "output_hidden_states": True,
            "logits_to_keep": 1,
        }


def _pad_right(rows: List[List[int]], fill: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


class AnswerLoss:
    """Mean cross entropy of the answers' tokens, for the Trainer's `compute_loss_func`.

    The head is applied to the answers' positions alone: over the whole vocabulary it is a large
    part of a small model's work, and most positions belong to prompts.
    """

    def __init__(self, head: torch.nn.Module) -> None:
        """head (torch.nn.Module): From hidden states to logits. It is not trained."""
        self.head = head

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        """Compute the loss of one batch.

        outputs (CausalLMOutput): With hidden states of shape (batch, tokens, width).
        labels (torch.Tensor): Of shape (batch, tokens), see `AnswerCollator`.
        num_items_in_batch (Optional[torch.Tensor]): Answer tokens of all batches of the step.
        RETURNS (torch.Tensor): The loss, a scalar.
        """
        targets = labels[:, 1:]
        answered = targets != IGNORED
        # Under autocast the states come in float32, whatever the head is in.
        states = outputs.hidden_states[-1][:, :-1][answered].to(self.head.weight.dtype)
        logits = self.head(states).float()
        total = cross_entropy(logits, targets[answered], reduction="sum")
        return total / (answered.sum() if num_items_in_batch is None else num_items_in_batch)
