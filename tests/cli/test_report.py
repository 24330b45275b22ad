"""``liif-bench report`` as a user meets it."""

import pytest
from commands import call, refused
from made_runs import usual, write_run


def test_a_report_is_written_beside_its_run_and_listed(tmp_path):
    write_run(tmp_path / "one", usual())
    done = call("report", tmp_path / "one")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(tmp_path / "one" / "report.html")
    assert "liif-edsr" in (tmp_path / "one" / "report.html").read_text(encoding="utf-8")
    done = call("report", "--index", tmp_path)
    assert done.stdout.strip() == str(tmp_path / "index.html")
    assert 'href="one/report.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_what_is_left_out_is_said(tmp_path):
    write_run(tmp_path / "one", usual(), finished=None)
    done = call("report", tmp_path / "one", "--max-size", 0, "-o", tmp_path / "page.html")
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "page.html"))
    assert "note: the run 'one' is not finished: cases are missing" in done.stderr
    assert "note: 3 of 3 figures were left out to stay within --max-size 0 MB" in done.stderr
    assert "pictures of 6 of 6 cases were left out to stay within --max-size 0 MB" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give folders of runs, or --index FOLDER"),
        (("RUN", "--index", "RUN"), "give folders of runs, or --index FOLDER"),
        (("RUN", "RUN"), "was given twice"),
        (("RUN", "--max-size", "-1"), "--max-size must be at least 0, got -1"),
        (("RUN", "--max-size", "nan"), "--max-size must be at least 0, got nan"),
        (("RUN", "--max-size", "inf"), "--max-size must be at least 0, got inf"),
        (("RUN", "--baseline", "bicubik"), "did you mean bicubic?"),
        (("RUN", "-o", "nowhere/page.html"), "cannot write 'nowhere/page.html'"),
        (("nowhere",), "'nowhere' is not a run"),
    ],
)
def test_wrong_words_are_refused_in_one_line(tmp_path, arguments, message):
    run = write_run(tmp_path / "run", usual())
    told = refused("report", *(run if word == "RUN" else word for word in arguments))
    assert message in told
