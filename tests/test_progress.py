import io
import json
import time

import pytest
from rich.console import Console

from liif_bench import progress
from liif_bench.board import Board
from liif_bench.errors import LiifBenchError
from liif_bench.progress import Bars, duration, live_view, logging_to, silent


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), force_terminal=True, width=80)


def test_the_bar_names_the_case_and_says_what_is_already_done(screen):
    with Bars(screen).cases(total=5, waiting=3, cost=3.0) as advance:
        advance("photo[0].png x8 · liif-edsr", 0)
        advance("photo[0].png x8", 1.0)
    shown = screen.file.getvalue()
    assert "continuing: 2 of 5 cases are done" in shown
    assert "photo[0].png x8" in shown
    assert "left" in shown


def test_a_finished_run_shows_no_bar(screen):
    with Bars(screen).cases(total=5, waiting=0, cost=0.0) as advance:
        advance("nothing", 1.0)
    assert screen.file.getvalue().strip() == "continuing: 5 of 5 cases are done"


def test_warnings_are_shown_as_they_are(screen):
    Bars(screen).warn("put '[a]file.pth' there")
    assert "put '[a]file.pth' there" in screen.file.getvalue()


def test_silence_is_silent(capsys):
    with silent.cases(1, 1, 1.0) as advance:
        advance("x", 1.0)
    silent.warn("x")
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def board():
    board = Board(total=4, before=1, cost=3.0)
    board.step(0, "photo[0].png x8 · liif-edsr")
    board.finished("photo1.png x8", 1.0, 2.0, 1, {"liif-edsr: render": 1.5, "psnr": 0.1})
    return board


def test_the_board_counts_and_tells_the_time_left():
    board = Board(total=4, before=1, cost=3.0)
    assert board.snapshot().left is None
    board.finished("a", 1.0, 2.0, 0, {})
    time.sleep(0.05)
    state = board.snapshot()
    assert (state.done, state.measured, state.share) == (2, 1, 0.5)
    assert state.left == pytest.approx(2 * state.elapsed, rel=0.05)
    board.finished("b", 2.0, 2.0, 0, {})
    assert board.snapshot().left == 0


def test_a_terminal_shows_the_bar_the_case_the_costs_and_what_is_missing(board, screen):
    with Bars(screen).watch(board):
        time.sleep(0.4)
    shown = screen.file.getvalue()
    assert "continuing: 1 of 4 cases are done" in shown
    assert "2 of 4 cases" in shown
    assert "photo[0].png x8 · liif-edsr" in shown
    assert "s per case: liif-edsr: render 1.5, psnr 0.1" in shown
    assert "1 value missing" in shown


def test_many_workers_are_shown_by_number_and_the_rest_counted(screen):
    board = Board(total=99, before=0, cost=99.0)
    for number in range(11):
        board.step(number, f"image{number} x2")
    screen.print(live_view(board.snapshot()))
    shown = screen.file.getvalue()
    assert "0: image0 x2" in shown
    assert "7: image7 x2" in shown
    assert "image8" not in shown
    assert "and 3 more at work" in shown
    board.idle(0)
    screen.print(live_view(board.snapshot()))
    assert "and 2 more at work" in screen.file.getvalue()


def test_elsewhere_a_line_now_and_then(board, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_LINE", 0.05)
    monkeypatch.setattr(progress, "EVERY", 60.0)
    file = Console(file=io.StringIO(), width=80)
    with Bars(file).watch(board):
        time.sleep(0.3)
    lines = file.file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("2 of 4 cases · 0 s, 0 s left · 1 value missing · s per case: liif")


def test_quiet_shows_nothing(board, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_LINE", 0.01)
    quiet = Console(file=io.StringIO(), quiet=True)
    with Bars(quiet).watch(board):
        time.sleep(0.05)
    assert quiet.file.getvalue() == ""


def test_the_log_is_an_object_per_line(tmp_path):
    with logging_to(tmp_path / "log.jsonl") as log:
        board = Board(total=2, before=0, cost=2.0, heard=log)
        board.finished("ü x2", 1.0, 0.51234, 2, {})
        board.warn("careful")
    first, second = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "event": "case", "case": "ü x2", "seconds": 0.512, "failures": 2, "done": 1, "total": 2,
    }  # fmt: skip
    assert second["message"] == "careful"


def test_a_log_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(LiifBenchError, match="cannot write --json-log"), logging_to(tmp_path):
        pass


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (185, "3:05 min"), (3599.6, "1:00 h"), (8050, "2:14 h")],
)
def test_durations_are_written_as_people_read_them(seconds, text):
    assert duration(seconds) == text
