import gc
import subprocess
import sys
import time

import pytest
from processes_of import children, is_running, wait_until

from liif_bench.upsamplers.processes import (
    LastWords,
    await_end,
    describe_status,
    end_group,
    start_group,
)


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = children()
    yield
    gc.collect()
    assert children() == before


def start(program, folder):
    return start_group([sys.executable, "-c", program], folder)


def test_it_runs_in_its_folder_and_hears_no_shell(tmp_path):
    process = start("import os, sys; print(os.getcwd()); print(sys.stdin.readline())", tmp_path)
    process.stdin.write(b"$HOME; echo\n")
    process.stdin.flush()
    assert process.stdout.read().decode().splitlines()[:2] == [str(tmp_path), "$HOME; echo"]
    assert await_end(process) == 0
    process.stderr.close()


def test_what_it_started_ends_with_it(tmp_path):
    program = """
import subprocess, time
print(subprocess.Popen(["sleep", "1000"]).pid, flush=True)
time.sleep(1000)
"""
    process = start(program, tmp_path)
    grandchild = int(process.stdout.readline())
    assert is_running(grandchild)
    assert end_group(process) == -9
    wait_until(lambda: not is_running(grandchild))
    assert end_group(process) == -9  # once more does no harm
    process.stderr.close()


def test_what_it_started_ends_also_where_it_ended_by_itself(tmp_path):
    program = 'import subprocess; print(subprocess.Popen(["sleep", "1000"]).pid, flush=True)'
    process = start(program, tmp_path)
    grandchild = int(process.stdout.readline())
    assert await_end(process) == 0
    wait_until(lambda: not is_running(grandchild))
    process.stderr.close()


def test_one_that_does_not_end_is_ended(tmp_path):
    process = start("import time; time.sleep(1000)", tmp_path)
    begin = time.monotonic()
    assert await_end(process, 0.2) == -9
    assert time.monotonic() - begin < 10
    process.stderr.close()


def test_a_program_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="no-such-program"):
        start_group(["no-such-program"], tmp_path)


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("print('first'); print('last line  '); print()", "last line"),
        ("print('bar 1\\rbar 2', end='')", "bar 2"),
        ("pass", ""),
        ("print('x' * 10_000_000); print('end')", "end"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe')", "��"),
    ],
)
def test_last_words_are_the_last_line_that_says_anything(program, line):
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; {program}"], stdout=subprocess.PIPE
    )
    words = LastWords(process.stdout)
    assert process.wait() == 0
    assert words.line() == line


def test_statuses_are_words():
    assert describe_status(3) == "ended with exit status 3"
    assert describe_status(-11) == "was ended by SIGSEGV"
    assert describe_status(-250) == "was ended by signal 250"
