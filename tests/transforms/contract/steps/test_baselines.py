from __future__ import annotations

from transforms.contract.steps.baselines import Baselines


def test_only_answers_that_were_scored_are_told():
    found = Baselines(constant={"test_loss": 1.0}, nearest={"test_loss": 0.5})
    assert found.scored() == {"constant": {"test_loss": 1.0}, "nearest": {"test_loss": 0.5}}
    assert Baselines.model_validate(found.scored()) == found
    assert Baselines().scored() == {}
