"""Checkpoints of every kind: damaged ones, and those that would run something."""

import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from hostile.campaign import TALLIES, attack, mutate, stated, time_limit
from hostile.structures import structured

from liif_bench.downstream.encoders import load_encoder
from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers import load_upsampler, ncnn_trial
from liif_bench.upsamplers.liif.checkpoint import read_checkpoint
from liif_bench.upsamplers.liif.encoders import EDSR_BASELINE, ENCODERS
from liif_bench.upsamplers.liif_style import worker
from liif_bench.upsamplers.ncnn_param import read_graph
from liif_bench.weights.readers import (
    lpips_heads,
    lpips_trunk,
    read_numpy_pickle,
    read_safetensors,
    read_torch,
)


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def repacked(content, change):
    """A zip with another content of its member data.pkl."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            new.writestr(member.filename, change(data) if "data.pkl" in member.filename else data)
    return file.getvalue()


def damaged(rng, good):
    """A damaged checkpoint; half of the time only the pickle in it is."""
    if good.startswith(b"PK") and rng.random() < 0.5:
        return repacked(good, lambda data: mutate(rng, data))
    return mutate(rng, good)


# --- damage -------------------------------------------------------------------------------------


def test_torch_files(tmp_path):
    path = tmp_path / "x.pth"
    content = {"model": {"a": torch.arange(6.0).reshape(2, 3), "b": [1, 2.5, "x"]}, "n": 3}
    legacy = io.BytesIO()
    torch.save(content, legacy, _use_new_zipfile_serialization=False)
    seeds = [saved(content), legacy.getvalue(), saved(torch.nn.Conv2d(3, 4, 3).state_dict())]

    def read(changed):
        path.write_bytes(changed)
        read_torch(path)

    for seed in seeds:
        read(seed)
    assert attack("files of torch.save", lambda rng: damaged(rng, rng.choice(seeds)), read).refused


def test_safetensors_and_pickles_of_numpy(tmp_path):
    path = tmp_path / "x"
    tree = {
        "AlexNet_0": {
            f"Conv_{n}": {"kernel": np.zeros((3, 3, 2, 4), "f4"), "bias": np.zeros(4, "f4")}
            for n in range(5)
        }
    } | {f"NetLinLayer_{n}": {"Conv_0": {"kernel": np.zeros((1, 1, 4, 1), "f4")}} for n in range(5)}
    seeds = [pickle.dumps(tree, protocol=protocol) for protocol in (2, 4)]

    def read_pickle(changed):
        path.write_bytes(changed)
        read_numpy_pickle(path)
        assert all(head.ndim == 4 for head in lpips_heads(path))
        lpips_trunk(path)

    def read_safe(changed):
        path.write_bytes(changed)
        for tensor in read_safetensors(path).values():
            tensor.sum()

    read_pickle(seeds[1])
    attack("pickles of numpy arrays", lambda rng: mutate(rng, rng.choice(seeds)), read_pickle)
    safe = safetensors.torch.save({"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.half)})
    read_safe(safe)
    attack("safetensors files", lambda rng: mutate(rng, safe), read_safe)


def liif_tree():
    """A whole checkpoint of LIIF-EDSR, with small numbers that are all zero."""
    state = ENCODERS[EDSR_BASELINE]().state_dict()
    state = {
        f"encoder.{name}": torch.zeros(value.shape, dtype=torch.float8_e5m2)
        for name, value in state.items()
    }
    for number, (outputs, inputs) in enumerate(((256, 580), (256, 256), (3, 256))):
        state[f"imnet.layers.{2 * number}.weight"] = torch.zeros(outputs, inputs)
        state[f"imnet.layers.{2 * number}.bias"] = torch.zeros(outputs)
    arguments = {"encoder_spec": {"name": EDSR_BASELINE, "args": {}}, "imnet_spec": {}}
    return {"model": {"name": "liif", "args": arguments, "sd": state}, "epoch": 1}


def test_checkpoints_of_liif(tmp_path):
    path, tree = tmp_path / "x.pth", liif_tree()

    def read(changed):
        path.write_bytes(changed if isinstance(changed, bytes) else saved(changed))
        checkpoint = read_checkpoint(path)
        assert checkpoint.layers[-1][0].shape[0] == 3
        assert checkpoint.feat_unfold in (True, False)

    read(tree)
    words = ("imnet.layers.x.weight", "imnet.layers.007.weight", "imnet.layers.6.weight",
             "imnet.layers." + "9" * 30 + ".weight", "encoder.x", "encoder.")  # fmt: skip
    values = (torch.tensor(1.0), torch.ones(3, 256), torch.zeros(0), torch.ones(1).expand(10**9))
    structured("checkpoints of LIIF, by value", tree, read, words, values)
    good = saved(tree)
    attack("checkpoints of LIIF, bytes", lambda rng: damaged(rng, good), read)


def test_checkpoints_for_spandrel(tmp_path):
    pytest.importorskip("spandrel")
    from spandrel.architectures.Compact import Compact

    path = tmp_path / "x.pth"
    network = Compact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)
    tree = {"params": dict(network.state_dict())}

    def read(changed):
        path.write_bytes(changed if isinstance(changed, bytes) else saved(changed))
        load_upsampler(f"spandrel:{path}")

    read(tree)
    words = (
        "body.999999999.weight",
        "body.7.weight",
        "body.0.bias",
        "conv_first.weight",
        "model.0",
    )
    values = (torch.ones(8, 3, 3, 3), torch.ones(8), torch.ones(1).expand(10**6, 10**6), 5)
    structured("checkpoints for spandrel, by value", tree, read, words, values)
    good = saved(tree)
    attack("checkpoints for spandrel, bytes", lambda rng: damaged(rng, good), read)


# --- ncnn ---------------------------------------------------------------------------------------

PARAM = b"""7767517
5 6
Input            in    0 1 data
Split            split 1 2 data a b
Convolution      conv  1 1 a c 0=12 1=3 4=1 5=1 6=324
PixelShuffle     up    1 1 c out 0=2
ReLU             relu  1 1 b left
"""


def test_graphs_of_ncnn(tmp_path):
    path = tmp_path / "x.param"

    def read(content):
        path.write_bytes(content)
        graph = read_graph(path)
        assert graph.inputs
        for blob in graph.inputs:
            graph.channels(graph.choose("input", blob, ""))

    read(PARAM)
    assert attack("graphs of ncnn", lambda rng: mutate(rng, PARAM), read).accepted


# A process that has nothing but ncnn, and makes a copy of itself for each pair of files.
NURSERY = """
import importlib.util, os, signal, sys
sys.path.pop(0)
import ncnn, numpy
spec = importlib.util.spec_from_file_location("trial", sys.argv[1])
trial = importlib.util.module_from_spec(spec)
spec.loader.exec_module(trial)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
for line in sys.stdin:
    process = os.fork()
    if process == 0:
        try:
            signal.alarm(5)  # ends the process
            trial.limit_memory()
            trial.run_once(*line.rstrip("\\n").split("\\t"), 32)
        finally:
            os._exit(0)
    status = os.waitpid(process, 0)[1]
    print("died" if os.WIFSIGNALED(status) else "lives", flush=True)
