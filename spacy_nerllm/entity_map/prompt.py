"""Render a text and, where they are given, its types as the prompt of a chat model."""

from importlib.resources import files
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Union

from ..errors import Errors

# Counts changes of the prompt or of the map: each of them means training again.
FORMAT_VERSION = 1

SYSTEM_PROMPT = files(__package__).joinpath("system_prompt.txt").read_text("utf8").strip()

# Types to choose from: their names, or name to a description, which may be empty.
Types = Union[Sequence[str], Mapping[str, str]]

# Stands for the text while the template is rendered. It is taken from a private
# use area, and the text comes last, so the last one found is ours.
_TEXT_SLOT = "\ue000TEXT\ue000"

# For base models that ship no chat template of their own.
_PLAIN_TEMPLATE = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"


class ChatTokenizer(Protocol):
    """What a prompt needs of a tokenizer: transformers' own has it."""

    chat_template: Any
    all_special_tokens: List[str]

    def apply_chat_template(self, conversation: List[Dict[str, str]], **kwargs: Any) -> Any: ...


class Prompt(NamedTuple):
    """A rendered prompt in three pieces.

    prefix (str): All before the text: the same for every text with the same types,
        so that its keys and values can be computed once.
    text (str): The text itself, to be encoded without special tokens.
    suffix (str): The template's end of the user's turn and start of the answer.
    """

    prefix: str
    text: str
    suffix: str


def check_types(types: Types) -> None:
    """Make sure that types can stand in a prompt and in an answer.

    types (Types): The types.
    RAISES (ValueError): If there is none, or if one is not a string, is blank, repeats
        another, or holds a semicolon or a line break, which separate types in the prompt; or if a
        description is not a string or holds one of these.
    """
    if not types or isinstance(types, str):
        raise ValueError(Errors.E001.format(types=types))
    for name in types:
        if not isinstance(name, str) or not name.strip() or name != name.strip():
            raise ValueError(Errors.E002.format(name=name))
        if ";" in name or len(name.splitlines()) != 1:
            raise ValueError(Errors.E003.format(name=name))
    if len(set(types)) != len(types):
        raise ValueError(Errors.E004.format(types=list(types)))
    for name, text in types.items() if isinstance(types, Mapping) else ():
        if not isinstance(text, str) or ";" in text or len(text.splitlines()) > 1:
            raise ValueError(Errors.E007.format(name=name, description=text))


def render_prompt(
    tokenizer: ChatTokenizer,
    text: str,
    types: Optional[Types] = None,
    *,
    system_prompt: str = SYSTEM_PROMPT,
) -> Prompt:
    """Render instruction, then types, then the text last.

    tokenizer (ChatTokenizer): Gives the chat template of the base model.
    text (str): The text to tag. It is never changed.
    types (Optional[Types]): The types to choose from, or None for open types.
    system_prompt (str): The instruction.
    RETURNS (Prompt): The prompt in three pieces.
    RAISES (ValueError): If the types are unusable or hold special tokens of the base model, or if
        the template loses the user's turn.
    """
    question = "Text:\n"
    if types is not None:
        check_types(types)
        written = _written(types)
        _check_special_tokens(written, tokenizer)
        question = f"Types: {'; '.join(written)}\n{question}"
    messages = [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": question + _TEXT_SLOT},
    ]
    rendered = tokenizer.apply_chat_template(
        messages,
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,
        chat_template=tokenizer.chat_template or _PLAIN_TEMPLATE,
    )
    prefix, slot, suffix = rendered.rpartition(_TEXT_SLOT)
    if not slot:
        raise ValueError(Errors.E005.format(rendered=rendered))
    return Prompt(prefix, text, suffix)


def _written(types: Types) -> List[str]:
    if not isinstance(types, Mapping):
        return list(types)
    return [f"{name} ({text.strip()})" if text.strip() else name for name, text in types.items()]


def _check_special_tokens(types: Sequence[str], tokenizer: ChatTokenizer) -> None:
    # The prefix is encoded with its special tokens, so that a type could end the turn.
    for name in types:
        for token in tokenizer.all_special_tokens:
            if token in name:
                raise ValueError(Errors.E006.format(name=name, token=token))
