"""MEMO: a classifier adapts itself to one image before it judges it.

Marginal entropy minimisation with one test point (Zhang, Levine and Finn, arXiv 2110.09506), in the
settings with which "ImageNet-Hard" (arXiv 2304.05538) zooms: 64 random resized crops, one step of
plain stochastic gradient descent on every parameter (learning rate 2.5e-4, neither momentum nor
weight decay, as in the codes that both papers published for ResNet-50), and statistics of batch
normalisation that are mixed with those of the crops: N / (N + 1) of the network's own and
1 / (N + 1) of the batch's, N = 16, for the step and for the judgement alike (Schneider et al.,
arXiv 2006.16971). No gradient flows through the batch's statistics.

The network itself is never changed: the adapted parameters live beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

LEARNING_RATE = 2.5e-4
PRIOR = 16

_ONE_MOMENT = 2  # values that a variance takes at least

Parameters = Mapping[str, Tensor]


@runtime_checkable
class Adaptable(Protocol):
    """A classifier that shows its network.

    Attributes:
        model: The network, in evaluation mode.
    """

    @property
    def model(self) -> nn.Module:
        """The network, in evaluation mode."""
        ...

    def prepared(self, crops: Tensor) -> Tensor:
        """Return what the network takes for crops `(N, 3, S, S)` in [0, 1]."""
        ...


def marginal_entropy(logits: Tensor) -> Tensor:
    """Return the entropy of the mean of the class probabilities over crops, in nats.

    Args:
        logits: `(N, classes)`.
    """
    mean = torch.log_softmax(logits, dim=-1).logsumexp(dim=0) - math.log(len(logits))
    return -(mean.exp() * mean).sum()


def adapted(classifier: Adaptable, crops: Tensor) -> dict[str, Tensor]:
    """Take one step towards a lower marginal entropy.

    Args:
        classifier: Left as it is.
        crops: `(N, 3, S, S)` RGB in [0, 1], all of one image.

    Returns:
        Every parameter after the step, by name.
    """
    before = {
        name: parameter.detach().clone().requires_grad_()
        for name, parameter in classifier.model.named_parameters()
    }
    with torch.enable_grad():
        loss = marginal_entropy(logits_under(classifier, before, crops))
    gradients = torch.autograd.grad(loss, list(before.values()), allow_unused=True)
    return {
        name: value.detach() if slope is None else value.detach() - LEARNING_RATE * slope
        for (name, value), slope in zip(before.items(), gradients, strict=True)
    }


def logits_under(classifier: Adaptable, parameters: Parameters, crops: Tensor) -> Tensor:
    """Return what a classifier says with other parameters and with mixed statistics.

    Args:
        classifier: Left as it is.
        parameters: In place of the network's own.
        crops: `(N, 3, S, S)` RGB in [0, 1].

    Returns:
        `(N, classes)` logits, float32, on the classifier's device.
    """
    with mixed_statistics(classifier.model):
        logits: Tensor = functional_call(
            classifier.model, dict(parameters), (classifier.prepared(crops),)
        )
    return logits.float()


@contextmanager
def mixed_statistics(model: nn.Module, prior: int = PRIOR) -> Iterator[None]:
    """Let every batch normalisation of a network mix its statistics with those of its input.

    Args:
        model: In evaluation mode. It may have no batch normalisation: then nothing is mixed.
        prior: How many images the network's own statistics are worth.
    """
    own: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    share = prior / (prior + 1)

    def mix(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0].detach()
        if not isinstance(module, _BatchNorm) or x.numel() // x.shape[1] < _ONE_MOMENT:
            return
        mean, variance = module.running_mean, module.running_var
        if mean is None or variance is None:
            return
        own[module] = mean, variance
        axes = [axis for axis in range(x.ndim) if axis != 1]
        batch_variance, batch_mean = torch.var_mean(x, dim=axes)
        module.running_mean = share * mean + (1 - share) * batch_mean
        module.running_var = share * variance + (1 - share) * batch_variance

    def restore(module: nn.Module, *_: Any) -> None:
        if module in own:
            module.running_mean, module.running_var = own.pop(module)

    with ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                hooks.enter_context(module.register_forward_pre_hook(mix))
                hooks.enter_context(module.register_forward_hook(restore, always_call=True))
        yield
