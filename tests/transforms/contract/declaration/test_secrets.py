from __future__ import annotations

import json

import pytest
import yaml

from flows.records.run_identity import identity_of
from transforms.contract.declaration.parsing import hide_secrets, load
from transforms.contract.declaration.secrets import expand, expand_options
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.masking import masked
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.partition import Partition

PASSWORD = "s3cr@t-Word"
DOCUMENT = {
    "name": "flats",
    "source": {"path": "data", "key": "id"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}},
}


def _load(folder, overrides=(), **changes):
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT | changes))
    return load(path, overrides)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a ${BRAID_TEST_X} b", "a value b"),
        ("${BRAID_TEST_X}${BRAID_TEST_X}", "valuevalue"),
        ("${BRAID_TEST_UNSET:-other}", "other"),
        ("${BRAID_TEST_UNSET:-}", ""),
        ("${BRAID_TEST_EMPTY:-other}", "other"),
        ("${BRAID_TEST_EMPTY}", ""),
        ("$${BRAID_TEST_X}", "${BRAID_TEST_X}"),
        ("$5 and %Y/$m", "$5 and %Y/$m"),
    ],
)
def test_a_variable_stands_for_its_value(monkeypatch, text, value):
    monkeypatch.setenv("BRAID_TEST_X", "value")
    monkeypatch.setenv("BRAID_TEST_EMPTY", "")
    assert expand(text) == value


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ({"name": "x-${BRAID_TEST_UNSET}"}, "name", "BRAID_TEST_UNSET"),
        ({"registry": {"uri": "http://${BRAID_TEST_UNSET}"}}, "registry.uri", "BRAID_TEST_UNSET"),
        ({"beam": {"options": {"x": ["${BRAID_TEST_UNSET}"]}}}, "beam.options.x.0", "UNSET"),
        ({"name": "${9}"}, "name", "${NAME}"),
    ],
)
def test_a_variable_without_a_value_is_told_with_its_place(tmp_path, change, place, value):
    with pytest.raises(DeclarationError) as told:
        _load(tmp_path, **change)
    assert told.value.place == f"{tmp_path / 'pipeline.yaml'}: {place}"
    assert value in told.value.expected


def test_any_text_of_a_declaration_may_hold_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAID_TEST_X", "flats2")
    pipeline = _load(
        tmp_path,
        ("features.area.column=${BRAID_TEST_X}",),
        name="${BRAID_TEST_X}",
        source={"path": "${BRAID_TEST_UNSET:-/data}/x", "key": "id"},
    )
    assert (pipeline.name, pipeline.source.path) == ("flats2", "/data/x")
    assert pipeline.features["area"].column == "flats2"


_SECRETS = [
    {"registry": {"uri": f"postgresql://me:{PASSWORD}@host/db"}},
    {"registry": {"uri": "postgresql://me:${BRAID_TEST_PW}@host/db"}},
    {"registry": {"uri": f"postgresql://host/db?user=me&password={PASSWORD}"}},
    {"registry": {"uri": "sqlite:////tmp/${BRAID_TEST_TOKEN}/x.db"}},
    {"registry": {"uri": f"http://me:{PASSWORD}-${{BRAID_TEST_TOKEN}}@host"}},
    {"beam": {"options": {"api_key": PASSWORD, "deep": {"password": [PASSWORD, "x"]}}}},
    {"beam": {"options": {"master": f"http://me:{PASSWORD}@host", "t": "${BRAID_TEST_TOKEN}"}}},
]


def _hidden_in(text: str) -> bool:
    return PASSWORD not in text


@pytest.mark.parametrize("change", _SECRETS)
@pytest.mark.parametrize("as_override", [False, True])
def test_no_secret_is_in_what_is_kept_and_all_are_there_when_they_are_used(
    tmp_path, monkeypatch, change, as_override
):
    monkeypatch.setenv("BRAID_TEST_PW", PASSWORD)
    monkeypatch.setenv("BRAID_TEST_TOKEN", PASSWORD)
    if as_override:
        (key, value), *_ = change.items()
        overrides = hide_secrets([f"{key}={json.dumps(value)}"])
        assert all(map(_hidden_in, overrides))
        pipeline = _load(tmp_path, overrides)
    else:
        pipeline = _load(tmp_path, **change)
    job = TransformJob(pipeline=pipeline, workspace="w", transform="t", partitions=())
    for kept in (job.model_dump_json(), repr(pipeline), str(pipeline.model_dump(mode="json"))):
        assert _hidden_in(kept)
    again = TransformJob.model_validate_json(job.model_dump_json()).pipeline
    used = expand(again.registry.uri or "") + str(expand_options(again.beam.options))
    assert PASSWORD in used
    assert _hidden_in(masked(used))
    error = BraidError(used, expected=used, received=used, action=used)
    assert _hidden_in(str(error) + str(ErrorReport.of(error)))


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"path": f"s3://key:{PASSWORD}@bucket/x", "key": "id"}},
        {"source": {"path": "data", "key": "${BRAID_TEST_TOKEN}"}},
    ],
)
def test_a_secret_where_it_would_be_kept_is_refused_without_showing_it(
    tmp_path, monkeypatch, change
):
    monkeypatch.setenv("BRAID_TEST_TOKEN", PASSWORD)
    with pytest.raises(DeclarationError, match="no password, token or other secret here") as told:
        _load(tmp_path, **change)
    assert _hidden_in(str(told.value))


@pytest.mark.parametrize(
    "text",
    ["http://host:5000/a", "file:///a/b", "sqlite:////a/b.db", "gs://bucket/a@b/c:d", "a@b.c: d"],
)
def test_a_text_without_a_secret_stays(text):
    assert masked(text) == text


def test_another_password_makes_no_other_registry_and_another_host_does(tmp_path, monkeypatch):
    partitions = (Partition(name="all", value=None, fingerprint="f", files=()),)

    def judgement(host: str, password: str) -> str:
        monkeypatch.setenv("BRAID_TEST_HOST", host)
        monkeypatch.setenv("BRAID_TEST_PW", password)
        uri = "http://me:${BRAID_TEST_PW}@${BRAID_TEST_HOST}"
        return identity_of(_load(tmp_path, registry={"uri": uri}), "t", partitions).judgement

    assert judgement("one", "first-password") == judgement("one", "second-password")
    assert judgement("one", "first-password") != judgement("two", "first-password")


def test_secrets_with_names_alike_are_not_mixed_up(tmp_path):
    options = {"a.key_token": "first-secret", "a_key.token": "second-secret"}
    pipeline = _load(tmp_path, beam={"options": options})
    assert "secret" not in str(pipeline.beam.options.values()).replace("BRAID_SECRET", "")
    assert expand_options(pipeline.beam.options) == options
