import copy
import math

import pytest
import timm
import torch
from torch import nn

from liif_bench.downstream.adapt import (
    Adaptable,
    adapted,
    logits_under,
    marginal_entropy,
    mixed_statistics,
)
from liif_bench.downstream.classifiers import Classifier, load_classifier
from liif_bench.downstream.networks import state_sha256

COUNT = 6


@pytest.fixture(scope="module")
def lite0(weights):
    weights("efficientnet-lite0")
    return load_classifier("efficientnet-lite0")


@pytest.fixture(scope="module")
def crops():
    """Smooth crops of one made-up image, the brighter the later."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(1, 3, 9, 9, generator=generator)
    image = nn.functional.interpolate(coarse, (224, 224), mode="bicubic").clamp(0, 1)
    return torch.cat([image * (place + 3) / (COUNT + 2) for place in range(COUNT)])


class TextbookNorm(nn.Module):
    """Batch normalisation under mixed statistics, written out."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        with torch.no_grad():
            count = x.numel() / x.shape[1]
            mean = x.mean((0, 2, 3))
            spread = ((x - mean[:, None, None]) ** 2).sum((0, 2, 3)) / (count - 1)
            mean = 16 / 17 * self.norm.running_mean + mean / 17
            spread = 16 / 17 * self.norm.running_var + spread / 17
        scaled = (x - mean[:, None, None]) / (spread + self.norm.eps)[:, None, None].sqrt()
        y = scaled * self.norm.weight[:, None, None] + self.norm.bias[:, None, None]
        return self.norm.act(self.norm.drop(y)) if hasattr(self.norm, "act") else y


def textbook(model):
    """A copy whose batch normalisations are written out."""
    model = copy.deepcopy(model).requires_grad_(True)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, TextbookNorm(module))
    return model


@pytest.fixture(scope="module")
def by_hand(lite0, crops):
    """One step on a copy by torch's own SGD: the model after it, and its loss before."""
    model = textbook(lite0.model)
    optimizer = torch.optim.SGD(model.parameters(), lr=2.5e-4)
    shares = model((crops - 0.5) / 0.5).softmax(dim=1).mean(dim=0)
    loss = -(shares * shares.log()).sum()
    loss.backward()
    optimizer.step()
    return model, float(loss.detach())


@pytest.mark.weights
def test_a_step_is_that_of_plain_torch(lite0, crops, by_hand):
    model, loss = by_hand
    got = adapted(lite0, crops)
    expected = {
        name.replace(".norm.", "."): value.detach() for name, value in model.named_parameters()
    }
    assert got.keys() == expected.keys()
    moved = 0.0
    for name, before in lite0.model.named_parameters():
        torch.testing.assert_close(got[name], expected[name], rtol=0, atol=1e-5)
        moved = max(moved, float((got[name] - before).abs().max()))
    assert moved > 1e-4  # or the tolerance would show nothing
    own = dict(lite0.model.named_parameters())
    with torch.no_grad():
        before = marginal_entropy(logits_under(lite0, own, crops))
        logits = logits_under(lite0, got, crops[:1])
        assert float(before) == pytest.approx(loss, abs=1e-5)
        hand = model((crops[:1] - 0.5) / 0.5)
    torch.testing.assert_close(logits.softmax(1), hand.softmax(1), rtol=0, atol=1e-5)


@pytest.mark.weights
def test_the_entropy_falls(lite0, crops):
    own = dict(lite0.model.named_parameters())
    after = adapted(lite0, crops)
    with torch.no_grad():
        entropies = [marginal_entropy(logits_under(lite0, each, crops)) for each in (own, after)]
    assert entropies[1] < entropies[0]


@pytest.mark.weights
def test_the_network_is_left_bit_for_bit(lite0, crops):
    digest = state_sha256(lite0.model.state_dict())
    opinion = lite0.log_probabilities(crops[:1])
    parameters = adapted(lite0, crops)
    with torch.no_grad():
        logits_under(lite0, parameters, crops[:1])
    assert state_sha256(lite0.model.state_dict()) == digest
    assert torch.equal(lite0.log_probabilities(crops[:1]), opinion)
    assert not any(value.requires_grad for value in lite0.model.parameters())
    assert not any(module._forward_pre_hooks for module in lite0.model.modules())


@pytest.mark.weights
def test_the_order_of_crops_does_not_matter(lite0, crops):
    first, second = adapted(lite0, crops), adapted(lite0, crops.flip(0))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=1e-6)
    again = adapted(lite0, crops)
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_marginal_entropy_is_that_of_the_mean():
    logits = torch.log(torch.tensor([[0.5, 0.5, 1e-30], [1e-30, 0.5, 0.5]]))
    expected = -2 * 0.25 * math.log(0.25) - 0.5 * math.log(0.5)
    assert float(marginal_entropy(logits)) == pytest.approx(expected, rel=1e-6)
    assert float(marginal_entropy(torch.zeros(4, 1000))) == pytest.approx(math.log(1000), rel=1e-5)


def test_a_network_without_batch_normalisation_adapts_too():
    model = timm.create_model("test_vit", num_classes=1000).eval().requires_grad_(False)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    classifier = Classifier("vit", model, (), "cpu")
    assert isinstance(classifier, Adaptable)
    crops = torch.rand(4, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    after = adapted(classifier, crops)
    own = dict(model.named_parameters())
    assert any(not torch.equal(after[name], own[name]) for name in own)
    with torch.no_grad():
        plain = model(classifier.prepared(crops))
        torch.testing.assert_close(logits_under(classifier, own, crops), plain)


def test_one_value_of_a_channel_has_no_variance():
    norm = nn.BatchNorm2d(3).eval()
    x = torch.randn(1, 3, 1, 1)
    with torch.no_grad(), mixed_statistics(norm):
        assert torch.equal(norm(x), norm.forward(x))
    with torch.no_grad(), mixed_statistics(norm):
        wide = norm(torch.arange(12.0).view(1, 3, 2, 2))
    assert torch.isfinite(wide).all()


def test_statistics_come_back_after_an_error():
    class Broken(nn.BatchNorm2d):
        def forward(self, x):
            raise ValueError("no")

    norm = Broken(3).eval()
    own = norm.running_mean
    with pytest.raises(ValueError, match="no"), mixed_statistics(norm):
        norm(torch.ones(2, 3, 4, 4))
    assert norm.running_mean is own
    assert not norm._forward_pre_hooks
    assert not norm._forward_hooks
