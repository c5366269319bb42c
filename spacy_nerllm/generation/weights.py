"""The weights of a model in few and large pieces: what `network` runs, and what is quantised.

Projections that read the same input are one matrix each: query, key and value, and gate and up. The
features of queries and keys that rotary positions turn together are neighbours, not half a head
apart: their products stay the same, and a pair can be turned as one complex number.
"""

from typing import Any, Dict, List, NamedTuple

import torch

from ..errors import Errors

# Those with the layers of Llama, with or without biases and norms of heads.
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")

Weights = Dict[str, torch.Tensor]


class Shape(NamedTuple):
    """What must be known of a model beside its weights.

    layers (int): How many layers it has.
    heads (int): How many heads queries have.
    kv_heads (int): How many heads keys and values have.
    head_size (int): Size of a head.
    epsilon (float): Of its norms.
    rope_scale (float): What cosines and sines of positions are multiplied by.
    context_length (int): The most tokens of prompt and answer together.
    """

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    rope_scale: float
    context_length: int


def check_family(config: Any) -> None:
    """Make sure that a model can be run.

    config (PretrainedConfig): The model's config.
    RAISES (ValueError): If it is of another family, or has an attention that sees only so far.
    """
    windowed = getattr(config, "sliding_window", None) and getattr(
        config, "use_sliding_window", True
    )
    if config.model_type not in FAMILIES or windowed or config.hidden_act != "silu":
        kind = f"{config.model_type} with a sliding window" if windowed else config.model_type
        raise ValueError(Errors.E028.format(kind=kind, families=", ".join(FAMILIES)))


def shape_of(model: Any) -> Shape:
    """RETURNS (Shape): The shape of a model.

    model (PreTrainedModel): A model of one of the families.
    """
    config = model.config
    heads = config.num_attention_heads
    return Shape(
        layers=config.num_hidden_layers,
        heads=heads,
        kv_heads=config.num_key_value_heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
        epsilon=config.rms_norm_eps,
        rope_scale=float(model.get_decoder().rotary_emb.attention_scaling),
        context_length=config.max_position_embeddings,
    )


def fuse_weights(model: Any) -> Weights:
    """Take the weights of a model, projections of the same input joined.

    model (PreTrainedModel): A model of one of the families, its adapter merged.
    RETURNS (Weights): "embedding", "frequencies", "norm", "head", and for each layer N
        "N.attention_norm", "N.qkv", "N.attention_out", "N.mlp_norm", "N.gate_up", "N.down", where
        the model has them "N.qkv.bias", "N.attention_out.bias" and "N.head_norm". A "head" that is
        the embedding is left out.
    """
    decoder = model.get_decoder()
    weights = {
        "embedding": decoder.embed_tokens.weight,
        "frequencies": decoder.rotary_emb.inv_freq,
        "norm": decoder.norm.weight,
    }
    if model.get_output_embeddings().weight is not decoder.embed_tokens.weight:
        weights["head"] = model.get_output_embeddings().weight
    for number, layer in enumerate(decoder.layers):
        attention, mlp = layer.self_attn, layer.mlp
        parts = {
            "attention_norm": layer.input_layernorm.weight,
            **_join("qkv", [attention.q_proj, attention.k_proj, attention.v_proj]),
            **_join("attention_out", [attention.o_proj]),
            "mlp_norm": layer.post_attention_layernorm.weight,
            **_join("gate_up", [mlp.gate_proj, mlp.up_proj]),
            **_join("down", [mlp.down_proj]),
        }
        if hasattr(attention, "q_norm"):
            parts["head_norm"] = _norms_of_heads(attention, model.config)
        parts.update(_pair_features(parts, shape_of(model)))
        weights.update({f"{number}.{name}": tensor for name, tensor in parts.items()})
    return {name: tensor.detach() for name, tensor in weights.items()}


def _pair_features(parts: Weights, shape: Shape) -> Weights:
    """Bring together the features of queries and keys that are turned together."""
    order = torch.arange(shape.head_size).view(2, -1).T.flatten()
    turned = shape.heads + shape.kv_heads
    rows = torch.arange(turned * shape.head_size).view(turned, -1)[:, order].flatten()
    paired = {}
    for name in ("qkv", "qkv.bias"):
        if name in parts:
            paired[name] = torch.cat([parts[name][rows], parts[name][len(rows) :]])
    if "head_norm" in parts:
        paired["head_norm"] = parts["head_norm"][:, order]
    return paired


def _join(name: str, projections: List[torch.nn.Linear]) -> Weights:
    joined = {name: torch.cat([projection.weight for projection in projections])}
    biases = [projection.bias for projection in projections if projection.bias is not None]
    if biases:
        joined[f"{name}.bias"] = torch.cat(biases)
    return joined


def _norms_of_heads(attention: Any, config: Any) -> torch.Tensor:
    """Those of queries and keys, one below the other: of shape (heads + kv_heads, head_size)."""
    queries = attention.q_norm.weight.expand(config.num_attention_heads, -1)
    keys = attention.k_norm.weight.expand(config.num_key_value_heads, -1)
    return torch.cat([queries, keys])
