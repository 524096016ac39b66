from __future__ import annotations

from transforms.contract.steps.baselines import Baselines


def test_only_answers_that_were_scored_are_told():
    baselines = Baselines(constant={"test_loss": 1.0}, nearest={"test_loss": 0.5})
    assert baselines.scored() == {"constant": {"test_loss": 1.0}, "nearest": {"test_loss": 0.5}}
    assert Baselines.model_validate(baselines.scored()) == baselines
    assert Baselines().scored() == {}