"""


@pytest.fixture
def survives():
    """A function that says whether a process comes through the trial of a network."""
    argv = [sys.executable, "-c", NURSERY, ncnn_trial.__file__]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:

        def ask(*arguments):
            nursery.stdin.write("\t".join(arguments) + "\n")
            nursery.stdin.flush()
            answer = nursery.stdout.readline().strip()
            assert answer in ("died", "lives")
            return answer == "lives"

        yield ask
        nursery.stdin.close()


def test_networks_of_ncnn(survives, tmp_path):
    """What passes our reader may still kill ncnn; that is why the package tries it apart."""
    param, weights = tmp_path / "x.param", tmp_path / "x.bin"
    values = struct.pack("<I", 0) + np.zeros(324 + 12, "<f4").tobytes()
    died = []

    def read(pair):
        param.write_bytes(pair[0])
        weights.write_bytes(pair[1])
        graph = read_graph(param)
        blobs = graph.inputs[0], graph.outputs[0]
        if not survives(str(param), str(weights), *blobs):
            died.append(pair)
            raise LiifBenchError("ncnn died of it, in a process of its own")

    read((PARAM, values))
    attack(
        "networks of ncnn",
        lambda rng: (mutate_digits(rng), mutate(rng, values) if rng.random() < 0.3 else values),
        read,
    )
    stated("networks that ncnn dies of", f"{len(died):,} of {TALLIES['networks of ncnn'].inputs:,}"
           " that were tried: each died in the process that it was tried in")  # fmt: skip
    for pair in died[:20]:  # half a second each
        param.write_bytes(pair[0])
        weights.write_bytes(pair[1])
        with pytest.raises(LiifBenchError):
            load_upsampler(f"ncnn:{param}?scale=2")


def mutate_digits(rng):
    """The graph with numbers of its layers changed, so that our reader has nothing to say."""
    lines = PARAM.decode().splitlines()
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(2, len(lines))
        words = lines[at].split()
        place = rng.randrange(len(words))
        if "=" in words[place]:
            key, _, _ = words[place].partition("=")
            number = rng.choice((0, -1, 1, 2, 7, 100, 65536, 2**31 - 1, -(2**31), 1e9, "1,2,3"))
            words[place] = f"{key}={number}"
        else:
            words.append(f"{rng.randrange(20)}={rng.choice((0, -1, 3, 233, 2**31 - 1))}")
        lines[at] = " ".join(words)
    return "\n".join(lines).encode() + b"\n"


# --- what would run something -------------------------------------------------------------------


class Harmful:
    """Writes a file when it is unpickled, by a function that any pickle may name."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def payloads(trace):
    """Files that would write `trace`, in every container that torch has ever read."""
    gadgets = {
        "open": Harmful(open, str(trace), "w"),
        "os.system": Harmful(os.system, f"touch {trace}"),
        "eval": Harmful(eval, f"open({str(trace)!r}, 'w')"),
        "exec": Harmful(exec, f"open({str(trace)!r}, 'w')"),
        "torch.save": Harmful(torch.save, 1, str(trace)),
        "numpy": Harmful(np.savetxt, str(trace), [1.0]),
    }
    for name, gadget in gadgets.items():
        content = {"model": {"name": "liif", "args": {}, "sd": {"encoder.x": gadget}}}
        yield f"zip, {name}", saved(content)
        yield f"pickle, {name}", pickle.dumps(content)
        legacy = io.BytesIO()
        torch.save(content, legacy, _use_new_zipfile_serialization=False)
        yield f"legacy, {name}", legacy.getvalue()
        plain = saved({"model": {"a": torch.ones(2)}})
        yield (
            f"zip with its pickle replaced, {name}",
            repacked(plain, lambda _, content=content: pickle.dumps(content)),
        )
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for member in ("sys_info", "storages", "tensors", "pickle"):
                data = pickle.dumps(gadget)
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        yield f"legacy tar, {name}", tar.getvalue()


