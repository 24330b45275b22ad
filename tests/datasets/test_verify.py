import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from liif_bench.datasets.benchmarks import lookup
from liif_bench.datasets.verify import LISTING, verify, write_listing
from liif_bench.errors import DataUnavailableError

TRIO = replace(lookup("set5"), name="trio", title="Trio", images=3, scales=(2.0, 3.0))


def save(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)


@pytest.fixture
def trio(tmp_path):
    """The folder of a whole set, with the listing that a download leaves."""
    folder = tmp_path / "Set5"
    for name in "abc":
        save(folder / f"HR/{name}.png", (12, 18))
        for scale in (2, 3):
            save(folder / f"LR_bicubic/X{scale}/{name}x{scale}.png", (12 // scale, 18 // scale))
    hashes = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.png")
    }
    write_listing(folder, TRIO, hashes)
    return folder


def test_a_whole_set(trio, tmp_path):
    assert verify(TRIO, tmp_path) == []


def test_without_a_listing_there_is_nothing_to_compare_with(trio, tmp_path):
    (trio / LISTING).unlink()
    save(trio / "HR/a.png", (13, 19))  # other pixels, but of a size that fits
    assert verify(TRIO, tmp_path) == []


def test_a_set_that_is_not_there(tmp_path):
    with pytest.raises(DataUnavailableError, match="liif-bench data fetch trio"):
        verify(TRIO, tmp_path)


def test_a_changed_file(trio, tmp_path):
    path = trio / "LR_bicubic/X3/bx3.png"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes() + b"\0")
    (problem,) = verify(TRIO, tmp_path)
    assert str(path) in problem
    assert expected in problem


def test_images_that_are_gone(trio, tmp_path):
    gone = [trio / "HR/b.png", trio / "LR_bicubic/X2/bx2.png", trio / "LR_bicubic/X3/bx3.png"]
    for path in gone:
        path.unlink()
    count, *rest = verify(TRIO, tmp_path)
    assert "holds 2 HR images, but Trio has 3" in count
    assert rest == [f"'{path}' was fetched and is gone" for path in gone]


def test_one_lr_file_that_is_gone(trio, tmp_path):
    (trio / LISTING).unlink()
    path = trio / "LR_bicubic/X2/bx2.png"
    path.unlink()
    (problem,) = verify(TRIO, tmp_path)
    assert problem.endswith(f"add '{path}'")


def test_a_published_scale_without_lr_files(trio, tmp_path):
    bigger = replace(TRIO, scales=(2.0, 3.0, 4.0))
    (problem,) = verify(bigger, tmp_path)
    assert "no LR files at x4" in problem


def test_pairs_that_do_not_fit(trio, tmp_path):
    (trio / LISTING).unlink()
    for name in "ac":
        save(trio / f"LR_bicubic/X2/{name}x2.png", (5, 9))
    first, second = verify(TRIO, tmp_path)
    assert "ax2.png' (9x5) does not fit" in first
    assert "cx2.png' (9x5) does not fit" in second


def test_a_file_that_is_no_image(trio, tmp_path):
    (trio / LISTING).unlink()
    (trio / "HR/b.png").write_text("no image")
    (problem,) = verify(TRIO, tmp_path)
    assert f"'{trio / 'HR/b.png'}' is not an image" in problem


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps({"sha256": []}), json.dumps({"sha256": None})]
)
def test_a_damaged_listing(text, trio, tmp_path):
    (trio / LISTING).write_text(text)
    (problem,) = verify(TRIO, tmp_path)
    assert f"'{trio / LISTING}' is damaged" in problem
    assert "--force" in problem


def test_problems_are_lines(trio, tmp_path):
    for name in "abc":
        (trio / f"HR/{name}.png").write_text("no image")
    problems = verify(TRIO, tmp_path)
    assert len(problems) == 6  # unreadable, and not as fetched
    assert not any("\n" in problem for problem in problems)


@pytest.mark.data
def test_the_reference_images(reference_data):
    assert verify(lookup("set5"), reference_data) == []
    (problem,) = verify(lookup("set14"), reference_data)  # which was given x2 and x4 alone
    assert "no LR files at x3" in problem
