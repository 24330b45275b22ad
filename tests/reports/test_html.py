"""The report as a file: what stands in it, what is escaped, what it may not ask for."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from frames import made_up
from made_runs import usual, write_run

from liif_bench.errors import LiifBenchError
from liif_bench.records import load_run
from liif_bench.reports.html.index import build_index
from liif_bench.reports.html.report import build_report

EVIL = (
    "<script>alert(1)</script> \"quoted\" 'single' & a_b 100% $x_1$ $ ü漢"
    " </title><img src=x onerror=alert(2)>"
)


class Page(HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.texts = []
        self.inside = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((self.inside[-1] if self.inside else "", data))

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def data(self, identifier):
        """The JSON of a script element."""
        place = [n for n, e in enumerate(self.elements) if e[1].get("id") == identifier]
        assert len(place) == 1
        scripts = [n for n, e in enumerate(self.elements) if e[0] == "script"]
        texts = [text for tag, text in self.texts if tag == "script"]
        return json.loads(texts[scripts.index(place[0])])

    @property
    def shown(self):
        return " ".join(
            " ".join(t for tag, t in self.texts if tag not in ("script", "style")).split()
        )


def page_of(*folders, **options):
    report = build_report([load_run(folder) for folder in folders], **options)
    return Page(report.html), report


class TestWhatStandsInIt:
    def test_the_answer_comes_first(self, tmp_path):
        page, _ = page_of(write_run(tmp_path / "r", usual(images=12)))
        headings = re.findall(r"<h2>(.*?)</h2>", page_of(tmp_path / "r")[1].html)
        assert headings[0] == "Who wins where, and how sure"
        assert (
            "liif-edsr has the best mean in all 6 cells (a metric at a scale),"
            " surely so in all of them." in page.shown
        )

    def test_a_few_images_are_said_to_be_too_few(self, tmp_path):
        page, _ = page_of(write_run(tmp_path / "r", usual(images=3)))
        assert "but not surely so in any: 3 images are too few to tell, 8 could." in page.shown

    def test_every_value_of_every_image_is_there(self, tmp_path):
        frame = usual()
        data = page_of(write_run(tmp_path / "r", frame))[0].data("image-data")
        assert len(data["scale"]) == len(frame) / 2
        for place, name in ((0, "psnr"), (1, "lpips")):
            told = {
                (
                    data["names"]["item"][data["item"][n]],
                    data["scale"][n],
                    data["names"]["upsampler"][data["upsampler"][n]],
                ): value
                for n, value in enumerate(data["metrics"][place]["values"])
            }
            for row in frame[frame["metric"] == name].itertuples():
                assert told[row.item, row.scale, row.upsampler] == pytest.approx(row.value, 1e-5)

    def test_infinite_and_missing_values_survive(self, tmp_path):
        frame = made_up(
            [
                ("a", 2, "bicubic", "psnr", float("inf")),
                ("a", 2, "liif-edsr", "psnr", "it broke"),
                ("b", 2, "bicubic", "psnr", 30.0),
                ("b", 2, "liif-edsr", "psnr", 31.0),
            ]
        )
        page, _ = page_of(write_run(tmp_path / "r", frame, crops=False))
        assert page.data("image-data")["metrics"][0]["values"] == ["inf", None, 30.0, 31.0]
        assert "it broke" in page.shown

    def test_one_model_has_nobody_to_win_against(self, tmp_path):
        page, _ = page_of(write_run(tmp_path / "r", usual(models=["liif-edsr"])))
        assert "There is one model" in page.shown

    def test_runs_with_the_same_model_stand_side_by_side(self, tmp_path):
        folders = [write_run(tmp_path / name, usual()) for name in ("one", "two")]
        page, _ = page_of(*folders)
        shots = page.data("gallery-data")["views"][0]["shots"]
        assert [shot["name"] for shot in shots] == [
            "LR", "bicubic · one", "liif-edsr · one", "bicubic · two", "liif-edsr · two", "HR",
        ]  # fmt: skip
        assert shots[1]["values"] == ["PSNR (dB) 38.00", "LPIPS 0.9000"]

    def test_an_explanation_stands_in_it_where_there_is_liif(self, tmp_path):
        page, _ = page_of(write_run(tmp_path / "r", usual(images=12)))
        assert "What keeps it real, and where does that end?" in page.shown
        assert "taking liif-edsr instead of bicubic" in page.shown
        (tmp_path / "other").mkdir()
        other, _ = page_of(write_run(tmp_path / "other" / "r", usual(models=["bicubic", "mine"])))
        assert "What keeps it real" not in other.shown

    def test_the_manifest_stands_at_its_end(self, tmp_path):
        page, report = page_of(write_run(tmp_path / "r", usual()))
        assert "2026-01-02T03:04:05+00:00" in page.shown
        sections = re.findall(r'<section id="(\w+)"', report.html)
        assert sections[-2:] == ["errors", "manifest"]

    def test_it_has_labels_for_whatever_can_be_changed(self, tmp_path):
        _, report = page_of(write_run(tmp_path / "r", usual()))
        for control in re.findall(r"<(?:input|select)\b[^>]*>", report.html):
            place = report.html.index(control)
            assert report.html.rfind("<label", 0, place) > report.html.rfind("</label", 0, place)
        for image in Page(report.html).of("img"):
            assert image["alt"]


class TestItsSize:
    def test_crops_that_do_not_fit_are_left_out_and_that_is_said(self, tmp_path):
        folder = write_run(tmp_path / "r", usual())
        whole, _ = page_of(folder)
        assert len(whole.data("gallery-data")["views"]) == 6
        figures = sum(len(image["src"]) for image in whole.of("img"))
        one = len(next(iter(whole.data("gallery-data")["images"].values())))
        page, report = page_of(folder, max_bytes=figures + 14 * one)
        views = page.data("gallery-data")["views"]
        assert [(view["item"], view["scale"]) for view in views] == [
            ("image0", 2), ("image0", 4), ("image0", 8),
        ]  # fmt: skip
        [note] = report.notes
        assert note.startswith("pictures of 3 of 6 cases were left out")
        assert note in page.shown
        pictures = page.data("gallery-data")["images"].values()
        assert figures + sum(map(len, pictures)) <= figures + 14 * one

    def test_equal_pictures_are_held_once(self, tmp_path):
        folders = [write_run(tmp_path / name, usual()) for name in ("one", "two")]
        both, one = (page_of(*each)[0].data("gallery-data") for each in (folders, folders[:1]))
        assert both["images"] == one["images"]

    def test_a_run_without_crops_says_how_to_keep_some(self, tmp_path):
        _, report = page_of(write_run(tmp_path / "r", usual(), crops=False))
        assert report.notes == (
            "no pictures: the runs kept no crops (liif-bench run --crops N keeps some)",
        )


class TestWhatIsEscaped:
    @pytest.fixture
    def evil(self, tmp_path):
        frame = made_up(
            [
                (f"{EVIL} {n}", 2, f"{model} {EVIL}", f"psnr{EVIL}", value)
                for n in range(2)
                for model, value in (("bicubic", 30.0 + n), ("mine", EVIL))
            ],
            dataset=f"set {EVIL}",
            protocol=f"protocol {EVIL}",
            variant=EVIL,
        )
        return write_run(tmp_path / "r", frame, run=f"run {EVIL}", command=["run", EVIL])

    def test_no_name_becomes_an_element(self, evil):
        page, report = page_of(evil)
        expected = [{}, {"type": "application/json", "id": "gallery-data"}]
        expected += [{"type": "application/json", "id": "image-data"}]
        assert sorted(map(str, page.of("script"))) == sorted(map(str, expected))
        assert all("onerror" not in attributes for _, attributes in page.elements)
        assert "alert(1)</script>" not in report.html
        assert report.html.count("<title>") == report.html.count("</title>") == 1

    def test_every_name_is_shown_as_it_is(self, evil):
        page, _ = page_of(evil)
        text = " ".join(EVIL.split())
        assert f"set {text}" in page.shown
        assert f"mine {text}" in page.shown
        assert f"run {text}" in page.shown
        assert page.data("image-data")["names"]["item"] == [f"{EVIL} 0", f"{EVIL} 1"]
        assert page.data("gallery-data")["views"][0]["item"] == f"{EVIL} 0"

    def test_names_in_an_explanation_are_escaped_too(self, tmp_path):
        frame = usual(images=8).assign(dataset=f"[x](javascript:alert(1)) {EVIL}")
        page, _ = page_of(write_run(tmp_path / "r", frame))
        assert len(page.of("script")) == 3
        assert all(link["href"].startswith("#") for link in page.of("a"))


class TestWhatItAsksFor:
    def test_nothing_in_it_points_elsewhere(self, tmp_path):
        page, _ = page_of(write_run(tmp_path / "r", usual(images=12)))
        for tag, attributes in page.elements:
            for name in ("src", "href", "action", "data", "poster", "srcset"):
                address = attributes.get(name)
                assert address is None or address.startswith(("#", "data:image/png;base64,")), tag
        style = "".join(text for tag, text in page.texts if tag == "style")
        assert "url(" not in style
        assert "@import" not in style

    def test_its_policy_allows_nothing_but_what_it_holds(self, tmp_path):
        page, _ = page_of(write_run(tmp_path / "r", usual()))
        [policy] = [m["content"] for m in page.of("meta") if "http-equiv" in m]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["img-src"] == "data:"
        assert all(rules[name].startswith("'sha256-") for name in ("style-src", "script-src"))
        assert "unsafe" not in policy


class TestTheIndex:
    def test_lists_runs_the_newest_first_with_links_to_reports(self, tmp_path):
        write_run(tmp_path / "old", usual(), created="2025-01-01T00:00:00+00:00")
        write_run(tmp_path / "new & <b>", usual())
        (tmp_path / "old" / "report.html").write_text("x")
        (tmp_path / "no run").mkdir()
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "manifest.json").write_text("{")
        html = build_index(tmp_path, tmp_path)
        page = Page(html)
        assert page.shown.index("new & <b>") < page.shown.index("old")
        links = [link["href"] for link in page.of("a")]
        assert links == ["#main", "old/report.html"]
        assert "broken" in page.shown
        assert "no run" not in page.shown.replace("no run in", "")

    def test_a_folder_that_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(LiifBenchError, match="cannot read --index"):
            build_index(tmp_path / "nowhere", tmp_path)


def test_neither_reading_crops_nor_the_report_loads_torch(tmp_path):
    folder = write_run(tmp_path / "r", usual(images=12))
    script = (
        "import sys; from liif_bench.__main__ import main; import runpy\n"
        f"sys.argv = ['liif-bench', 'report', {str(folder)!r}]\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_hundred_thousand_records_take_less_than_a_gibibyte():
    benchmark = Path(__file__).parents[2] / "benchmarks" / "report.py"
    done = subprocess.run([sys.executable, benchmark], capture_output=True, text=True, check=True)
    count, mebibytes = re.match(r"(\d+) records: .* (\d+) MiB at most", done.stdout).groups()
    assert int(count) == 100_000
    assert int(mebibytes) < 1024
