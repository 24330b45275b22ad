"""The report in a browser: everything that moves is moved, and no request leaves the file."""

import os
import shutil

import pytest
from made_runs import SIDE, level_of, usual, write_run

from liif_bench.records import load_run
from liif_bench.reports.html.index import build_index
from liif_bench.reports.html.report import build_report

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        lack = "no Chromium is installed (apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(lack)
        pytest.skip(lack)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with an error, of 20 images, more than a page of the table of images holds."""
    frame = usual(images=20)
    broken = (frame["item"] == "image3") & (frame["upsampler"] == "liif-edsr")
    frame.loc[broken, ["value", "error"]] = [None, "it broke"]
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", frame)
    page = folder / "report.html"
    page.write_text(build_report([load_run(folder)]).html, encoding="utf-8")
    return page


@pytest.fixture
def visit(browser):
    """A function that opens a file; what the page complains of or asks for fails the test."""
    contexts, troubles = [], []

    def said(text):
        if "willReadFrequently" not in text:  # it is these tests that read canvases back
            troubles.append(f"console: {text}")

    def go(path, **options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said(message.text))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        address = path.as_uri()

        def asked(request):
            if request.url != address and not request.url.startswith("data:image/png;base64,"):
                troubles.append(f"request: {request.url[:80]}")

        page.on("request", asked)
        page.goto(address)
        return page

    yield go
    for context in contexts:
        context.close()
    assert troubles == []


def ready(page):
    """Wait for the viewer's pictures."""
    page.wait_for_selector("#stage[data-lens]")
    return page


def lens(page):
    """Where the lens is: left, top, side, in pixels of the window."""
    return [float(part) for part in page.get_attribute("#stage", "data-lens").split()]


def loupes(page):
    """The grey of the top left corner of every loupe, by name."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#loupes figure")].map(
          (figure) => [
            figure.querySelector("b").textContent,
            figure.querySelector("canvas").getContext("2d").getImageData(2, 2, 1, 1).data[0],
          ]))"""
    )


def stage_grey(page, x, y=0.3):
    """The grey of the picture at a place, in parts of its sides."""
    return page.evaluate(
        """([x, y]) => {
          const canvas = document.getElementById("picture");
          const context = canvas.getContext("2d");
          return context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data[0];
        }""",
        [x, y],
    )


def drag(page, start, *stops):
    page.mouse.move(*start)
    page.mouse.down()
    for stop in stops:
        page.mouse.move(*stop, steps=4)
    page.mouse.up()


def point(page, x, y):
    """A place of the picture on the screen."""
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


