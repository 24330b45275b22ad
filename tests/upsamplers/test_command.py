import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import liif_bench
from liif_bench.errors import LiifBenchError
from liif_bench.images import to_uint8
from liif_bench.upsamplers import UPSAMPLERS, load_upsampler
from liif_bench.upsamplers.base import Request, pixel_window

SIZE = (12, 16)
ENLARGE = """
import sys
from PIL import Image
source, target, width, height = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
image = Image.open(source)
wide = image.resize((width, image.height), Image.Resampling.BICUBIC)  # one axis, then the other
wide.resize((width, height), Image.Resampling.BICUBIC).save(target)
"""
PLACES = "{input} {output} {width} {height}"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, none of which may be left in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.glob("liif-bench-*")) == []


@pytest.fixture
def program(tmp_path):
    """A function that writes a Python program and returns how it is called."""

    def write(code, places=PLACES, options=""):
        path = tmp_path / "enlarge.py"
        path.write_text(code)
        return f"command:{shlex.quote(sys.executable)} {shlex.quote(str(path))} {places}{options}"

    return write


def ask(spec, size=SIZE, scale=4.0):
    lr = torch.linspace(0, 1, 36).reshape(3, 3, 4)
    return load_upsampler(spec).encode_case(Request("baby", scale, size, lr))


