"""What tables look like on a screen, for tests of what lays them out."""

import io

from rich.console import Console

from liif_bench.reports.grids import print_grids


def assert_shown_whole(grids, width):
    """Nothing is wider than the screen, every number is whole, no name is folded."""
    text = io.StringIO()
    print_grids(grids, Console(file=text, width=width))
    assert max(map(len, text.getvalue().splitlines())) <= width
    for grid in grids:
        for row in grid.rows:
            assert all(number in text.getvalue() for number in row[grid.names :])
            assert len(row[0]) <= 12  # shown without being folded
