"""Schedule, warm-up, update and error against numbers worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.papers.resnet.evaluation import evaluate
from repro.papers.resnet.loss import cross_entropy
from repro.papers.resnet.training import Training, learning_rate


class Scores(nn.Module):
    """Returns its one parameter [classes] for each image: what is right is up to the labels."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.tensor(scores, dtype=torch.float64))

    def forward(self, image: Tensor) -> Tensor:
        return self.scores.expand(len(image), -1)


def batch(*labels: int) -> dict[str, Tensor]:
    return {"image": torch.zeros(len(labels), 1, 1, 1), "label": torch.tensor(labels)}


def test_cross_entropy_by_hand() -> None:
    # softmax of [ln 3, 0] is [3/4, 1/4]
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]])
    total = cross_entropy(logits, torch.tensor([0, 1]))["total"]
    assert total.item() == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)


@pytest.mark.parametrize(
    "step, rate", [(1, 0.1), (32_000, 0.1), (32_001, 0.01), (48_000, 0.01), (48_001, 0.001), (64_000, 0.001)]
)
def test_the_rate_of_section_4_2(step: int, rate: float) -> None:
    assert learning_rate(step, 0.1, 32_000, 48_000) == pytest.approx(rate)


def test_two_steps_of_momentum_and_decay_by_hand() -> None:
    model = Scores([0.0, 0.0])
    training = Training(model, cross_entropy, rate=0.1, momentum=0.9, weight_decay=0.5)
    training.update(batch(0))  # the gradient is softmax - [1, 0] = [-½, ½]; no weight to decay yet
    torch.testing.assert_close(model.scores.detach(), torch.tensor([0.05, -0.05], dtype=torch.float64))
    p = 1 / (1 + math.exp(-0.1))
    velocity = 0.9 * -0.5 + (p - 1) + 0.5 * 0.05
    training.update(batch(0))
    torch.testing.assert_close(model.scores[0].item(), 0.05 - 0.1 * velocity)


def test_warm_up_ends_when_the_mean_error_falls_below_80_and_survives_a_resume() -> None:
    def made() -> Training:
        return Training(Scores([1.0, 0.0]), cross_entropy, warmup="until_learning", warmup_batches=4, first_drop=12)

    training = made()
    wrong, right = batch(1), batch(0)
    rates = [training.update(wrong)["learning_rate"] for _ in range(6)]  # error 100 % throughout
    other = made()
    other.model.load_state_dict(training.model.state_dict())
    other.load_state_dict(training.state_dict())
    for one in (training, other):
        one.model.scores.data.copy_(torch.tensor([1.0, 0.0]))
        more = [one.update(right)["learning_rate"] for _ in range(4)]
        # after the 7th batch the last four are wrong in 75 % on average: the 8th update is the first at 0.1
        assert [*rates, *more] == pytest.approx([0.01] * 7 + [0.1] * 3)
    assert other.errors == [] and not other.warming
    # the drops count from the first update, warm-up included
    assert [training.update(right)["learning_rate"] for _ in range(3)] == pytest.approx([0.1, 0.1, 0.01])


def test_processes_that_share_a_batch_end_the_warm_up_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_another_process(total: Tensor) -> None:
        total += 20.0  # its own error

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", with_another_process)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    training = Training(Scores([1.0, 0.0]), cross_entropy, warmup="until_learning", warmup_batches=1)
    training.update(batch(1))  # 100 % here and 20 % there are 60 % together
    assert not training.warming


def test_unknown_warm_up_is_named() -> None:
    with pytest.raises(ValueError, match=r"training\.warmup is 'linear', needed one of none, until_learning"):
        Training(Scores([0.0]), cross_entropy, warmup="linear")


class Fixed:
    """Three images in two batches; what is seen are the scores themselves."""

    def batches(self, split: str) -> Any:
        assert split == "test"
        yield {"image": torch.eye(10)[:2], "label": torch.tensor([0, 1])}
        yield {"image": torch.eye(10)[2:3], "label": torch.tensor([9])}


def test_error_by_hand() -> None:
    model = nn.Identity().train()
    found = evaluate(model, Fixed())
    assert found["error"] == pytest.approx(100 / 3) and found["accuracy"] == pytest.approx(200 / 3)
    right = math.log(math.e + 9) - 1  # -log softmax of the one among nine zeros
    assert found["loss"] == pytest.approx((2 * right + right + 1) / 3)
    assert model.training
