"""Test-time augmentation by zooming: what a classifier recognises in many crops of one image.

Two ways to make one answer of 64 random resized crops (`downstream.augment`): the mean of the class
probabilities, and MEMO (`downstream.adapt`), which adapts the network to the crops and then judges
the one-crop view. Both keep the plain judgement of that view beside theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from liif_bench.downstream import ADAPTED, AUGMENTED, CROPS, ONE_CROP
from liif_bench.downstream.adapt import LEARNING_RATE, PRIOR, Adaptable, adapted, logits_under
from liif_bench.downstream.augment import crops_of_answer
from liif_bench.downstream.classifiers import title
from liif_bench.downstream.views import CROP, one_crop_of_answer
from liif_bench.downstream.zoom import ClassifierMetric, opinions, ranks, right_classes
from liif_bench.errors import NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import Protocol


@dataclass(frozen=True)
class AugmentedMetric(ClassifierMetric):
    """Whether a right class is among the first in the mean opinion on random resized crops.

    Attributes:
        device: Where the classifier runs.
        name: As in tables and records.
        places: How many first ones count.
    """

    name: str = ""
    places: int = 1
    higher_is_better = True
    windows_only = True
    method = "mean"
    table = AUGMENTED

    def variant(self, protocol: Protocol) -> str:
        """Name the classifier and the crops."""
        return f"{title(protocol.zoom.classifier)}, mean of {CROPS} random resized crops of {CROP}"

    def score(self, case: Case, output: Output) -> float:
        """Measure: 1 for right, 0 for wrong."""
        self.check_label(case)
        right = right_classes(case, self.classifier(case.protocol))
        return float(ranks(self.opinion(case, output)[None], right)[0] <= self.places)

    def details(self, case: Case, output: Output) -> list[dict[str, Any]]:
        """Return a row for the one-crop view and one for what is made of the crops; see `Detailed`.

        Columns: method ("one", "mean" or "memo"); rank of the likeliest right label; WordNet id of
        the most likely class, and its probability. No rows where the metric has no meaning.
        """
        try:
            self.check_label(case)
            made = self.opinion(case, output)
        except NotApplicableError:
            return []
        classifier = self.classifier(case.protocol)
        right = right_classes(case, classifier)
        one = opinions(case, classifier, [one_crop(case, output)[None]])[0].double()
        rows = []
        for method, opinion in (("one", one), (self.method, made)):
            best = int(opinion.argmax())
            rows.append(
                {
                    "method": method,
                    "rank": int(ranks(opinion[None], right)[0]),
                    "top": classifier.wnids[best],
                    "confidence": float(opinion[best].exp()),
                }
            )
        return rows

    def opinion(self, case: Case, output: Output) -> Tensor:
        """Return `(1000,)` float64 log-probabilities, worked out once."""
        key = (self.method, case.protocol.zoom.classifier)
        return output.memo.once(key, lambda: self.look(case, output))

    def look(self, case: Case, output: Output) -> Tensor:
        """Work out the opinion; see `opinion`."""
        each = opinions(case, self.classifier(case.protocol), [crops(case, output)])
        return each.double().exp().mean(dim=0).log()


class AdaptedMetric(AugmentedMetric):
    """Whether a right class is among the first of the one-crop view after one step of MEMO."""

    method = "memo"
    table = ADAPTED

    def variant(self, protocol: Protocol) -> str:
        """Name the classifier, the step and the view."""
        return (
            f"{title(protocol.zoom.classifier)}, MEMO: 1 SGD step of {LEARNING_RATE:g} on {CROPS}"
            f" random resized crops of {CROP}, BN prior {PRIOR}, judged at {ONE_CROP}"
        )

    def look(self, case: Case, output: Output) -> Tensor:
        """Adapt a copy of the parameters to the crops, and judge the one-crop view with them.

        Raises:
            NotApplicableError: The classifier does not show its network.
        """
        classifier = self.classifier(case.protocol)
        if not isinstance(classifier, Adaptable):
            raise NotApplicableError(
                f"classifier '{case.protocol.zoom.classifier}' shows no network to adapt"
            )
        parameters = adapted(classifier, crops(case, output))
        with torch.no_grad():
            logits = logits_under(classifier, parameters, one_crop(case, output)[None])
        return torch.log_softmax(logits[0].double(), dim=-1).cpu()


def crops(case: Case, output: Output) -> Tensor:
    """Return the random resized crops of an output, `(64, 3, 224, 224)`, rendered once."""
    return output.memo.once("random crops", lambda: torch.stack([*crops_of_answer(case, output)]))


def one_crop(case: Case, output: Output) -> Tensor:
    """Return the one-crop view of an output, `(3, 224, 224)`, rendered once."""
    return output.memo.once("one crop", lambda: one_crop_of_answer(case, output))


def _mean(name: str, places: int, device: str) -> AugmentedMetric:
    return AugmentedMetric(device, name, places)


def _memo(name: str, places: int, device: str) -> AdaptedMetric:
    return AdaptedMetric(device, name, places)


mean_top1 = partial(_mean, "tta-mean-top1", 1)
mean_top5 = partial(_mean, "tta-mean-top5", 5)
memo_top1 = partial(_memo, "tta-memo-top1", 1)
memo_top5 = partial(_memo, "tta-memo-top5", 5)
