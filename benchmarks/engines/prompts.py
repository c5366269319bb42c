"""What the engines run: the base model with an adapter merged in, and prompts as token ids."""

from pathlib import Path
from typing import Annotated

import srsly
import torch
import typer
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from spacy_nerllm.entity_map import render_prompt
from spacy_nerllm.generation.encoding import encode_prompt


def main(
    base: Annotated[Path, typer.Argument(help="Folder of the base model")],
    adapter: Annotated[Path, typer.Argument(help="Folder of the adapter")],
    corpus: Annotated[Path, typer.Argument(help="Texts, JSONL")],
    labels: Annotated[Path, typer.Argument(help="Types of each corpus, JSON")],
    out: Annotated[Path, typer.Argument(help="Folder for merged/ and prompts.json")],
    limit: Annotated[int, typer.Option(help="Texts")] = 30,
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.save_pretrained(out / "merged")
    tokenizer.save_pretrained(out / "merged")
    types = srsly.read_json(labels)[corpus.stem]
    texts = [line["text"] for line in srsly.read_jsonl(corpus)][:limit]
    prompts = (render_prompt(tokenizer, text, types) for text in texts)
    srsly.write_json(out / "prompts.json", [encode_prompt(tokenizer, one) for one in prompts])


if __name__ == "__main__":
    typer.run(main)
