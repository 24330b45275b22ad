"""The texts of a figure and whether they touch, for tests of figures."""

from matplotlib.text import Text


def texts_of(figure):
    """Every text that a figure shows, with its box in pixels."""
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    beyond = {
        label
        for axes in panels
        for way, axis in enumerate((axes.xaxis, axes.yaxis))
        for label in axis.get_ticklabels()
        if not min(axis.get_view_interval())
        <= label.get_position()[way]
        <= max(axis.get_view_interval())
    }
    found = {text for axes in panels for text in axes.findobj(Text)} | {*figure.texts}
    shown = [each for each in found - beyond if each.get_visible() and each.get_text().strip()]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


def overlap(one, other):
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) > 1
        and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
    )


def assert_apart_and_inside(figure):
    """Assert that no text touches another or leaves the figure."""
    texts = texts_of(figure)
    edge = figure.bbox
    for place, (text, box) in enumerate(texts):
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= edge.x1 + 1 and box.y1 <= edge.y1 + 1
        assert inside, text
        for other, near in texts[place + 1 :]:
            assert not overlap(box, near), (text, other)