def refusal(function, *arguments, **options):
    with pytest.raises(LiifBenchError) as error:
        function(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def stat(pid):
    """The state and the parent of a process by /proc; None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None


def alive(pid):
    """Whether a process runs; one that ended and waits to be reaped by init does not."""
    found = stat(pid)
    return found is not None and found[0] != "Z"


def children():
    """Processes that this one has started and not reaped."""
    processes = [each.name for each in Path("/proc").glob("[0-9]*")]
    return {pid for pid in processes if (found := stat(pid)) and found[1] == str(os.getpid())}


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")


class TestTheProgram:
    def test_its_image_is_the_answer(self, program):
        image = ask(program(ENLARGE))
        bicubic = load_upsampler("bicubic").encode(torch.linspace(0, 1, 36).reshape(3, 3, 4))
        assert torch.equal(image.render(SIZE), bicubic.render(SIZE))
        crop = image.render((5, 4), pixel_window(SIZE, 3, 7, 5, 4))
        assert torch.equal(crop, image.render(SIZE)[:, 3:8, 7:11])

    def test_what_it_is_told(self, program, tmp_path, temporary):
        seen = tmp_path / "seen.txt"
        code = f"import sys; open({str(seen)!r}, 'w').write(repr(sys.argv[1:]))"
        places = "'a b' --in={input} --out={output} {scale} {width}x{height} {other} '$HOME;{}'"
        refusal(ask, program(code, places), scale=3.7)
        told = eval(seen.read_text())
        assert told[0] == "a b"
        assert told[1].startswith(f"--in={temporary}")
        assert told[3:] == ["3.7", "16x12", "{other}", "$HOME;{}"]

    def test_lr_is_rounded_to_eight_bits(self, program, tmp_path):
        kept = tmp_path / "kept.png"
        refusal(ask, program(f"import shutil, sys; shutil.copy(sys.argv[1], {str(kept)!r})"))
        from liif_bench.images import read_rgb

        expected = to_uint8(torch.linspace(0, 1, 36).reshape(3, 3, 4))
        assert np.array_equal(read_rgb(kept), expected)

    def test_it_is_told_nothing_on_standard_input(self, program):
        image = ask(program(f"import sys\nassert sys.stdin.read() == ''\n{ENLARGE}"))
        assert image.pixels.shape == (3, *SIZE)

    def test_what_it_prints_is_bounded(self, program):
        chatter = "import sys\nfor _ in range(200): print('x' * 100_000); print(file=sys.stderr)\n"
        assert ask(program(chatter + ENLARGE)).pixels.shape == (3, *SIZE)

    def test_lr_alone_is_refused(self, program):
        text = refusal(load_upsampler(program(ENLARGE)).encode, torch.zeros(3, 3, 4))
        assert "is run for a size" in text


WRITE = "import sys; from PIL import Image; Image.new('{mode}', ({size})).save(sys.argv[2]{more})"


class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("raise SystemExit('no\\nmemory')", "ended with exit status 1; it said: memory"),
            ("print('odd'); raise SystemExit(3)", "ended with exit status 3; it said: odd"),
            ("import os; os._exit(7)", "ended with exit status 7"),
            ("import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
            ("print('done')", "wrote no file to {output}; it said: done"),
            ("print('\\x1b[31m\\xff rot\\x07\\n\\n')", "it said: [31m"),
            ("import sys; open(sys.argv[2], 'w').write('text')", "'{output}' is not an image"),
            ("import sys; open(sys.argv[2], 'w')", "wrote no image: '{output}' is not an image"),
            ("import sys, os; os.mkdir(sys.argv[2])", "wrote no file to {output}"),
            ("import sys, os; os.mkfifo(sys.argv[2])", "wrote no file to {output}"),
            ("import sys, os; os.symlink(sys.argv[1], sys.argv[2])", "wrote no file to {output}"),
            (
                WRITE.format(mode="RGB", size="16, 11", more=""),
                "wrote 16x11 pixels, expected 16x12",
            ),
            (WRITE.format(mode="L", size="16, 12", more=""), "wrote PNG in L, expected PNG in RGB"),
            (WRITE.format(mode="P", size="16, 12", more=""), "wrote PNG in P, expected PNG in RGB"),
            (WRITE.format(mode="RGBA", size="16, 12", more=""), "wrote PNG in RGBA, expected"),
            (
                WRITE.format(mode="RGB", size="16, 12", more=", transparency=(0, 0, 0)"),
                "wrote PNG in RGBA, expected",
            ),
            (WRITE.format(mode="RGB", size="16, 12", more=", 'JPEG'"), "wrote JPEG in RGB"),
        ],
    )
    def test_the_reason_is_one_line(self, program, code, message):
        before = children()
        assert message in refusal(ask, program(code))
        assert children() <= before

    @needs_proc
    def test_a_program_that_hangs_is_stopped_with_all_that_it_started(self, program, tmp_path):
        pids = tmp_path / "pids"
        sleeper = (
            f"import os, time; open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(99)"
        )
        hang = (
            "import subprocess, sys, time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            f"for _ in range(2): subprocess.Popen([sys.executable, '-c', {sleeper!r}])\n"
            f"{sleeper}"
        )
        before, start = children(), time.monotonic()
        text = refusal(ask, program(hang, options="?timeout=2"))
        assert 2 <= time.monotonic() - start < 8
        assert "took longer than 2 s and was stopped (allow more with ?timeout=)" in text
        assert len(pids.read_text().split()) == 3
        wait_until(lambda: not any(map(alive, pids.read_text().split())))
        assert children() <= before

    @needs_proc
    def test_what_it_leaves_running_in_the_background_is_ended_too(self, program, tmp_path):
        pid = tmp_path / "pid"
        leave = (
            "import subprocess, sys\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])\n"
            f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        )
        before, start = children(), time.monotonic()
        assert ask(program(leave + ENLARGE)).pixels.shape == (3, *SIZE)
        assert time.monotonic() - start < 8
        wait_until(lambda: not alive(pid.read_text()))
        assert children() <= before

    def test_a_program_that_cannot_be_started_says_so(self, tmp_path):
        broken = tmp_path / "broken"
        broken.write_text("no program at all")
        broken.chmod(0o755)
        text = refusal(ask, f"command:{broken} {PLACES}")
        assert f"'{broken}' cannot be started" in text


def wait_until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class TestLoading:
    @pytest.mark.parametrize(
        ("argument", "message"),
        [
            ("no-such-program {input} {output}", "program 'no-such-program' does not exist"),
            ("{here}/text {input} {output}", "text' does not exist, or cannot be executed"),
            ("cp {input}", "has no {output}"),
            ("cp {output}", "has no {input}"),
            ("{input} {output}", "has no {input}"),
            ("cp '{input} {output}", "cannot be split: No closing quotation"),
            ("  ?timeout=5", "the command is empty"),
            ("cp {input} {output}?timeout=0", "use a whole number from 1 to"),
            ("cp {input} {output}?timeout=soon", "timeout=soon is not possible"),
            ("cp {input} {output}?limit=5", "unknown option 'limit'"),
            ("cp {input} {output}?name=a\tb", "cannot be a model's name"),
            ("cp {input} {output}?train=x", "train=x is not possible"),
        ],
    )
    def test_what_is_refused(self, argument, message, tmp_path):
        (tmp_path / "text").write_text("no program")
        (tmp_path / "text").chmod(0o644)
        spec = f"command:{argument.replace('{here}', str(tmp_path))}"
        assert message in refusal(load_upsampler, spec)

    def test_names_and_settings(self, program):
        spec = program(ENLARGE)
        plain = load_upsampler(spec)
        assert (plain.name, plain.training_scales) == ("enlarge", None)
        assert plain.settings["timeout"] == "600 s"
        assert plain.settings["argv"] == spec.removeprefix("command:").replace(
            PLACES, " ".join(map(shlex.quote, PLACES.split()))
        )
        assert load_upsampler("command:cp {input} {output}").name == "cp"
        named = load_upsampler(f"{spec}?name=mine x4&train=2,4&timeout=9")
        assert (named.name, named.training_scales) == ("mine x4", ((2, 2), (4, 4)))
        assert named.settings["timeout"] == "9 s"

    def test_the_identity_is_that_of_the_files_that_are_named(self, program, tmp_path):
        weights = tmp_path / "net.pth"
        weights.write_bytes(b"1")
        places = f"{PLACES} --weights={weights}"
        first = load_upsampler(program(ENLARGE, places)).weights
        assert load_upsampler(program(ENLARGE, places, "?timeout=9")).weights == first
        changed = [load_upsampler(program(ENLARGE + "\n", places)).weights]
        weights.write_bytes(b"2")
        changed.append(load_upsampler(program(ENLARGE, places)).weights)
        changed.append(load_upsampler(program(ENLARGE, f"{places} -v")).weights)
        assert len({each.sha256 for each in [first, *changed]}) == 4

    def test_it_is_said_that_somebody_elses_code_runs(self, program):
        said = []
        spec = program(ENLARGE)
        load_upsampler(spec, notice=said.append)
        assert said == [f"{spec}: this model runs a program of yours, with your rights"]
        with pytest.raises(LiifBenchError, match="if you trust it, name it yourself with --model"):
            UPSAMPLERS.refuse_foreign([spec], "suite 'x'")


class TestRuns:
    def run(self, photo_folder, tmp_path, models, scales=(2, 2.5, 4)):
        return liif_bench.run(
            scales=list(scales), data=[f"folder:{photo_folder()}"], models=models,
            metrics=["psnr", "ssim"], out=tmp_path / "out", progress=False,
        ).records  # fmt: skip

    def test_bicubic_in_a_program_scores_as_bicubic_to_the_last_bit(
        self, photo_folder, program, tmp_path
    ):
        records = self.run(photo_folder, tmp_path, ["bicubic", program(ENLARGE)])
        values = records.pivot(
            index=["item", "scale", "metric"], columns="upsampler", values="value"
        )
        assert len(values) == 3 * 3 * 2
        assert values["bicubic"].notna().all()
        assert (values["bicubic"] == values["enlarge"]).all()

    def test_a_case_that_fails_is_a_record_and_the_rest_goes_on(
        self, photo_folder, program, tmp_path
    ):
        moody = f"import sys\nif sys.argv[3] == '62': sys.exit('not today')\n{ENLARGE}"
        records = self.run(photo_folder, tmp_path, [program(moody), "nearest"])
        bad = records[records["error"].notna()]
        assert set(bad["scale"]) == {2.5}
        assert set(bad["upsampler"]) == {"enlarge"}
        assert bad["error"].str.endswith("ended with exit status 1; it said: not today").all()
        assert len(bad) == 3 * 2
        assert len(records) == 3 * 3 * 2 * 2

    @needs_proc
    def test_an_interrupted_run_ends_the_program(self, photo_folder, program, tmp_path):
        pid = tmp_path / "pid"
        hang = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(99)"
        out = tmp_path / "out"
        process = subprocess.Popen(
            [
                sys.executable, "-m", "liif_bench", "run", "--data", f"folder:{photo_folder()}",
                "--model", program(hang), "--metrics", "psnr", "--scales", "2", "--out", str(out),
            ],
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": tempfile.gettempdir()},
        )  # fmt: skip
        wait_until(lambda: pid.exists() and pid.read_text(), seconds=60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
        wait_until(lambda: not alive(pid.read_text()))
