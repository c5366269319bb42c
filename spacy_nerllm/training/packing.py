"""Records one behind the other in one row, with nothing between: no token of a batch is padding.

Positions start again with each record, which is how transformers knows that a row is packed:
FlashAttention then takes its variable-length path and SDPA a block-diagonal mask. On a CPU a mask
would not save the work that it hides, so there each record attends for itself.
"""

import random
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from .examples import IGNORED, Encoded

# The name of `attend_within_records` among transformers' implementations of attention.
BY_RECORD = "nerllm_by_record"

# So many packs are open at once: a record goes into the first that has room.
_OPEN = 64


def pack(encoded: Sequence[Encoded], tokens: int, seed: int) -> List[Dict[str, Any]]:
    """Pack examples, in a random order, so that each pack costs about the same to train on.

    encoded (Sequence[Encoded]): From `encode_records`.
    tokens (int): The most tokens of a pack; or 0 to leave every example in a pack of its own. An
        example that is longer is a pack alone.
    seed (int): Of the order.
    RETURNS (List[Dict[str, Any]]): Packs as {"examples": [...], "length": tokens}.
    """
    shuffled = list(encoded)
    rng = random.Random(seed)
    rng.shuffle(shuffled)
    packs: List[Dict[str, Any]] = []
    for example in shuffled:
        room = (one for one in packs[-_OPEN:] if one["length"] + example["length"] <= tokens)
        chosen = next(room, None)
        if chosen is None:
            packs.append({"examples": [example], "length": example["length"]})
        else:
            chosen["examples"].append(example)
            chosen["length"] += example["length"]
    rng.shuffle(packs)
    return packs


class PackingCollator:
    """Make one row of all the examples of a batch."""

    def __call__(self, packs: List[Dict[str, Any]]) -> Dict[str, Any]:
        """Make one batch.

        packs (List[Dict[str, Any]]): From `pack`.
        RETURNS (Dict[str, Any]): "input_ids", "position_ids" and "labels" of shape (1, tokens),
            where the labels are the answers' tokens; and what makes the model return hidden states,
            and next to no logits.
        """
        examples = [example for pack in packs for example in pack["examples"]]
        ids: List[int] = []
        labels: List[int] = []
        positions: List[int] = []
        for example in examples:
            ids += [*example["prompt_ids"], *example["answer_ids"]]
            labels += [IGNORED] * len(example["prompt_ids"]) + example["answer_ids"]
            positions += range(len(ids) - len(positions))
        return {
            "input_ids": torch.tensor([ids]),
            "position_ids": torch.tensor([positions]),
            "labels": torch.tensor([labels]),
            # With a cache transformers would not see that the row is packed.
            "use_cache": False,
            "output_hidden_states": True,
            "logits_to_keep": 1,
        }


def attend_within_records(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Optional[torch.Tensor],
    *,
    position_ids: torch.Tensor,
    scaling: Optional[float] = None,
    **kwargs: Any,
) -> Tuple[torch.Tensor, None]:
    """Causal attention of each record of a packed row, for transformers' AttentionInterface.

    module (torch.nn.Module): Unused.
    query (torch.Tensor): Of shape (1, heads, tokens, width).
    key (torch.Tensor): Of shape (1, key heads, tokens, width).
    value (torch.Tensor): As `key`.
    attention_mask (Optional[torch.Tensor]): Unused.
    position_ids (torch.Tensor): Of shape (1, tokens); a record starts where it is 0.
    scaling (Optional[float]): Of the products.
    RETURNS (Tuple[torch.Tensor, None]): Of shape (1, tokens, heads, width); and no weights.
    """
    starts = (position_ids[0] == 0).nonzero()[:, 0].tolist()
    lengths = [
        end - start for start, end in zip(starts, [*starts[1:], position_ids.shape[1]], strict=True)
    ]
    attended = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=True)
        for q, k, v in zip(
            query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True
        )
    ]
    return torch.cat(attended, 2).transpose(1, 2).contiguous(), None


AttentionInterface.register(BY_RECORD, attend_within_records)
