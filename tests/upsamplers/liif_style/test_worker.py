"""Workers that misbehave, and what becomes of them."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from processes_of import children, is_running, wait_until

import liif_bench
from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options, pixel_window

LR = torch.rand(3, 8, 10, generator=torch.Generator().manual_seed(0))


def repeated(lr, factor):
    return lr.repeat_interleave(factor, 1).repeat_interleave(factor, 2)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"at_import": "import no_such_module"}, "ModuleNotFoundError: No module named 'no_such_"),
        ({"at_import": "sys.exit('not today')"}, "SystemExit: not today"),
        ({"at_encode": "raise ValueError('of two\\nlines')"}, "ValueError: of two lines"),
        ({"at_encode": "input()"}, "EOFError"),
        ({"at_query": "return rgb[..., :2]"}, r"answered \(1, 160, 2\), expected \(1, 160, 3\)"),
        ({"at_query": "return rgb[:, 1:]"}, r"answered \(1, 159, 3\), expected \(1, 160, 3\)"),
        ({"at_query": "raise ValueError('much ' * 999)"}, r"ValueError: much much .*\.\.\.$"),
        ({"at_query": "rgb[:, 3, 1] = float('nan')"}, "values that are not finite"),
        (
            {"at_query": "print('all is lost', file=sys.stderr); os._exit(7)"},
            "the worker ended with exit status 7; it last said: all is lost",
        ),
        ({"at_query": "os.kill(os.getpid(), 11)"}, "the worker was ended by SIGSEGV"),
    ],
)
def test_a_worker_that_fails_is_an_error_of_one_line(repository, where, message):
    upsampler = load_upsampler(repository(**where), Options())
    with pytest.raises(LiifBenchError, match=message) as caught:
        upsampler.encode(LR).render((16, 10))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert children() == set()  # also while the upsampler is still there


def test_what_it_prints_and_writes_to_its_output_changes_nothing(repository):
    noise = "print('x' * 100000); os.system('echo y'); os.write(1, b'z' * 100000)"
    upsampler = load_upsampler(repository(noise, noise, noise, "&chunk=50"), Options())
    image = upsampler.encode(LR)
    torch.testing.assert_close(image.render((16, 20)), repeated(LR, 2), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("pad", "shape"), [(8, "(16, 16)"), (24, "(24, 24)")])
def test_lr_is_mirrored_up_to_a_multiple_and_that_part_is_not_shown(repository, pad, shape):
    checks = f"""assert inp.shape[2:] == {shape}
        assert inp[..., 8:16, :].equal(inp[..., :8, :].flip(2))
        assert inp[..., 16:, :].equal(inp[..., : inp.shape[2] - 16, :])
        assert inp[..., 10:16].equal(inp[..., 4:10].flip(3))"""
    upsampler = load_upsampler(repository(at_encode=checks, options=f"&pad={pad}"), Options())
    image = upsampler.encode(LR)
    torch.testing.assert_close(image.render((16, 20)), repeated(LR, 2), rtol=0, atol=1e-6)
    part = image.render((4, 6), pixel_window((16, 20), 5, 7, 4, 6))
    torch.testing.assert_close(part, repeated(LR, 2)[:, 5:9, 7:13], rtol=0, atol=1e-6)


def test_rubbish_instead_of_messages_is_an_error(repository):
    writes = """
for fd in range(3, 20):
    try:
        os.write(fd, b"rubbish" * 9)
    except OSError:
        pass
"""
    upsampler = load_upsampler(repository(writes), Options())
    with pytest.raises(LiifBenchError, match=r"its output is not the worker's: b'rubbish"):
        upsampler.encode(LR)


def test_a_program_that_is_no_python_is_an_error(repository):
    upsampler = load_upsampler(repository(options=f"&python={shutil.which('echo')}"), Options())
    with pytest.raises(LiifBenchError, match=r"output is not the worker's|exit status 0"):
        upsampler.encode(LR)


def test_its_own_python_is_given_nothing_but_the_script(repository, tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "$RUN" "$1"\n')
    python.chmod(0o755)
    program = """
import runpy, sys
sys.modules["liif_bench"] = None  # whoever imports it gets an ImportError
runpy.run_path(sys.argv[1], run_name="__main__")
"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUN", program)
        upsampler = load_upsampler(repository(options=f"&python={python}"), Options())
        assert upsampler.settings["python"] == str(python)
        got = upsampler.encode(LR).render((16, 20))
    torch.testing.assert_close(got, repeated(LR, 2), rtol=0, atol=1e-6)