ROUTES = [
    "liif-edsr:{}", "rdn-liif:{}", "metasr-edsr:{}", "metasr-rdn:{}", "spandrel:{}",
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_no_route_runs_what_a_checkpoint_names(suffix, tmp_path):
    trace, path = tmp_path / "trace", tmp_path / f"bad{suffix}"
    for name, content in payloads(trace):
        path.write_bytes(content)
        for route in ROUTES:
            with pytest.raises(LiifBenchError) as caught:
                load_upsampler(route.format(path))
            assert len(str(caught.value).splitlines()) == 1, name
        for read in (read_torch, read_numpy_pickle, read_safetensors, lpips_trunk):
            with pytest.raises(LiifBenchError, match="cannot read"):
                read(path)
        assert not trace.exists(), name
    stated(f"payloads in {suffix}: zip, legacy, tar, bare pickle", "refused, nothing is run")


def test_the_payloads_do_write_where_nothing_guards(tmp_path):
    """So that the test above can fail: each of them writes its file where it is let."""
    trace, path = tmp_path / "trace", tmp_path / "bad.pth"
    for name, content in payloads(trace):
        if name.startswith(("zip,", "pickle,")):
            path.write_bytes(content)
            if name.startswith("zip"):
                torch.load(path, weights_only=False)
            else:
                pickle.loads(content)
            assert trace.exists(), name
            trace.unlink()


def test_metrics_and_encoders_run_nothing_either(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "bad.pth"
    for name, content in payloads(trace):
        path.write_bytes(content)
        with pytest.raises(LiifBenchError):
            load_encoder(f"timm:resnet18?checkpoint={path}", "cpu")
        assert not trace.exists(), name
    stated("payloads as weights of an encoder (timm:...?checkpoint=)", "refused, nothing is run")


def test_the_process_of_another_repository_runs_nothing_of_a_checkpoint_either(tmp_path):
    """Its code is run, as the user asks; a checkpoint's only with trust=yes."""
    trace, path = tmp_path / "trace", tmp_path / "bad.pth"
    for name, content in payloads(trace):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="holds more than tensors, or is damaged"):
            worker.read_checkpoint(str(path), trust=False)
        assert not trace.exists(), name
    path.write_bytes(saved(Harmful(open, str(trace), "w")))
    worker.read_checkpoint(str(path), trust=True)
    assert trace.exists()
    stated("payloads as a checkpoint of liif-style, without trust=yes", "refused, nothing is run")


def test_a_small_file_that_unpacks_to_much_is_refused(tmp_path):
    path = tmp_path / "bomb.pth"
    with (
        zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(1)}))) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            data = b"\0" * (64 << 20) if member.filename.endswith("/data/0") else old.read(member)
            new.writestr(member.filename, data)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(LiifBenchError, match="packed"):
        read_torch(path)
    stated("checkpoint of 64 KiB whose members unpack to 64 MiB", "refused")


