"""How far each parameter lies below the head, in layers: what layer-wise learning-rate decay counts by.

A layer is one block: a residual or dense block, a transformer block, of plain networks a convolution. The stem is
the deepest. Norms behind the last block belong to it, and so do the last convolutions that timm counts with it.
"""

from typing import Any

from timm.models import group_parameters
from torch import nn

from service.specs.backbones import CATALOGUE
from worker.backbones.parts import TEXT_BLOCK, head_path

_WITH_THE_ONE_BEFORE = (99999,)
_DOWNSAMPLING = [(rf"features\.{stage - 1}\.", (stage, 0)) for stage in (3, 5, 7)]  # with the block that follows

# In the notation of timm's `group_matcher`: regular expressions over parameter names, in order of depth.
_MATCHERS: dict[str, dict[str, Any]] = {
    "resnet": {"stem": r"(?:conv1|bn1)\.", "blocks": r"layer(\d+)\.(\d+)"},
    "vgg": {"stem": r"features\.0\.", "blocks": r"features\.(\d+)", "hidden": r"classifier\.([03])\."},
    "efficientnet": {
        "stem": r"features\.0\.",
        "blocks": [(r"features\.([1-7])\.(\d+)", None), (r"features\.8", _WITH_THE_ONE_BEFORE)],
    },
    "mobilenet": {
        "stem": r"features\.0\.",
        "blocks": [(r"features\.(\d+)", None), (r"classifier\.0", _WITH_THE_ONE_BEFORE)],
    },
    "densenet": {
        "stem": r"features\.(?:conv|norm)0",
        "blocks": [
            (r"features\.denseblock(\d+)\.denselayer(\d+)", None),
            (r"features\.transition(\d+)", _WITH_THE_ONE_BEFORE),
            (r"features\.norm(5)", _WITH_THE_ONE_BEFORE),
        ],
    },
    "convnext": {
        "stem": r"features\.0\.",
        "blocks": [
            *_DOWNSAMPLING,
            (r"features\.([1357])\.(\d+)", None),
            (r"classifier\.0", _WITH_THE_ONE_BEFORE),
        ],
    },
    "vit": {
        "stem": r"class_token|conv_proj|encoder\.pos_embedding",
        "blocks": [(r"encoder\.layers\.encoder_layer_(\d+)", None), (r"encoder\.ln", _WITH_THE_ONE_BEFORE)],
    },
    "swin": {
        "stem": r"features\.0\.",
        "blocks": [
            *_DOWNSAMPLING,
            (r"features\.([1357])\.(\d+)", None),
            (r"norm\.", _WITH_THE_ONE_BEFORE),
        ],
    },
    "text": {
        "stem": r"body\.(?:embeddings|wte|wpe)",
        "blocks": [(TEXT_BLOCK.pattern, None), (r"body\.ln_f", _WITH_THE_ONE_BEFORE)],
    },
    "simple_nn": {"stem": r"hidden\."},
    "small_cnn": {"blocks": r"block(\d)"},
}


def layer_depths(network: nn.Module, name: str) -> dict[str, int]:
    """Parameter name → layers below the head (0), in a network built for catalogue entry `name`."""
    matcher = getattr(network, "group_matcher", None)
    is_text = CATALOGUE[name].source == "transformers"
    family = "text" if is_text else next((key for key in _MATCHERS if name.startswith(key)), None)
    layers: dict[str, int] = group_parameters(network, matcher() if matcher else _MATCHERS[str(family)], reverse=True)
    top = layers[f"{head_path(name)}.weight"]
    return {parameter: top - layer for parameter, layer in layers.items()}