def test_a_worker_that_hangs_is_ended_with_its_children_and_started_anew(repository, tmp_path):
    hang = """if coord.shape[1] == 80:
            started = subprocess.Popen(["sleep", "1000"])
            open("pid", "w").write(str(started.pid))
            time.sleep(1000)"""
    upsampler = load_upsampler(repository(at_query=hang), Options())
    image = upsampler.encode(LR)
    (worker,) = children()
    upsampler.session._worker._timeout = 1  # importing torch may take longer than that
    with pytest.raises(LiifBenchError, match="no answer within 1 s"):
        image.render((8, 10))
    assert children() == set()
    assert not is_running(worker)
    assert not is_running(int((tmp_path / "their code" / "pid").read_text()))
    torch.testing.assert_close(image.render((16, 20)), repeated(LR, 2), rtol=0, atol=1e-6)


def test_images_are_encoded_once_and_told_apart(repository):
    upsampler = load_upsampler(
        repository(at_encode="print('encoded', inp.shape, file=sys.stderr)"), Options()
    )
    first, second = upsampler.encode(LR), upsampler.encode(LR.flip(1))
    for _ in range(2):
        torch.testing.assert_close(second.render((16, 20)), repeated(LR.flip(1), 2))
    torch.testing.assert_close(first.render((16, 20)), repeated(LR, 2))
    upsampler.session._worker.close()
    words = upsampler.session._worker._last_words
    words.line()
    assert words._end.count(b"encoded") == 3  # two, and the first again


def test_ctrl_c_leaves_no_worker(repository):
    upsampler = load_upsampler(repository(at_query="time.sleep(1000)"), Options())
    image = upsampler.encode(LR)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        image.render((16, 20))
    assert children() == set()


def test_an_upsampler_that_goes_takes_its_worker_along(repository):
    upsampler = load_upsampler(repository(), Options())
    image = upsampler.encode(LR)
    (worker,) = children()
    del upsampler, image
    gc.collect()
    assert not is_running(worker)
    assert children() == set()


@pytest.mark.parametrize("at_query", ["pass", "while True: pass"])
def test_a_killed_parent_leaves_no_worker(repository, at_query):
    program = """
import sys, torch
from liif_bench.upsamplers import load_upsampler
image = load_upsampler(sys.argv[1]).encode(torch.rand(3, 8, 8))
print("ready", flush=True)
image.render((16, 16))
print("rendered", flush=True)
input()
"""
    spec = repository(at_query=at_query)
    parent = subprocess.Popen(
        [sys.executable, "-c", program, spec], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert parent.stdout.readline() == b"ready\n"
    if at_query == "pass":
        assert parent.stdout.readline() == b"rendered\n"
    (worker,) = children(parent.pid)
    time.sleep(0.3)
    assert is_running(worker)
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    wait_until(lambda: not is_running(worker))


class TestTrust:
    """Checkpoints that hold more than tensors."""

    @pytest.fixture
    def spec(self, repository, tmp_path):
        spec = repository(at_import="class Extra:\n    pass")
        made = "import models, torch; torch.save({'model': models.Extra()}, 'm.pth')"
        subprocess.run([sys.executable, "-c", made], cwd=tmp_path / "their code", check=True)
        return spec

    def test_are_refused(self, spec):
        with pytest.raises(LiifBenchError, match="if you trust it, add trust=yes"):
            load_upsampler(spec, Options()).encode(LR)

    def test_are_read_where_the_user_says_so(self, spec):
        got = load_upsampler(f"{spec}&trust=yes", Options()).encode(LR).render((16, 20))
        torch.testing.assert_close(got, repeated(LR, 2), rtol=0, atol=1e-6)


def test_a_run_goes_on_after_a_crash(repository, photo_folder, tmp_path):
    spec = repository(at_encode="inp.shape[-1] == 16 and os._exit(9)")  # at x4 of 64 pixels
    run = liif_bench.run(
        scales=[2, 4, 8], data=[f"folder:{photo_folder(count=2)}"], models=["bicubic", spec],
        metrics=["psnr"], protocol="basicsr-y", out=tmp_path / "out", progress=False,
    )  # fmt: skip
    records = run.records
    failed = records[records["error"].notna()]
    assert set(failed["scale"]) == {4}
    assert set(failed["upsampler"]) == {"liif-style:m"}
    assert failed["error"].str.contains("the worker ended with exit status 9").all()
    assert len(failed) == 2
    assert records[records["error"].isna()]["value"].notna().sum() == 2 * 5
    assert run.manifest["plan"]["model_settings"]["liif-style:m"]["call"] == "auto"
