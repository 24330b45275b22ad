import hashlib
import json

import pytest
import safetensors.torch
import torch

from liif_bench.downstream import CLASSIFIERS
from liif_bench.downstream.adapt import adapted
from liif_bench.downstream.classifiers import load_classifier
from liif_bench.errors import LiifBenchError

open_clip = pytest.importorskip("open_clip")
MODEL = "liif-bench-test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small model of open_clip's own kind, its weights random and saved."""
    folder = tmp_path_factory.mktemp("clip")
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    vision = {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{MODEL}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    torch.manual_seed(3)
    state = open_clip.create_model(MODEL).state_dict()
    torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in state.items()}},
               folder / "training.pt")  # fmt: skip
    safetensors.torch.save_file(state, folder / "tensors.safetensors")
    return folder


@pytest.fixture(scope="module")
def crops():
    return torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def plain(folder, crops):
    """Probabilities by open_clip's own calls, as its README classifies."""
    model, _, preprocess = open_clip.create_model_and_transforms(
        MODEL, pretrained=str(folder / "training.pt")
    )
    tokenizer = open_clip.get_tokenizer(MODEL)
    normalise = preprocess.transforms[-1]
    head = []
    with torch.no_grad():
        for name in open_clip.IMAGENET_CLASSNAMES:
            texts = [template(name) for template in open_clip.SIMPLE_IMAGENET_TEMPLATES]
            embedded = model.encode_text(tokenizer(texts))
            mean = (embedded / embedded.norm(dim=-1, keepdim=True)).mean(dim=0)
            head.append(mean / mean.norm())
        features = model.eval().encode_image(normalise(crops))
        features = features / features.norm(dim=-1, keepdim=True)
        return (model.logit_scale.exp() * features @ torch.stack(head).T).softmax(dim=-1)


@pytest.mark.parametrize("file", ["training.pt", "tensors.safetensors"])
def test_a_model_of_a_file_says_what_open_clip_says(file, folder, crops, plain):
    path = folder / file
    name = f"open-clip:{MODEL}?pretrained={path}"
    classifier = load_classifier(name)
    got = classifier.log_probabilities(crops).exp()
    torch.testing.assert_close(got, plain, rtol=1e-4, atol=1e-7)
    assert plain.std(dim=1).min() > 1e-5  # or any answer would do
    assert classifier.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert classifier.name == name
    assert classifier.wnids[281] == "n02123045"
    assert open_clip.IMAGENET_CLASSNAMES[281].startswith("tabby")
    assert classifier.input_size == 64


def test_adapting_leaves_the_text_as_it_is(folder, crops):
    classifier = load_classifier(f"open-clip:{MODEL}?pretrained={folder / 'training.pt'}")
    after = adapted(classifier, crops)
    assert all(name.startswith("visual.") for name in after)
    own = dict(classifier.model.named_parameters())
    assert any(not torch.equal(value, own[name]) for name, value in after.items())


class Evil:
    def __reduce__(self):
        return (print, ("run!",))


def test_a_file_that_would_run_code_is_refused(folder, tmp_path, capsys):
    path = tmp_path / "evil.pt"
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(LiifBenchError, match="refers to"):
        load_classifier(f"open-clip:{MODEL}?pretrained={path}")
    assert "run!" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("open-clip", r"needs an argument: write classifier as open-clip:MODEL\?pretrained="),
        ("open-clip:ViT-B-3", "unknown open_clip model 'ViT-B-3': did you mean ViT-B-3"),
        ("open-clip:ViT-B-32", r"has no weights: write open-clip:ViT-B-32\?pretrained=TAG_OR_FI"),
        ("open-clip:ViT-B-32?pretrained=nonsense", "'nonsense' is neither a file nor a tag of"),
        ("open-clip:ViT-B-32?tag=openai", "unknown option 'tag'"),
    ],
)
def test_wrong_names_are_one_line(name, message):
    with pytest.raises(LiifBenchError, match=message) as error:
        load_classifier(name)
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_another_model_is_refused(folder, tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"visual.proj": torch.zeros(3)}, path)
    with pytest.raises(LiifBenchError, match=f"is no checkpoint of '{MODEL}'") as error:
        load_classifier(f"open-clip:{MODEL}?pretrained={path}")
    assert "\n" not in str(error.value)


def test_the_extra_is_named_where_it_lacks():
    entry, _ = CLASSIFIERS.parse("open-clip:ViT-B-32")
    assert entry.requires == ("open_clip",)
    assert entry.remedy == "pip install 'liif-bench[open-clip]'"
