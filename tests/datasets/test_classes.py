import subprocess
import sys

import pytest
from timm.data.imagenet_info import ImageNetInfo

from liif_bench.datasets.classes import imagenet_classes, is_class, wordnet_id
from liif_bench.errors import LiifBenchError


def test_the_classes_are_those_of_timm_in_their_order():
    info = ImageNetInfo()
    assert list(imagenet_classes()) == info.label_names()
    assert list(imagenet_classes()) == sorted(set(imagenet_classes()))


@pytest.mark.parametrize("index", [0, 7, 65, 999])
def test_an_index_and_a_wordnet_id_are_told_apart(index):
    wnid = ImageNetInfo().index_to_label_name(index)
    assert wordnet_id(str(index)) == wordnet_id(wnid) == wnid
    assert is_class(wnid)
    assert not is_class(str(index))


@pytest.mark.parametrize(
    "text",
    ["1000", "-1", "7.0", "", "n00000001", "N01440764", "n0144076", "tench", "\u0667", "1_0", " 1"],
)
def test_what_is_no_class(text):
    with pytest.raises(LiifBenchError, match="index from 0 to 999") as error:
        wordnet_id(text)
    assert f"'{text}' is no class" in str(error.value)


def test_no_torch_is_needed():
    code = (
        "import sys; from liif_bench.datasets.classes import wordnet_id;"
        "assert wordnet_id('0') == 'n01440764'; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
