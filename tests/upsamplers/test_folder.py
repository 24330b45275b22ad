import re

import numpy as np
import pytest
import torch
from PIL import Image

import liif_bench
from liif_bench.datasets import load_dataset
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import make_case, render_case
from liif_bench.images import to_uint8, write_rgb
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Request, pixel_window

SIZE = (12, 16)
LR = torch.full((3, 3, 4), 0.5)


def save(path, size=SIZE, seed=0, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(values).convert(mode).save(path)
    return values


def ask(upsampler, item="baby", scale=4.0, size=SIZE, lr=LR):
    return upsampler.encode_case(Request(item, scale, size, lr)).render(size)


def refusal(function, *arguments, **options):
    with pytest.raises(LiifBenchError) as error:
        function(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


class TestNames:
    @pytest.mark.parametrize(
        ("file", "argument"),
        [
            ("baby_x4.png", ""),
            ("babyx4.png", ""),
            ("4/baby.png", ""),
            ("x4/baby.png", ""),
            ("baby.png", ""),
            ("deep/in/sr-baby-4.bmp", "?pattern=deep/in/sr-{item}-{scale}.bmp"),
            ("x4/babyx4.png", "?pattern=x{scale}/{item}x{scale}.png"),
            ("baby.jpg.png", "?pattern={item}.jpg.png"),
        ],
    )
    def test_images_are_found(self, tmp_path, file, argument):
        values = save(tmp_path / "sr" / file)
        got = ask(load_upsampler(f"folder:{tmp_path / 'sr'}{argument}"))
        assert np.array_equal(to_uint8(got), values)

    @pytest.mark.parametrize(
        ("item", "scale", "file"),
        [
            ("baby.png", 4.0, "baby_x4.png"),  # as folder:PATH calls its items
            ("sub/baby.JPG", 3.7, "sub/baby_x3.7.png"),
            ("img.v2", 30.0, "img.v2_x30.png"),
            ("{scale}", 2.0, "{scale}_x2.png"),  # a name is no template
        ],
    )
    def test_items_and_scales_are_written_as_in_tables(self, tmp_path, item, scale, file):
        values = save(tmp_path / file)
        save(tmp_path / "other_x4.png", seed=1)
        got = ask(load_upsampler(f"folder:{tmp_path}"), item, scale)
        assert np.array_equal(to_uint8(got), values)

    def test_two_images_of_one_case_are_refused(self, tmp_path):
        save(tmp_path / "baby_x4.png")
        values = save(tmp_path / "x4" / "baby.png", seed=1)
        text = refusal(ask, load_upsampler(f"folder:{tmp_path}"))
        assert "more than one image of 'baby' at x4, baby_x4.png and x4/baby.png" in text
        chosen = load_upsampler(f"folder:{tmp_path}?pattern=x{{scale}}/{{item}}.png")
        assert np.array_equal(to_uint8(ask(chosen)), values)

    def test_a_name_without_scale_counts_only_where_no_name_has_one(self, tmp_path):
        save(tmp_path / "baby.png")
        save(tmp_path / "bird_x4.png", seed=1)
        text = refusal(ask, load_upsampler(f"folder:{tmp_path}"))
        assert "no image of 'baby' at x4" in text
        assert "baby_x4.png" in text
        assert "?pattern=" in text

    @pytest.mark.parametrize("item", ["../secret", "/secret", "a/../../secret", "sr/../../secret"])
    def test_no_name_leads_out_of_the_folder(self, tmp_path, item):
        save(tmp_path / "secret_x4.png")
        save(tmp_path / "sr" / "baby_x4.png")
        absolute = str(tmp_path / "secret") if item == "/secret" else item
        assert "no image of" in refusal(ask, load_upsampler(f"folder:{tmp_path / 'sr'}"), absolute)

    def test_neither_does_a_pattern(self, tmp_path):
        save(tmp_path / "baby_x4.png")
        save(tmp_path / "sr" / "baby.png")
        text = refusal(
            load_upsampler, f"folder:{tmp_path / 'sr'}?pattern=../{{item}}_x{{scale}}.png"
        )
        assert "holds no file named like ../{item}_x{scale}.png" in text


class TestContents:
    def test_another_size_is_named(self, tmp_path):
        save(tmp_path / "baby_x4.png", (12, 15))
        text = refusal(ask, load_upsampler(f"folder:{tmp_path}"))
        assert text == (
            f"'{tmp_path / 'baby_x4.png'}' has 15x12 pixels, expected 16x12 as HR of 'baby' at x4"
        )

    def test_a_broken_image_is_named(self, tmp_path):
        save(tmp_path / "baby_x4.png")
        whole = (tmp_path / "baby_x4.png").read_bytes()
        (tmp_path / "baby_x4.png").write_bytes(whole[: len(whole) // 2])
        text = refusal(ask, load_upsampler(f"folder:{tmp_path}"))
        assert "baby_x4.png' cannot be decoded" in text

    def test_sixteen_bits_are_rounded_to_eight(self, tmp_path):
        levels = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16) * 341
        Image.fromarray(levels).save(tmp_path / "baby_x4.png")
        upsampler = load_upsampler(f"folder:{tmp_path}")
        expected = np.round(levels.astype(float) * 255 / 65535)
        assert np.array_equal(to_uint8(ask(upsampler))[:, :, 0], expected)
        assert upsampler.settings["values"] == "8-bit files, multiples of 1/255"

    def test_a_window_is_the_crop(self, tmp_path):
        values = save(tmp_path / "baby_x4.png")
        image = load_upsampler(f"folder:{tmp_path}").encode_case(Request("baby", 4, SIZE, LR))
        got = image.render((5, 4), pixel_window(SIZE, 3, 7, 5, 4))
        assert np.array_equal(to_uint8(got), values[3:8, 7:11])

    def test_one_image_answers_one_lr(self, tmp_path):
        save(tmp_path / "baby_x4.png")
        upsampler = load_upsampler(f"folder:{tmp_path}")
        ask(upsampler)
        ask(upsampler)
        text = refusal(ask, upsampler, lr=LR + 0.1)
        assert "has already answered another LR than this of 'baby' at x4" in text

    def test_lr_alone_is_refused(self, tmp_path):
        save(tmp_path / "baby_x4.png")
        assert "found by item and scale" in refusal(load_upsampler(f"folder:{tmp_path}").encode, LR)


class TestIdentity:
    def test_a_changed_image_changes_it_and_another_file_does_not(self, tmp_path):
        save(tmp_path / "baby_x4.png")
        (tmp_path / "notes.txt").write_text("x")
        first = load_upsampler(f"folder:{tmp_path}").weights
        assert first.id == str(tmp_path)
        (tmp_path / "notes.txt").write_text("y")
        assert load_upsampler(f"folder:{tmp_path}").weights == first
        save(tmp_path / "baby_x4.png", seed=1)
        second = load_upsampler(f"folder:{tmp_path}").weights
        (tmp_path / "baby_x4.png").rename(tmp_path / "bird_x4.png")
        third = load_upsampler(f"folder:{tmp_path}").weights
        assert len({first.sha256, second.sha256, third.sha256}) == 3

    def test_options(self, tmp_path):
        save(tmp_path / "sr" / "baby_x4.png")
        plain = load_upsampler(f"folder:{tmp_path / 'sr'}")
        assert (plain.name, plain.training_scales) == ("sr", None)
        named = load_upsampler(f"folder:{tmp_path / 'sr'}?name=SwinIR (L)&train=2,3-4")
        assert (named.name, named.training_scales) == ("SwinIR (L)", ((2, 2), (3, 4)))
        assert named.settings["train"] == "2,3-4"

    @pytest.mark.parametrize(
        ("argument", "message"),
        [
            ("nowhere", "folder 'nowhere' does not exist"),
            ("x" * 5000, "cannot be opened"),
            ("{here}/empty", "is empty"),
            ("{here}/text", "holds no image"),
            ("{here}/jpegs", "holds no file named like {item}.png (but 'baby.jpg')"),
            ("{here}/jpegs?pattern={scale}/{item}.jpg", "named like {scale}/{item}.jpg (but"),
            ("{here}/jpegs?pattern=x.jpg", "it needs {item}"),
            ("{here}/jpegs?pattern={item}{size}.jpg", "no other place in braces"),
            ("{here}/jpegs?pattern={item}.gif", "names no image"),
            ("{here}/jpegs?patern={item}.jpg", "unknown option 'patern': did you mean pattern"),
            ("{here}/jpegs?pattern={item}.jpg&name=a|b", "'a|b' cannot be a model's name"),
            ("{here}/jpegs?pattern={item}.jpg&name=", "'' cannot be a model's name"),
            ("{here}/jpegs?pattern={item}.jpg&train=4-2", "train=4-2 is not possible"),
        ],
    )
    def test_what_is_refused_at_load(self, tmp_path, argument, message):
        (tmp_path / "empty").mkdir()
        (tmp_path / "text").mkdir()
        (tmp_path / "text" / "a.txt").write_text("x")
        save(tmp_path / "jpegs" / "baby.jpg")
        spec = f"folder:{argument.replace('{here}', str(tmp_path))}"
        assert message in refusal(load_upsampler, spec)


class TestRuns:
    SCALES = (2.0, 2.5, 4.0)

    @pytest.fixture
    def photos(self, photo_folder):
        return f"folder:{photo_folder()}"

    @pytest.fixture
    def finished(self, photos, tmp_path):
        """What bicubic makes of the photographs, as another program might leave it."""
        bicubic = load_upsampler("bicubic")
        (tmp_path / "sr").mkdir()
        for item in load_dataset(photos).items:
            for scale in self.SCALES:
                case = make_case(load_protocol("liif-div2k"), item, scale)
                target = tmp_path / "sr" / f"{item.name.removesuffix('.png')}_x{scale:g}.png"
                write_rgb(to_uint8(render_case(bicubic, case)), target)
        return tmp_path / "sr"

    def run(self, photos, tmp_path, *models):
        return liif_bench.run(
            scales=list(self.SCALES), data=[photos], models=models, metrics=["psnr", "ssim"],
            out=tmp_path / "out", progress=False,
        )  # fmt: skip

    def test_bicubics_images_score_as_bicubic_to_the_last_bit(self, photos, finished, tmp_path):
        run = self.run(photos, tmp_path, "bicubic", f"folder:{finished}?name=theirs&train=1-4")
        values = run.records.pivot(
            index=["item", "scale", "metric"], columns="upsampler", values="value"
        )
        assert len(values) == 3 * 3 * 2
        assert values["bicubic"].notna().all()
        assert (values["bicubic"] == values["theirs"]).all()
        theirs = run.records[run.records["upsampler"] == "theirs"]
        assert set(theirs["regime"]) == {"in"}
        assert set(theirs["weights_sha256"]) == {run.manifest["weights"][str(finished)]}
        settings = run.manifest["plan"]["model_settings"]["theirs"]
        assert "{item}_x{scale}.png" in settings["pattern"]

    def test_a_missing_image_is_an_error_record(self, photos, finished, tmp_path):
        (finished / "photo1_x2.5.png").unlink()
        records = self.run(photos, tmp_path, f"folder:{finished}").records
        bad = records[records["error"].notna()]
        assert {*zip(bad["item"], bad["scale"], strict=True)} == {("photo1.png", 2.5)}
        assert re.search(r"looked for photo1_x2\.5\.png", bad["error"].iloc[0])
        assert str(finished) in bad["error"].iloc[0]
        assert len(records) == 18

    def test_changed_images_are_not_taken_for_the_same_run(self, photos, finished, tmp_path):
        self.run(photos, tmp_path, f"folder:{finished}")
        save(finished / "photo0_x2.png", (48, 64))
        with pytest.raises(LiifBenchError, match="another models"):
            self.run(photos, tmp_path, f"folder:{finished}")
