import itertools

import pytest
import torch
from oracles.textbook_liif import decode
from oracles.textbook_rdn import encode, random_state, shapes

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options, Window
from liif_bench.upsamplers.liif import rdn as rdn_module
from liif_bench.upsamplers.liif.encoders import ready_encoder
from liif_bench.upsamplers.liif.features import TiledFeatures

# The authors' weights are on no package index, so random ones: the arithmetic is what is tested.


@pytest.fixture(scope="module")
def state():
    return random_state()


@pytest.fixture(scope="module")
def encoder(state):
    return ready_encoder("rdn", state, Options())


@pytest.fixture(scope="module")
def layers():
    generator = torch.Generator().manual_seed(5)
    sizes = [580, 256, 256, 256, 256, 3]
    return [
        (
            torch.randn(after, before, generator=generator) / before**0.5,
            torch.randn(after, generator=generator) * 0.1,
        )
        for before, after in itertools.pairwise(sizes)
    ]


@pytest.fixture(scope="module")
def checkpoint(state, layers):
    """What the authors' code saves for RDN-LIIF."""
    weights = {f"encoder.{key}": value for key, value in state.items()}
    for number, (weight, bias) in enumerate(layers):
        weights[f"imnet.layers.{2 * number}.weight"] = weight
        weights[f"imnet.layers.{2 * number}.bias"] = bias
    specification = {"encoder_spec": {"name": "rdn", "args": {"no_upsampling": True}}}
    return {"model": {"name": "liif", "args": specification, "sd": weights}}


@pytest.fixture(scope="module")
def file(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("rdn") / "random.pth"
    torch.save(checkpoint, path)
    return path


def test_the_tensors_are_those_of_configuration_b(encoder):
    assert {name: tuple(value.shape) for name, value in encoder.state_dict().items()} == shapes()


@torch.inference_mode()
def test_features_equal_the_textbook_encoder(encoder, state):
    lr = torch.rand(1, 3, 21, 34, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = encode(state, lr.double())
    got = encoder(lr).double()
    torch.testing.assert_close(got, expected, rtol=0, atol=5e-6 * float(expected.abs().max()))


@torch.inference_mode()
def test_tiles_of_a_block_change_nothing(encoder, monkeypatch):
    lr = torch.rand(1, 3, 21, 34, generator=torch.Generator().manual_seed(1)) * 2 - 1
    whole = encoder(lr)
    tolerance = 2e-6 * float(whole.abs().max())
    for side in (1 + 8, 16, 30):
        monkeypatch.setattr(rdn_module, "_TILE", side)
        torch.testing.assert_close(encoder(lr), whole, rtol=0, atol=tolerance)


@torch.inference_mode()
def test_the_encoder_sees_as_far_as_it_says(encoder):
    reach = encoder.reach
    lr = torch.zeros(1, 3, 2 * reach + 9, 3, dtype=torch.float64)
    changed = lr.clone()
    changed[:, :, 0] = 100
    precise = type(encoder)().double().eval()
    # weights that let everything through: what is far must not vanish in rounding
    for value in precise.parameters():
        value.fill_(0.0 if value.ndim == 1 else 1 / value[0].numel())
    moved = (precise(changed) - precise(lr)).abs().amax(dim=(0, 1, 3))
    assert moved[reach] > 0
    assert moved[reach + 1 :].max() == 0


@torch.inference_mode()
def test_a_part_equals_that_part_of_the_whole(encoder):
    lr = torch.rand(3, 150, 20, generator=torch.Generator().manual_seed(2)) * 2 - 1
    whole = encoder(lr[None])[0]
    tiled = TiledFeatures(lr, encoder, 10)
    tolerance = 2e-6 * float(whole.abs().max())
    for rows in (slice(0, 2), slice(140, 150)):
        got = tiled.part(rows, slice(3, 9))
        torch.testing.assert_close(got, whole[:, rows, 3:9], rtol=0, atol=tolerance)


def test_liif_decodes_its_features(file, state, layers):
    upsampler = load_upsampler(f"rdn-liif:{file}", Options())
    assert upsampler.name == "rdn-liif:random"
    assert upsampler.training_scales == ((1.0, 4.0),)
    lr = torch.rand(3, 13, 9, generator=torch.Generator().manual_seed(3))
    window = Window(0.1, 0.0, 0.9, 0.7)
    with torch.no_grad():
        features = encode(state, (lr.double()[None] - 0.5) / 0.5)[0]
        expected = (decode(features, layers, (37, 50), window=window) + 1) / 2
    got = upsampler.encode(lr).render((37, 50), window).double()
    assert expected.clamp(0, 1).std() > 0.05
    torch.testing.assert_close(got, expected.clamp(0, 1), rtol=0, atol=2e-5)


def test_a_checkpoint_must_be_named():
    with pytest.raises(LiifBenchError, match="rdn-liif:CHECKPOINT"):
        load_upsampler("rdn-liif", Options())


def test_a_checkpoint_of_another_encoder_is_refused(file, checkpoint, tmp_path):
    with pytest.raises(LiifBenchError, match=r"encoder 'rdn'; liif-edsr reads 'edsr-baseline'"):
        load_upsampler(f"liif-edsr:{file}", Options())
    other = {
        "model": {
            "name": "liif",
            "args": {"encoder_spec": {"name": "edsr-baseline"}},
            "sd": checkpoint["model"]["sd"],
        }
    }
    path = tmp_path / "other.pth"
    torch.save(other, path)
    with pytest.raises(LiifBenchError, match="'edsr-baseline'; rdn-liif reads 'rdn'"):
        load_upsampler(f"rdn-liif:{path}", Options())
    with pytest.raises(LiifBenchError, match=r"is not EDSR-baseline: it lacks 'encoder\.head"):
        load_upsampler(f"liif-edsr:{path}", Options())


def test_configuration_a_is_refused(checkpoint, tmp_path):
    model = checkpoint["model"]
    fewer = {
        key: value
        for key, value in model["sd"].items()
        if ".convs.6." not in key and ".convs.7." not in key
    }
    path = tmp_path / "a.pth"
    torch.save({"model": model | {"sd": fewer}}, path)
    with pytest.raises(LiifBenchError, match=r"is not RDN: it lacks 'encoder\.RDBs\.0\.convs\.6"):
        load_upsampler(f"rdn-liif:{path}", Options())
