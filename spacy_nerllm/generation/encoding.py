"""From prompt and answer to token ids, the same in training and tagging."""

import json
from pathlib import Path
from typing import Any, List

from ..entity_map import Prompt

# What transformers names a tokenizer that is all in its tokenizer.json.
_PLAIN = ("TokenizersBackend", "PreTrainedTokenizerFast")


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a base model.

    folder (Path): Folder of the base model.
    RETURNS (PreTrainedTokenizerBase): The tokenizer.
    RAISES (OSError): If there is none.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = folder / "tokenizer_config.json"
    if config.exists():
        kind = json.loads(config.read_text("utf8")).get("tokenizer_class")
        if kind in _PLAIN and (folder / "tokenizer.json").exists():
            # The same, without the model's config, which imports all of transformers: 100 MB.
            return PreTrainedTokenizerFast.from_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def encode_prompt(tokenizer: Any, prompt: Prompt) -> List[int]:
    """Encode a prompt.

    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    prompt (Prompt): The prompt.
    RETURNS (List[int]): Token ids.
    """
    return [*encode_prefix(tokenizer, prompt), *encode_rest(tokenizer, prompt)]


def encode_prefix(tokenizer: Any, prompt: Prompt) -> List[int]:
    """Encode what stands before the text. The pieces of a prompt are encoded one by one, so that
    this one is the same for every text.

    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    prompt (Prompt): The prompt.
    RETURNS (List[int]): Token ids.
    """
    return _encode(tokenizer, prompt.prefix)


def encode_rest(tokenizer: Any, prompt: Prompt) -> List[int]:
    """Encode the text and what follows it. The text is encoded without special tokens: one that
    holds "<|im_end|>" cannot end its turn.

    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    prompt (Prompt): The prompt.
    RETURNS (List[int]): Token ids.
    """
    return [
        *_encode(tokenizer, prompt.text, split_special_tokens=True),
        *_encode(tokenizer, prompt.suffix),
    ]


def encode_answer(tokenizer: Any, answer: str) -> List[int]:
    """Encode an answer and the token that ends it.

    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    answer (str): The answer, see `entity_map.write_answer`.
    RETURNS (List[int]): Token ids, the last one the end of turn.
    """
    return [*_encode(tokenizer, answer, split_special_tokens=True), tokenizer.eos_token_id]


def _encode(tokenizer: Any, text: str, **settings: Any) -> List[int]:
    return tokenizer(text, add_special_tokens=False, **settings)["input_ids"]
