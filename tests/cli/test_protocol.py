import pytest
from commands import call, refused

from liif_bench.protocol import load_protocol, protocol_names
from liif_bench.shipped import tomllib


@pytest.mark.parametrize("name", protocol_names())
def test_what_is_shown_is_a_preset_file_itself(name, tmp_path):
    shown = call("protocol", "show", name)
    assert shown.returncode == 0, shown.stderr
    path = tmp_path / "mine.toml"
    path.write_text(shown.stdout)
    assert load_protocol(str(path)).hash == load_protocol(name).hash
    assert load_protocol(name).source in tomllib.loads(shown.stdout)["source"]


def test_two_presets_are_held_against_each_other_field_by_field():
    done = call("protocol", "diff", "lte", "liif-benchmark", env={"COLUMNS": "120"})
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert lines[0][:3] == ["field", "lte", "liif-benchmark"]
    assert [line[:3] for line in lines[1:]] == [["network.cell_rule", "clip", "exact"]]


def test_one_preset_is_held_against_every_other():
    done = call("protocol", "diff", "mmagic", env={"COLUMNS": "120"})
    heads = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("field")]
    assert heads == [name for name in protocol_names() if name != "mmagic"]


def test_equal_presets_are_called_equal(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(call("protocol", "show", "lte").stdout)
    assert "mine and lte give the same numbers" in call("protocol", "diff", path, "lte").stdout


def test_a_wrong_name_or_file_is_one_line(tmp_path):
    assert "did you mean mmagic" in refused("protocol", "show", "mmagick")
    path = tmp_path / "mine.toml"
    text = call("protocol", "show", "lte").stdout
    path.write_text(text.replace('window = "valid"', 'window = "round"') + "\nedge = 1\n")
    message = refused("protocol", "diff", path, "lte")
    assert str(path) in message
    assert "ssim.window" in message
    assert "zoom.edge" in message
