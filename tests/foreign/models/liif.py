import torch
from torch import nn
from torch.nn import functional as F
from utils import make_coord

import models
from models import register
from models.encoder import sample


class Implicit(nn.Module):
    """LIIF in single precision throughout, with the calls of each kind to choose from."""

    def __init__(self, encoder_spec, imnet_spec):
        super().__init__()
        self.encoder = models.make(encoder_spec)
        self.imnet = models.make(imnet_spec, args={"in_dim": self.encoder.out_dim * 9 + 4})

    def ask(self, features, coord, cell):
        count, channels, h, w = features.shape
        codes = F.unfold(features, 3, padding=1).view(count, channels * 9, h, w)
        # without a device of its own, as the authors' code has it everywhere
        own = make_coord((h, w)).cuda().permute(2, 0, 1)[None]
        sides = torch.tensor([h, w]).cuda()
        answers, areas = [], []
        for corner in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            moved = coord + torch.tensor(corner).cuda() / sides + 1e-6
            moved = moved.clamp(-1 + 1e-6, 1 - 1e-6)
            relative = (coord - sample(own, moved)) * sides
            inputs = torch.cat([sample(codes, moved), relative, cell * sides], dim=-1)
            answers.append(self.imnet(inputs))
            areas.append(relative.prod(dim=-1, keepdim=True).abs() + 1e-9)
        opposite = zip(answers, reversed(areas), strict=True)
        return sum(answer * area for answer, area in opposite) / sum(areas)


@register("liif")
class Query(Implicit):
    def gen_feat(self, inp):
        self.features = self.encoder(inp)

    def query_rgb(self, coord, cell=None):
        return self.ask(self.features, coord, cell)

    def forward(self, inp, coord, cell):
        self.gen_feat(inp)
        return self.query_rgb(coord, cell)


@register("liif-forward")
class Forward(Implicit):
    def forward(self, inp, coord, cell):
        return self.ask(self.encoder(inp), coord, cell)


@register("liif-grid")
class Grid(Implicit):
    """Rows and columns at once, one cell, and an image back, as SRNO has it."""

    def gen_feat(self, inp):
        self.features = self.encoder(inp)

    def query_rgb(self, coord, cell):
        rows, columns = coord.shape[1:3]
        cells = cell[:, None].expand(1, rows * columns, 2)
        rgb = self.ask(self.features, coord.reshape(1, -1, 2), cells)
        return rgb.transpose(1, 2).reshape(1, 3, rows, columns)


@register("liif-again")
class Again(Grid):
    """Told LR and features with every query, as LINF has it."""

    def gen_feat(self, inp):
        return self.encoder(inp)

    def query_rgb(self, inp, feat, coord, cell, temperature=0):
        assert inp.shape[-2:] == feat.shape[-2:]
        self.features = feat
        return Grid.query_rgb(self, coord, cell)
