"""Writes under a condition, from the URL of a store and the credentials of the environment."""

from __future__ import annotations

import sys

import obstore
import pytest

from tests.support.bucket import URI, memory_bucket
from tests.support.s3 import needs_moto, s3_server
from transforms.contract.errors import BraidError
from transforms.contract.leases.versioned import (
    open_client,
    read_versioned,
    refuse_unconditional,
    write_versioned,
)
from transforms.contract.workspace import bucket as module
from transforms.contract.workspace.bucket import Bucket, BucketPath


@pytest.fixture(autouse=True)
def no_keys(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_the_options_of_a_url_are_those_of_arrows_file_system():
    client, path = open_client(
        "s3://bucket/a/b?scheme=http&endpoint_override=127.0.0.1:9&region=eu-central-1"
    )
    assert path == "a/b"
    assert client.config["bucket"] == "bucket"
    assert client.config["region"] == "eu-central-1"
    assert client.config["endpoint"] == "http://127.0.0.1:9"
    client, path = open_client(
        "gs://anonymous@bucket/braid?scheme=http&endpoint_override=127.0.0.1:9"
    )
    assert path == "braid"
    assert client.config["base_url"] == "http://127.0.0.1:9"
    assert client.config["bearer_token"] == "anonymous"


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [("AWS_PROFILE", "other", "B"), ("AWS_PROFILE", "default", "A")],
)
def test_keys_of_a_profile_are_those_of_amazons_file(monkeypatch, tmp_path, name, value, key):
    text = "".join(
        f"[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = word\n"
        for profile, key in (("default", "A"), ("other", "B"))
    )
    (tmp_path / "credentials").write_text(text)
    monkeypatch.setenv(name, value)
    client, _ = open_client(f"s3://bucket/{value}?region=eu-central-1")
    assert client.config["access_key_id"] == key
    assert client.config["secret_access_key"] == "word"


def test_a_machine_without_obstore_is_told_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(BraidError, match=r"s3://bucket/x: .*obstore"):
        open_client("s3://bucket/x?region=eu-central-1")


def test_credentials_that_cannot_be_read_are_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(BraidError, match=r"gs://bucket/x: .*none\.json.*give this user access"):
        open_client("gs://bucket/x")


def test_a_service_that_knows_no_conditions_is_refused(tmp_path, monkeypatch):
    with memory_bucket():
        bucket = BucketPath(Bucket(URI, tmp_path, 1)).bucket
        refuse_unconditional(bucket)
        refuse_unconditional.cache_clear()
        put = obstore.put
        monkeypatch.setattr(obstore, "put", lambda *a, mode: put(*a))
        with pytest.raises(BraidError, match="written although there was one"):
            refuse_unconditional(bucket)


@needs_moto
def test_of_two_versions_one_is_written_and_a_bucket_that_is_not_there_is_one_sentence(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.01)
    with s3_server() as s3:
        place = BucketPath(Bucket(s3.url("v"), tmp_path, 1)) / "a.json"
        assert read_versioned(place) is None
        first = write_versioned(place, b"1", over=None)
        assert first == read_versioned(place)
        assert write_versioned(place, b"2", over=None) is None
        second = write_versioned(place, b"3", over=first)
        assert write_versioned(place, b"4", over=first) is None
        assert read_versioned(place) == second
        place.delete()
        assert write_versioned(place, b"5", over=second) is None
        nowhere = BucketPath(Bucket(s3.url("").replace("bucket", "nowhere", 1), tmp_path, 1)) / "a"
        with pytest.raises(BraidError, match=r"NoSuchBucket.*give this user access"):
            write_versioned(nowhere, b"1", over=None)