class TestTheViewer:
    def test_shows_every_model_and_hr_of_the_first_image(self, visit, report):
        page = ready(visit(report))
        assert loupes(page) == {
            "LR": level_of(1, 2), "bicubic": level_of(2, 2), "liif-edsr": level_of(3, 2),
            "HR": level_of(0, 2),
        }  # fmt: skip
        assert "PSNR (dB) 38.00" in page.inner_text("#loupes figure:nth-child(2)")

    def test_dragging_moves_the_lens_and_all_loupes_in_step(self, visit, report):
        page = ready(visit(report))
        drag(page, point(page, 0.5, 0.5), point(page, 0.25, 0.75))
        left, top, side = lens(page)
        assert side == SIDE / 4
        assert left + side / 2 == pytest.approx(SIDE * 0.25, abs=0.6)
        assert top + side / 2 == pytest.approx(SIDE * 0.75, abs=0.6)
        # the white pixel in the middle of every crop comes under the corner of every loupe
        drag(page, point(page, 0.5, 0.5), point(page, (32 + 8.2) / 64, (32 + 8.2) / 64))
        assert set(loupes(page).values()) == {255}

    def test_the_lens_stays_in_the_picture(self, visit, report):
        page = ready(visit(report))
        drag(page, point(page, 0.5, 0.5), point(page, 1.5, -0.5))
        left, top, side = lens(page)
        assert (left + side, top) == (SIDE, 0)

    def test_the_slider_wipes_between_two_models(self, visit, report):
        page = ready(visit(report))
        before, after = level_of(2, 2), level_of(3, 2)
        assert (stage_grey(page, 0.25), stage_grey(page, 0.75)) == (before, after)
        page.fill("#slider", "90")
        assert (stage_grey(page, 0.25), stage_grey(page, 0.75)) == (before, before)
        page.select_option("#view-before", label="LR")
        page.select_option("#view-after", label="HR")
        assert (stage_grey(page, 0.25), stage_grey(page, 0.95)) == (level_of(1, 2), level_of(0, 2))
        assert page.inner_text("#tag-before") == "LR"

    def test_the_handle_of_the_slider_can_be_dragged(self, visit, report):
        page = ready(visit(report))
        page.locator("#stage").scroll_into_view_if_needed()
        box = page.locator("#wipe span").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        was = lens(page)
        drag(page, middle, (point(page, 0.2, 0)[0], middle[1]))
        assert float(page.input_value("#slider")) == pytest.approx(20, abs=1)
        assert stage_grey(page, 0.3) == level_of(3, 2)
        assert lens(page) == was

    def test_the_scale_selector_shows_another_scale_and_keeps_the_place(self, visit, report):
        page = ready(visit(report))
        drag(page, point(page, 0.5, 0.5), point(page, 0.3, 0.3))
        page.select_option("#view-after", label="HR")
        was = lens(page)
        page.click("#view-scales button:has-text('×8')")
        page.wait_for_selector("#stage[data-scale='8']")
        assert loupes(page)["liif-edsr"] == level_of(3, 8)
        assert lens(page) == was
        assert stage_grey(page, 0.9) == level_of(0, 8)
        pressed = page.locator("#view-scales button[aria-pressed='true']")
        assert pressed.all_inner_texts() == ["×8"]

    def test_another_image_keeps_the_scale(self, visit, report):
        page = ready(visit(report))
        page.click("#view-scales button:has-text('×4')")
        page.wait_for_selector("#stage[data-scale='4']")
        page.select_option("#view-item", label="image1")
        page.wait_for_function("document.getElementById('where').textContent.includes('image1')")
        assert loupes(page)["bicubic"] == level_of(2, 4, 1)

    def test_the_zoom_makes_the_lens_smaller(self, visit, report):
        page = ready(visit(report))
        page.fill("#magnify", "16")
        assert lens(page)[2] == SIDE / 16
        assert page.inner_text("#magnify-text") == "16×"

    def test_everything_can_be_done_by_keyboard(self, visit, report):
        page = ready(visit(report))
        page.focus("#stage")
        left, top, _ = lens(page)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
        assert lens(page)[:2] == [left + 1, top + 8]
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowUp")
        assert lens(page)[:2] == [left, top + 7]
        page.keyboard.press("+")
        assert lens(page)[2] == round(SIDE / 5, 2)
        page.keyboard.press("-")
        page.keyboard.press("[")
        assert page.input_value("#slider") == "45"
        page.keyboard.press("]")
        assert page.input_value("#slider") == "50"
        page.keyboard.press("3")
        page.wait_for_selector("#stage[data-scale='8']")

    def test_a_finger_moves_the_lens_and_does_not_scroll(self, visit, report):
        phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
        page = ready(visit(report, **phone))
        x, y = point(page, 0.2, 0.2)
        scrolled = page.evaluate("scrollY")
        touch = page.context.new_cdp_session(page)
        far = point(page, 0.8, 0.6)
        for kind, points in (
            ("touchStart", [{"x": x, "y": y}]),
            ("touchMove", [{"x": (x + far[0]) / 2, "y": (y + far[1]) / 2}]),
            ("touchMove", [{"x": far[0], "y": far[1]}]),
            ("touchEnd", []),
        ):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        left, top, side = lens(page)
        assert left + side / 2 == pytest.approx(0.8 * SIDE, abs=1)
        assert top + side / 2 == pytest.approx(0.6 * SIDE, abs=1)
        assert page.evaluate("scrollY") == scrolled


class TestTables:
    def test_a_click_on_a_head_sorts_up_and_down(self, visit, report):
        page = visit(report)
        table = page.locator("#tables table.sortable").first
        models = table.locator("tbody th")
        assert models.all_inner_texts() == ["bicubic", "liif-edsr"]
        head = table.locator("thead th").nth(1)
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert models.all_inner_texts() == ["bicubic", "liif-edsr"]
        head.locator("button").press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert models.all_inner_texts() == ["liif-edsr", "bicubic"]

    def test_the_filter_leaves_rows_with_all_its_words(self, visit, report):
        page = visit(report)
        page.fill("#filter", "lpips LIIF")
        assert page.locator("#tables tbody tr:visible th").all_inner_texts() == ["liif-edsr"]
        assert page.inner_text("#filter-status") == "1 of 4 rows"
        page.fill("#filter", "")
        assert page.locator("#tables .filtered tbody tr:visible").count() == 4

    def test_every_image_can_be_sorted_filtered_and_paged(self, visit, report):
        page = visit(report)
        rows = page.locator("#image-table tbody tr")
        assert (rows.count(), page.inner_text("#image-status")) == (50, "1–50 of 120")
        page.click("#later")
        page.click("#later")
        assert (rows.count(), page.inner_text("#image-status")) == (20, "101–120 of 120")
        assert page.is_disabled("#later")
        page.select_option("#image-scale", label="×2")
        page.select_option("#image-model", label="liif-edsr")
        assert page.inner_text("#image-status") == "1–20 of 20 (120 in all)"
        page.click("#image-table thead th:nth-child(5) button")
        values = rows.locator("td:nth-child(5)").all_inner_texts()
        assert values[-1] == "–"  # what is missing comes last
        numbers = [float(value) for value in values[:-1]]
        assert numbers == sorted(numbers)
        page.click("#image-table thead th:nth-child(5) button")
        values = rows.locator("td:nth-child(5)").all_inner_texts()
        assert values[-1] == "–"
        assert [float(value) for value in values[:-1]] == numbers[::-1]
        page.fill("#image-filter", "image1 liif")
        assert page.inner_text("#image-status") == "1–11 of 11 (120 in all)"
        page.fill("#image-filter", "nowhere")
        assert page.inner_text("#image-status") == "nothing matches"

    def test_images_sort_as_numbers_in_their_names(self, visit, report):
        page = visit(report)
        page.select_option("#image-model", label="bicubic")
        page.select_option("#image-scale", label="×4")
        page.click("#image-table thead th:nth-child(2) button")
        names = page.locator("#image-table tbody td:nth-child(2)").all_inner_texts()
        assert names == [f"image{n}" for n in range(20)]

    def test_errors_are_listed_with_their_reason(self, visit, report):
        page = visit(report)
        [row] = page.locator("#errors tbody tr").all()
        assert row.inner_text().split("\t") == [
            "sample", "image3", "x2, x4, x8", "liif-edsr", "psnr, lpips", "it broke",
        ]  # fmt: skip


