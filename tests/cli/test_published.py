"""``reproduce``, ``audit`` and tables of several runs, as a user types them."""

import csv
import io
import json
import shutil

import pytest
from commands import call, refused
from PIL import Image


def again(finished, out, *more):
    """The fixture's run measured once more, otherwise."""
    data = finished[0].parent
    done = call(
        "run", "--scales", "2,2.5", "--models", "nearest,bicubic", "--metrics", "psnr,ssim",
        "--data", f"folder:{data}", "--out", out, *more,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


class TestTables:
    def test_runs_of_one_protocol_stand_side_by_side(self, finished, tmp_path):
        other = again(finished, tmp_path / "other")
        done = call("table", finished[0], other)
        assert done.returncode == 0
        for name in ("bicubic · out", "bicubic · other", "nearest · out", "nearest · other"):
            assert name in done.stdout

    def test_runs_of_two_protocols_are_refused_with_the_fields(self, finished, tmp_path):
        other = again(finished, tmp_path / "other", "--protocol", "linf-lpips")
        message = refused("table", finished[0], other)
        assert "ssim.shave_scale: 1.0 and 0.0" in message
        assert "--across-protocols" in message
        done = call("table", finished[0], other, "--across-protocols")
        assert done.returncode == 0
        assert "bicubic · liif-div2k" in done.stdout
        assert "bicubic · linf-lpips" in done.stdout

    def test_a_preset_of_ones_own_decides_the_numbers(self, finished, tmp_path):
        path = tmp_path / "mine.toml"
        text = call("protocol", "show", "liif-div2k").stdout
        path.write_text(text.replace("shave_extra = 6", "shave_extra = 0"))
        run = again(finished, tmp_path / "other", "--protocol", path)
        assert "protocol mine (" in (run / "table.md").read_text()
        assert "shave s, " in (run / "table.md").read_text()


class TestAudit:
    def test_a_run_is_audited(self, finished):
        out, _ = finished
        done = call("audit", out, "--models", "bicubic", "--protocols", "mmagic,clit-ssim")
        assert done.returncode == 0, done.stderr
        for words in (
            "PSNR dB under each protocol, and offset from liif-benchmark",
            "one choice of liif-benchmark changed at a time",
            "- mmagic in PSNR at x2 / x2.5:",
            "colour y-liif -> rgb",
        ):
            assert words in " ".join(done.stdout.split())
        assert max(map(len, done.stdout.splitlines())) <= 100

    def test_as_csv_in_a_file(self, finished, tmp_path):
        target = tmp_path / "audit.csv"
        done = call("audit", finished[0], "--scales", "2", "--format", "csv", "-o", target)
        assert (done.returncode, done.stdout) == (0, "")
        rows = list(csv.reader(io.StringIO(target.read_text())))
        assert rows[0] == ["table", "protocol", "x2", "offset"]
        assert all(len(row) > 3 for row in rows)

    def test_images_made_elsewhere(self, tmp_path):
        for folder in ("sr", "hr"):
            (tmp_path / folder).mkdir()
        picture = Image.effect_mandelbrot((64, 48), (-2, -1.5, 1, 1.5), 40).convert("RGB")
        picture.save(tmp_path / "hr/m.png")
        picture.resize((16, 12)).resize((64, 48)).save(tmp_path / "sr/m_x4.png")
        done = call("audit", tmp_path / "sr", "--hr", tmp_path / "hr", "--scale", "4")
        assert done.returncode == 0, done.stderr
        assert "hr, sr: PSNR dB under each protocol" in done.stdout
        assert "pil-bicubic" not in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["RUN", "--against", "liif"], "unknown protocol 'liif'"),
            (["RUN", "--protocols", "mmagick"], "did you mean mmagic"),
            (["RUN", "--protocols", ","], "the list of protocols is empty"),
            (["RUN", "--metrics", "zoom-kl"], "unknown audited metric 'zoom-kl'"),
            (["RUN", "--scales", "3"], "scale 3.0 is not part of the run"),
            (["RUN", "--models", "liif-edsr"], "model liif-edsr is not part of the run"),
            (["RUN", "--hr", "."], "is a run: --hr and --scale are for folders of images"),
            (["nowhere"], "'nowhere' is not a run: to audit images, add --hr and --scale"),
            (["nowhere", "--hr", "."], "add --hr and --scale"),
            (["nowhere", "--hr", ".", "--scale", "0"], "scale 0 is not possible"),
            (["nowhere", "--hr", "nope", "--scale", "4"], "folder 'nope' does not exist"),
            (["RUN", "-o", "audit.txt"], "--output needs --format markdown or csv"),
        ],
    )
    def test_wrong_usage_is_one_line_and_2(self, finished, tmp_path, arguments, message):
        given = [finished[0] if word == "RUN" else word for word in arguments]
        assert message in refused("audit", *given, cwd=tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_run_that_does_not_say_what_it_measured_is_refused(self, finished, tmp_path):
        run = tmp_path / "run"
        shutil.copytree(finished[0], run)
        manifest = json.loads((run / "manifest.json").read_text())
        del manifest["request"]
        (run / "manifest.json").write_text(json.dumps(manifest))
        assert "does not say which data it measured" in refused("audit", run)


class TestReproduce:
    @pytest.mark.data
    @pytest.mark.weights
    def test_a_published_table_is_met_with_exit_code_0(self, reference_data, tmp_path, weights):
        weights("liif-edsr")
        done = call(
            "reproduce", "liif-table2", "--scales", "8", "--data", "set5", "--data", "b100",
            "--data-root", reference_data, "--out", tmp_path / "run",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        text = " ".join(done.stdout.split())
        assert "26.9761 26.98 -0.0039 met" in text
        assert "not run: b100: data set 'b100' is not below the data root" in text
        assert "liif-bench data fetch b100" in text
        shown = call("table", tmp_path / "run", "--references")
        assert "† RDN-LIIF" in shown.stdout
        assert "27.14‡" in shown.stdout  # whose LR was made by Pillow, ours is the set's file

    def test_wrong_usage_is_one_line_and_2(self, tmp_path):
        assert "did you mean liif-table" in refused("reproduce", "liif-table3", cwd=tmp_path)
        message = refused("reproduce", "liif-table1", "--data-root", tmp_path, cwd=tmp_path)
        assert "liif-bench data fetch div2k-valid" in message
        assert "nothing is published" in refused("reproduce", "sample", cwd=tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestBadData:
    @pytest.fixture
    def five(self, tmp_path):
        for name, level in (("a", 10), ("b", 20)):
            for path, size in ((f"HR/{name}", 48), (f"LR_bicubic/X2/{name}x2", 24)):
                file = tmp_path / "five" / f"{path}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (size, size), (level, 0, 0)).save(file)
        return tmp_path / "five"

    def refusal(self, five):
        return refused("run", "--data", f"paired:{five}", "--scales", "2", cwd=five.parent)

    def test_lr_and_hr_that_do_not_fit(self, five):
        Image.new("RGB", (23, 24)).save(five / "LR_bicubic/X2/bx2.png")
        message = self.refusal(five)
        assert "bx2.png" in message
        assert "23x24" in message

    def test_hr_without_lr_and_the_reverse(self, five):
        (five / "LR_bicubic/X2/bx2.png").unlink()
        assert "bx2.png" in self.refusal(five)
        (five / "LR_bicubic/X2/ax2.png").rename(five / "LR_bicubic/X2/bx2.png")
        (five / "HR/a.png").rename(five / "HR/c.png")
        message = self.refusal(five)
        assert "'" + str(five / "HR/b.png") in message or "c" in message

    def test_duplicate_names_and_mixed_extensions(self, five):
        Image.new("RGB", (48, 48)).save(five / "HR/b.bmp")
        message = self.refusal(five)
        assert "b.bmp" in message
        (five / "HR/b.bmp").unlink()
        (five / "HR/b.png").unlink()
        Image.new("RGB", (48, 48)).save(five / "HR/b.jpg")
        assert "b.jpg" in self.refusal(five)
