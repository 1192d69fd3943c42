"""A second body for a network, on the same weights.

Hooks are state of a module: on a network that several threads serve, one thread's hook sees another's images
(35 of 60 maps wrong, or a crash, with `grad-cam`; measured). So nothing is ever hung on the served network. A private
copy has its own modules, hooks and mode, shares every parameter and buffer, costs about a millisecond, and is
dropped after use: no exception can leave anything behind.
"""

from collections import OrderedDict

from torch import nn

_OWN = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def private_copy(network: nn.Module) -> nn.Module:
    """The network in eval mode with modules of its own and shared tensors. The original is only read."""
    return _copy(network, {})


def _copy(module: nn.Module, copies: dict[int, nn.Module]) -> nn.Module:
    known = copies.get(id(module))
    if known is not None:
        return known
    twin = module.__class__.__new__(module.__class__)
    copies[id(module)] = twin
    twin.__dict__.update(module.__dict__)
    twin.__dict__["training"] = False
    for name in _OWN:
        twin.__dict__[name] = OrderedDict(module.__dict__[name])
    twin.__dict__["_modules"] = {
        name: None if child is None else _copy(child, copies) for name, child in module._modules.items()
    }
    return twin