@pytest.mark.parametrize("name", ["A" * 70_000, "\u00fc" + "A" * 70_000], ids=["ascii", "utf-8"])
@pytest.mark.parametrize("container", ["zip", "legacy"])
def test_a_name_of_many_letters_is_refused_at_once(name, container, tmp_path):
    """torch looks through its own complaint in time that grows with the square of the name."""
    path = tmp_path / "long.pth"
    bad = b"\x80\x02ctorch\n" + name.encode() + b"\n."
    plain = {"a": torch.ones(2)}
    if container == "zip":
        path.write_bytes(repacked(saved(plain), lambda _: bad))
    else:
        legacy = io.BytesIO()
        torch.save(plain, legacy, _use_new_zipfile_serialization=False)
        old = legacy.getvalue()
        at = old.index(b"}q\x00X\x01\x00\x00\x00a") - 2  # the content, behind the system's sizes
        path.write_bytes(old[:at] + bad + old[at:])
    with time_limit(2.0), pytest.raises(LiifBenchError) as caught:
        read_torch(path)
    assert len(str(caught.value)) < 300
    stated("checkpoint that names something by 70,000 letters", "refused at once")


def test_a_pickle_that_asks_for_memory_is_refused_at_once(tmp_path):
    """Six bytes make Python's unpickler reserve room for 2 ** 31 parts."""
    path = tmp_path / "x.ckpt"
    path.write_bytes(b"\x80\x04}r\xff\xff\xff\x7f.")
    with time_limit(2), pytest.raises(LiifBenchError, match="numbers parts"):
        read_numpy_pickle(path)
    stated("pickle of 8 bytes that reserves 16 GiB for its memo", "refused")


def test_a_pickle_of_dicts_in_dicts_takes_no_exponential_time(tmp_path):
    tree = {}
    for _ in range(60):
        tree = {"a": tree, "b": tree}
    path = tmp_path / "x.ckpt"
    path.write_bytes(pickle.dumps(tree))
    with time_limit(2):
        read_numpy_pickle(path)
    stated("pickle of 60 dicts, each twice in the next (2^60 paths)", "read at once")


def test_a_tensor_that_claims_more_than_is_stored_is_refused(tmp_path):
    tree = liif_tree()
    tree["model"]["sd"]["imnet.layers.4.weight"] = torch.zeros(1).expand(10**6, 256)
    path = tmp_path / "x.pth"
    torch.save(tree, path)
    assert path.stat().st_size < 8 << 20
    with pytest.raises(LiifBenchError, match="claims more numbers"):
        read_checkpoint(path)
    stated("checkpoint with one number that claims to be 256 million", "refused")
