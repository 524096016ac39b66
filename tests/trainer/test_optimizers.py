from __future__ import annotations

import pytest

from trainer.optimizers import build_optimizer
from transforms.contract.model import ConstantSchedule, CosineSchedule, TrainingSpec


def rates(steps, **fields):
    optimizer = build_optimizer(TrainingSpec(learning_rate=0.5, **fields), steps)
    found = []
    for step in range(steps + 1):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


def test_a_constant_rate_stays():
    assert rates(4, schedule=ConstantSchedule()) == [0.5] * 5


def test_a_cosine_falls_from_the_rate_to_0():
    found = rates(4, schedule=CosineSchedule())
    assert found == pytest.approx([0.5, 0.4268, 0.25, 0.0732, 0.0], abs=1e-4)


def test_a_warmup_climbs_from_0_first():
    found = rates(6, schedule=CosineSchedule(warmup_steps=2))
    assert found[:3] == pytest.approx([0.0, 0.25, 0.5])
    assert found[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_warmup_longer_than_the_training_is_cut():
    assert rates(3, schedule=CosineSchedule(warmup_steps=99))[2] == pytest.approx(0.5)