class TestTheScreen:
    @pytest.mark.parametrize("width", [320, 390, 800, 1600])
    def test_the_page_is_as_wide_as_the_screen(self, visit, report, width):
        page = ready(visit(report, viewport={"width": width, "height": 800}))
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") == width

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out_from_its_ground(self, visit, report, scheme):
        page = ready(visit(report, color_scheme=scheme))
        found = page.evaluate(
            """() => {
              const parse = (text) => text.match(/[\\d.]+/g).map(Number);
              const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
                .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
                .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
              const ground = (element) => {
                for (let at = element; at; at = at.parentElement) {
                  const colour = parse(getComputedStyle(at).backgroundColor);
                  if (colour.length < 4 || colour[3] > 0.5) return colour.slice(0, 3);
                }
                return [255, 255, 255];
              };
              const poor = [];
              for (const element of document.querySelectorAll("body *")) {
                const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
                if (!own || !element.checkVisibility() || element.disabled) continue;
                if (["SCRIPT", "STYLE"].includes(element.tagName)) continue;
                const [a, b] = [parse(getComputedStyle(element).color), ground(element)].map(light);
                const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                if (ratio < 4.5) poor.push([element.tagName, element.textContent, ratio]);
              }
              return poor;
            }"""
        )
        assert found == []

    def test_dark_and_light_are_what_the_reader_asked_for(self, visit, report):
        colours = [
            visit(report, color_scheme=scheme).evaluate(
                "getComputedStyle(document.body).backgroundColor"
            )
            for scheme in ("light", "dark")
        ]
        assert colours == ["rgb(255, 255, 255)", "rgb(18, 22, 28)"]


def test_names_that_are_code_do_nothing(visit, tmp_path):
    evil = "<img src=x onerror=\"document.title='caught'\"> ' & _ % ü漢"
    frame = usual(images=3, models=["bicubic", f"mine {evil}"]).assign(dataset=evil)
    frame["item"] += evil
    folder = write_run(tmp_path / "run", frame, run=evil)
    path = tmp_path / "page.html"
    path.write_text(build_report([load_run(folder)]).html, encoding="utf-8")
    page = ready(visit(path))
    assert page.title() != "caught"
    assert page.locator("#loupes b").nth(2).inner_text() == f"mine {evil}"
    assert page.locator("#image-table tbody td").first.inner_text() == evil


def test_a_script_that_slipped_in_would_not_run(browser, report, tmp_path):
    html = report.read_text(encoding="utf-8")
    path = tmp_path / "page.html"
    script = "<script>document.title = 'caught'</script></main>"
    path.write_text(html.replace("</main>", script), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.title() != "caught"
    page.close()


def test_the_index_sorts_and_filters(visit, tmp_path):
    for name, day in (("b", 2), ("a", 1), ("c", 3)):
        write_run(tmp_path / name, usual(), created=f"2026-01-0{day}T00:00:00+00:00", crops=False)
    path = tmp_path / "index.html"
    path.write_text(build_index(tmp_path, tmp_path), encoding="utf-8")
    page = visit(path)
    runs = page.locator("#tables tbody tr:visible th")
    assert runs.all_inner_texts() == ["c", "b", "a"]
    page.locator("thead th button").first.click()
    assert runs.all_inner_texts() == ["a", "b", "c"]
    page.fill("#filter", "b")
    assert runs.all_inner_texts() == ["b"]
