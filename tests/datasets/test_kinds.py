import pytest
from timm.data.imagenet_info import ImageNetInfo

from liif_bench.datasets.classes import imagenet_classes
from liif_bench.datasets.kinds import kind_of, kinds

CLASSES = imagenet_classes()


def test_a_class_is_of_one_kind_at_most():
    indices = [index for kind in kinds() for index in kind.indices()]
    assert len(indices) == len(set(indices)) == 750
    assert set(indices) <= set(range(1000))
    assert len({kind.name for kind in kinds()}) == len(kinds()) == 8


def test_all_animals_are_of_a_kind():
    """The first 398 classes are the animals, and no class after them is one."""
    animals = {"dogs", "other mammals", "other vertebrates", "invertebrates"}
    for index, wnid in enumerate(CLASSES):
        assert (kind_of([wnid]) in animals) is (index < 398), index


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("tench", "other vertebrates"),
        ("goldfinch", "other vertebrates"),
        ("eft", "other vertebrates"),
        ("tarantula", "invertebrates"),
        ("wallaby", "other mammals"),
        ("beagle", "dogs"),
        ("timber wolf", "dogs"),
        ("tabby", "other mammals"),
        ("giant panda", "other mammals"),
        ("minivan", "vehicles"),
        ("school bus", "vehicles"),
        ("airliner", "vehicles"),
        ("pizza", "food and plants"),
        ("strawberry", "food and plants"),
        ("daisy", "food and plants"),
        ("vase", "containers"),
        ("hammer", "tools and devices"),
        ("oboe", "tools and devices"),
        ("valley", None),
        ("castle", None),
    ],
)
def test_examples(word, kind):
    info = ImageNetInfo()
    (wnid,) = (
        wnid
        for wnid in CLASSES
        if info.label_name_to_description(wnid).split(",")[0].strip().lower() == word
    )
    assert kind_of([wnid]) == kind


def test_several_labels_must_agree():
    beagle, collie, pizza, valley = (CLASSES[index] for index in (162, 231, 963, 979))
    assert kind_of([beagle, collie]) == "dogs"
    assert kind_of([beagle, pizza]) is None
    assert kind_of([beagle, valley]) is None
    assert kind_of([]) is None
