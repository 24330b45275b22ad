import pytest
from frames import made_up

from liif_bench.analysis.combine import combine
from liif_bench.errors import LiifBenchError
from liif_bench.protocol import load_protocol
from liif_bench.records import Run

ROWS = [("a", 2, "bicubic", "psnr", 30.0), ("a", 2, "liif", "psnr", 33.0)]


def make_run(tmp_path, name, protocol="liif-div2k", rows=ROWS):
    preset = load_protocol(protocol)
    manifest = {"plan": {"protocol_hash": preset.hash}, "protocol": preset.model_dump()}
    run = Run(tmp_path / name, manifest)
    run.__dict__["records"] = made_up(rows, protocol=protocol, protocol_hash=preset.hash)
    return run


def test_one_run_is_left_as_it_is(tmp_path):
    run = make_run(tmp_path, "one")
    assert combine([run]).equals(run.records)


def test_models_of_two_runs_stand_side_by_side(tmp_path):
    other = make_run(tmp_path, "two", rows=[("a", 2, "swin", "psnr", 34.0)])
    frame = combine([make_run(tmp_path, "one"), other])
    assert frame["upsampler"].tolist() == ["bicubic", "liif", "swin"]


def test_a_model_that_both_runs_have_is_named_after_its_run(tmp_path):
    other = make_run(tmp_path, "two", rows=[("a", 2, "liif", "psnr", 34.0)])
    frame = combine([make_run(tmp_path, "one"), other])
    assert frame["upsampler"].tolist() == ["bicubic", "liif · one", "liif · two"]


def test_the_runs_themselves_are_not_changed(tmp_path):
    runs = [make_run(tmp_path, name) for name in ("one", "two")]
    combine(runs)
    assert all(run.records["upsampler"].tolist() == ["bicubic", "liif"] for run in runs)


def test_another_protocol_is_refused_and_the_fields_are_named(tmp_path):
    runs = [make_run(tmp_path, "one"), make_run(tmp_path, "two", "lte")]
    with pytest.raises(LiifBenchError) as error:
        combine(runs)
    text = str(error.value)
    assert "\n" not in text
    for word in (
        "network.cell_rule: exact and clip",
        "psnr.colour: rgb and y-liif",
        "psnr.shave_extra: 6 and 0",
        "--across-protocols",
        str(tmp_path / "one"),
        str(tmp_path / "two"),
    ):
        assert word in text
    assert "lr." not in text


def test_insisting_names_each_model_after_its_protocol(tmp_path):
    runs = [make_run(tmp_path, "one"), make_run(tmp_path, "two", "lte")]
    frame = combine(runs, across_protocols=True)
    assert frame["upsampler"].tolist() == [
        "bicubic · liif-div2k", "liif · liif-div2k", "bicubic · lte", "liif · lte",
    ]  # fmt: skip


def test_a_preset_of_another_name_with_the_same_choices_is_the_same(tmp_path):
    one, two = make_run(tmp_path, "one"), make_run(tmp_path, "two")
    two.manifest["protocol"]["name"] = "mine"
    assert len(combine([one, two])) == 4


def test_a_run_without_records_is_named(tmp_path):
    with pytest.raises(LiifBenchError, match="two' has no records yet"):
        combine([make_run(tmp_path, "one"), make_run(tmp_path, "two", rows=[])])


def test_a_manifest_of_older_fields_is_named(tmp_path):
    one, two = make_run(tmp_path, "one"), make_run(tmp_path, "two", "lte")
    two.manifest["protocol"] = {"name": "lte", "colour": "y"}
    with pytest.raises(LiifBenchError, match=r"protocol of the run '.*two': .*colour"):
        combine([one, two])


def test_folders_of_one_name_are_told_apart_by_the_folders_above(tmp_path):
    frame = combine([make_run(tmp_path / "old", "run"), make_run(tmp_path / "new", "run")])
    assert set(frame["upsampler"]) == {
        "bicubic · old/run", "liif · old/run", "bicubic · new/run", "liif · new/run",
    }  # fmt: skip


def test_a_run_given_twice_is_refused(tmp_path):
    run = make_run(tmp_path, "one")
    with pytest.raises(LiifBenchError, match="given twice"):
        combine([run, run])
