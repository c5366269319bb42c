"""From records to tokens, and from hidden states to a loss of the answers alone."""

import logging
from typing import Any, Dict, Iterable, List, Optional

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


def encode_record(record: Record, tokenizer: Any, system_prompt: str) -> Encoded:
    """Encode a record.

    record (Record): The record.
    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    system_prompt (str): The instruction.
    RETURNS (Encoded): Its tokens.
    """
    prompt = render_prompt(tokenizer, record["input"], record["types"], system_prompt=system_prompt)
    prompt_ids = encode_prompt(tokenizer, prompt)
    answer_ids = encode_answer(tokenizer, write_answer(record["output"].items()))
    length = len(prompt_ids) + len(answer_ids)
    return {"prompt_ids": prompt_ids, "answer_ids": answer_ids, "length": length}


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
        example = encode_record(record, tokenizer, system_prompt)
        if example["length"] <= max_length:
            encoded.append(example)
        else:
            left_out += 1
    if left_out:
        total = left_out + len(encoded)
        logger.warning(
            Warnings.W006.format(count=left_out, total=total, path=source, max_length=max_length)
        )
    return encoded


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
        labels (torch.Tensor): Of shape (batch, tokens), `IGNORED` outside of answers.
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
