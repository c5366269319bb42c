"""Flags for tests that need more than a CPU, and a tiny model that is built offline."""

from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

import hypothesis
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

import spacy_nerllm.component  # noqa: F401 (registers the factory where nothing is installed)
from spacy_nerllm.entity_map import Prompt, render_prompt
from spacy_nerllm.generation.confidence import Confidence
from spacy_nerllm.generation.protocol import Answer

hypothesis.settings.register_profile("project", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("project")

FLAGS = {
    "slow": "takes minutes; run with --slow",
    "gpu": "needs a GPU; run with --gpu",
    "external": "needs a network beyond the package index; run with --external",
}

# The same shape as that of Qwen3: without thinking, the answer starts behind an empty thought.
CHAT_TEMPLATE = """
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\n\n</think>\n\n' }}
{%- endif %}
{%- endif %}
""".strip()

SPECIAL_TOKENS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]

# What the tokenizer's merges are learned from.
SENTENCES = [
    "List the entities of the text as JSON.",
    "Marie Curie was born in Warsaw and worked in Paris.",
    "Acme Ltd. opened an office in Berlin in 2019, says Jane Doe.",
    'Text:\nTypes: person; place; date; organisation\n{"Marie Curie": "person"}',
    '{"Warsaw": "place", "Paris": "place", "Acme Ltd.": "organisation", "2019": "date"}',
    '{"a (b)": "c++", "x": "#tag", "y": "(x)", "z":"no space", "w" : "w"}',
]

CURIE = "Marie Curie was born in Warsaw. Marie Curie died in France."
CURIE_ANSWER = '{"Marie Curie": "person", "Warsaw": "place", "France": "place"}'

BANK = "The Bank of England is in London."
BANK_ANSWER = '{"Bank of England": "organisation", "England": "place", "London": "place"}'


def pytest_addoption(parser: pytest.Parser) -> None:
    for flag, reason in FLAGS.items():
        parser.addoption(f"--{flag}", action="store_true", help=f"also run what {reason}")


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    for item in items:
        for flag, reason in FLAGS.items():
            if flag in item.keywords and not config.getoption(f"--{flag}"):
                item.add_marker(pytest.mark.skip(reason=reason))


def train_tokenizer(texts: Iterable[str], vocab_size: int, special_tokens: List[str]) -> Any:
    """Train a byte-level BPE tokenizer, as most base models have."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


class Pen:
    """Writes an answer token by token, and shows each to the position that follows it."""

    def __init__(self, tokenizer: Any, position: Any) -> None:
        from tokenizers.decoders import DecodeStream

        self._backend = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._position = position

    def write(self, token: int) -> None:
        self._position.add(token, self._stream.step(self._backend, token) or "")


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """A byte-level BPE tokenizer with a chat template."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer(SENTENCES * 3, 400, SPECIAL_TOKENS),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>"],
        chat_template=CHAT_TEMPLATE,
    )


def save_tiny_base(folder: Path, tokenizer: Any, seed: int) -> Path:
    """Save a random model and its tokenizer, as a checkpoint."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        # Large enough for answers that differ from text to text.
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Path:
    """Folder with a random model of two layers and its tokenizer."""
    return save_tiny_base(tmp_path_factory.mktemp("tiny") / "tiny-base", tiny_tokenizer, seed=0)


@pytest.fixture(scope="session")
def other_base(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Path:
    """Folder with a model of the same shape and other weights."""
    return save_tiny_base(tmp_path_factory.mktemp("other") / "other-base", tiny_tokenizer, seed=1)


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """Folder with a random DoRA adapter for the tiny base."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from spacy_nerllm.generation.adapters import AdapterInfo, write_info
    from spacy_nerllm.generation.checkpoints import weights_sha256

    folder = tmp_path_factory.mktemp("adapter") / "tiny-adapter"
    torch.manual_seed(2)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        use_dora=True,
        # Random, where peft would start with an update of zero.
        init_lora_weights=False,
        target_modules=["q_proj", "v_proj", "up_proj"],
    )
    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    get_peft_model(base, config).save_pretrained(folder)
    info = AdapterInfo(base_id="tiny-base", base_sha256=weights_sha256(tiny_base), method="dora")
    write_info(folder, info)
    return folder


