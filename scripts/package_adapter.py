"""Copy a trained adapter in 16 bit, without checkpoints: the form that is shipped."""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from safetensors.torch import load_file, save_file
from wasabi import msg


def main(
    adapter: Annotated[Path, typer.Argument(help="Adapter, as OUT/best")],
    output: Annotated[Path, typer.Argument(help="Folder for the packaged adapter")],
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    weights = load_file(adapter / "adapter_model.safetensors")
    halved = {name: weight.half() for name, weight in weights.items()}
    save_file(halved, output / "adapter_model.safetensors", metadata={"format": "pt"})
    for file in ("adapter_config.json", "nerllm.json"):
        shutil.copy(adapter / file, output / file)
    size = (output / "adapter_model.safetensors").stat().st_size / 1e6
    msg.good(f"{size:.1f} MB in {output}")


if __name__ == "__main__":
    typer.run(main)
