"""Repositories of somebody else's, and a check that none of their processes is left."""

import gc

import pytest
import torch
from processes_of import children

# A repository of one file whose model repeats LR's pixels, and does something else besides.
PLAIN = """
import os, subprocess, sys, time
import torch
from torch.nn import functional as F
{at_import}

class Model(torch.nn.Module):
    def gen_feat(self, inp):
        self.inp = inp
        {at_encode}

    def query_rgb(self, coord, cell):
        inp = self.inp
        rgb = F.grid_sample(inp, coord.flip(-1)[:, None], mode="nearest", align_corners=False)
        rgb = rgb[:, :, 0].transpose(1, 2)
        {at_query}
        return rgb

def make(spec, args=None, load_sd=False):
    return Model()
"""


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = children()
    yield
    gc.collect()
    assert children() == before


@pytest.fixture
def repository(tmp_path):
    """A function that writes a repository of one file and an empty checkpoint; returns the spec."""

    def write(at_import="", at_encode="pass", at_query="pass", options=""):
        folder = tmp_path / "their code"
        folder.mkdir()
        text = PLAIN.format(at_import=at_import, at_encode=at_encode, at_query=at_query)
        (folder / "models.py").write_text(text)
        torch.save({"model": {"name": "m", "args": {}, "sd": {}}}, folder / "m.pth")
        return f"liif-style:{folder}?checkpoint={folder / 'm.pth'}&norm=none{options}"

    return write
