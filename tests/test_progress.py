import io

import pytest
from rich.console import Console

from liif_bench.progress import Bars, silent


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