class Scripted(NamedTuple):
    """An answer that is known beforehand.

    text (str): The answer.
    logprob (float): Log-probability of each of its characters.
    complete (bool): Whether the model ended it.
    """

    text: str
    logprob: float = 0.0
    complete: bool = True


class ScriptedGenerator:
    """Answers texts as told, one token for each character. Implements `protocol.Generator`."""

    def __init__(
        self,
        tokenizer: Any,
        answers: Dict[str, Union[str, Scripted]],
        *,
        failing: Iterable[str] = (),
        context_length: int = 2048,
    ) -> None:
        """tokenizer (PreTrainedTokenizerBase): Renders prompts and finds tokens.
        answers (Dict[str, Union[str, Scripted]]): Text to answer. Other texts have no entities.
        failing (Iterable[str]): Texts that raise a RuntimeError.
        context_length (int): The most tokens of prompt and answer together.
        """
        self.context_length = context_length
        self.prompts: List[Prompt] = []
        self.types: Optional[Sequence[str]] = None
        self._tokenizer = tokenizer
        self._answers = answers
        self._failing = set(failing)

    def render(self, text: str, types: Optional[Sequence[str]]) -> Prompt:
        return render_prompt(self._tokenizer, text, types)

    def token_starts(self, text: str) -> List[int]:
        encoded = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        return [start for start, _ in encoded["offset_mapping"]]

    def confidence(self, types: Optional[Sequence[str]]) -> Confidence:
        return Confidence()

    def generate(
        self,
        prompts: Sequence[Prompt],
        types: Optional[Sequence[str]],
        *,
        max_new_tokens: int,
        batch_tokens: int,
        constrain: bool = False,
    ) -> List[Answer]:
        self.types = types
        for prompt in prompts:
            if prompt.text in self._failing:
                raise RuntimeError(f"scripted failure of {prompt.text!r}")
        self.prompts.extend(prompts)
        return [self._answer(prompt.text) for prompt in prompts]

    def _answer(self, text: str) -> Answer:
        known = self._answers.get(text, "{}")
        script = known if isinstance(known, Scripted) else Scripted(known)
        length = len(script.text)
        ends = list(range(1, length + 1))
        return Answer(script.text, ends, [script.logprob] * length, script.complete)


MakePipe = Callable[..., Tuple[Language, ScriptedGenerator]]


@pytest.fixture
def make_pipe(tiny_tokenizer: Any) -> MakePipe:
    """Make a pipeline with scripted answers: (answers, config, settings of the generator)."""

    def make(
        answers: Dict[str, Any], config: Dict[str, Any] | None = None, **settings: Any
    ) -> Tuple[Language, ScriptedGenerator]:
        nlp = spacy.blank("en")
        component = nlp.add_pipe("nerllm", config=config or {})
        component._generator = ScriptedGenerator(tiny_tokenizer, answers, **settings)
        return nlp, component._generator

    return make


@pytest.fixture
def tiny_nlp(tiny_base: Path, tiny_adapter: Path) -> Language:
    """A pipeline with the tiny model."""
    nlp = spacy.blank("en")
    config = {
        "base": str(tiny_base),
        "adapter": str(tiny_adapter),
        "device": "cpu",
        "max_new_tokens": 20,
        "labels": ["person", "place"],
        "save_io": True,
    }
    nlp.add_pipe("nerllm", config=config)
    return nlp


def ents_of(doc: Doc) -> List[Tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def spans_of(doc: Doc, key: str = "nerllm") -> List[Tuple[str, str]]:
    return [(span.text, span.label_) for span in doc.spans[key]]
