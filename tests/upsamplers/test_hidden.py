import pytest
import torch

from liif_bench.upsamplers.liif.hidden import _fused, _plain, hidden_layers


def layers(dtype=torch.float32, sizes=(64, 64, 48, 32)):
    generator = torch.Generator().manual_seed(5)
    pairs = zip(sizes[1:], sizes[:-1], strict=True)
    return [
        (
            (torch.randn(a, b, generator=generator) / b**0.5).to(dtype),
            torch.randn(a, generator=generator).to(dtype),
        )
        for a, b in pairs
    ]


def in_float64(vectors, made):
    for weight, bias in made:
        vectors = (vectors.double() @ weight.double().t() + bias.double()).clamp(min=0)
    return vectors


@pytest.mark.parametrize("way", [_plain, lambda made: _fused(made, 100), hidden_layers])
@pytest.mark.parametrize("rows", [1, 7, 100, 1000])
def test_every_way_is_a_chain_of_linear_layers_and_relus(way, rows):
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") and way not in (_plain, hidden_layers):
        pytest.skip("this torch was built without oneDNN")
    made = layers()
    vectors = torch.randn(rows, 64, generator=torch.Generator().manual_seed(rows))
    expected = in_float64(vectors, made)
    apply = way(made, 100) if way is hidden_layers else way(made)
    with torch.inference_mode():
        got = apply(vectors.clone())
    # three float32 sums of 64 terms of size 1
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)
    assert (got == 0).any()  # a ReLU is behind the last layer too


def test_bfloat16_keeps_its_format():
    made = layers(torch.bfloat16)
    vectors = torch.randn(50, 64).to(torch.bfloat16)
    got = hidden_layers(made, 50)(vectors.clone())
    assert got.dtype == torch.bfloat16
    expected = in_float64(vectors, made)
    assert (got.double() - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize(
    "fault", [AttributeError("no such operator"), RuntimeError("no bf16"), TypeError("arguments")]
)
def test_where_the_fast_product_fails_the_documented_one_is_taken(monkeypatch, fault):
    def broken(made, rows):
        raise fault

    monkeypatch.setattr("liif_bench.upsamplers.liif.hidden._fused", broken)
    made, vectors = layers(), torch.randn(9, 64)
    expected = in_float64(vectors, made)
    got = hidden_layers(made, 9)(vectors.clone())
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)


def test_where_the_fast_product_is_wrong_the_documented_one_is_taken(monkeypatch):
    def without_bias(made, rows):
        return _plain([(weight, torch.zeros_like(bias)) for weight, bias in made])

    monkeypatch.setattr("liif_bench.upsamplers.liif.hidden._fused", without_bias)
    made, vectors = layers(), torch.randn(9, 64)
    got = hidden_layers(made, 9)(vectors.clone())
    torch.testing.assert_close(got.double(), in_float64(vectors, made), rtol=0, atol=1e-5)


def test_no_layer_changes_nothing():
    vectors = torch.randn(4, 8)
    assert torch.equal(hidden_layers([], 4)(vectors.clone()), vectors)
