"""The lock's digest sees pins alone; secrets are taken out; git and its absence are told without an error."""

import os
import subprocess

import pytest

from interlock.errors import StageError
from interlock.provenance import environment as module
from interlock.provenance.environment import (
    environment,
    git_state,
    lock_digest,
    lock_drift,
    machine_class,
    redact,
    redact_text,
)

LOCK = "torch==2.13.0\nnumpy==2.4.6\n"


def locked(tmp_path, text):
    (tmp_path / "requirements.lock").write_text(text)
    return tmp_path


def test_a_missing_lock_is_refused(tmp_path):
    with pytest.raises(StageError, match=r"requirements\.lock"):
        lock_digest(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["# note\n" + LOCK, "\n\ntorch==2.13.0   # why\n  numpy==2.4.6", "numpy==2.4.6\r\ntorch==2.13.0\r\n"],
)
def test_comments_spacing_and_order_do_not_count(tmp_path, text):
    before = lock_digest(locked(tmp_path, LOCK))
    assert lock_digest(locked(tmp_path, text)) == before


@pytest.mark.parametrize(
    "text",
    [
        "torch==2.13.1\nnumpy==2.4.6\n",
        "torch==2.13.0\n",
        LOCK + "--extra-index-url https://example.invalid/cpu\n",
        "torch==2.13.0 \\\n  --hash=sha256:00\nnumpy==2.4.6\n",
    ],
)
def test_every_pin_counts(tmp_path, text):
    before = lock_digest(locked(tmp_path, LOCK))
    assert lock_digest(locked(tmp_path, text)) != before


def test_what_is_installed_differently_is_named(tmp_path):
    right = f"pytest=={pytest.__version__}\n"
    markers = 'nothing-here==1.0; sys_platform == "win32"\n'
    assert lock_drift(locked(tmp_path, right + markers)) == ()
    drift = lock_drift(locked(tmp_path, "pytest==0.0.1\nno-such-package-at-all==1.0\n"))
    assert drift == (
        "no-such-package-at-all: locked 1.0, installed not at all",
        f"pytest: locked 0.0.1, installed {pytest.__version__}",
    )


def test_the_environment_is_told_in_plain_text():
    found = environment()
    assert {"python_version", "pytorch_version", "faiss_version", "os", "cpu_model", "machine_class"} <= set(found)
    assert all(isinstance(value, str) for value in found.values())
    assert machine_class("cuda") != machine_class()


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def test_without_git_there_is_no_commit(tmp_path):
    assert git_state(tmp_path) == (None, None)
    assert git_state(tmp_path / "missing") == (None, None)


def test_commit_and_changes_are_told(tmp_path, monkeypatch):
    git(tmp_path, "init")
    assert git_state(tmp_path) == (None, None)
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "one")
    commit, dirty = git_state(tmp_path)
    assert (len(commit or ""), dirty) == (40, False)
    (tmp_path / "untracked").write_text("1")
    assert git_state(tmp_path) == (commit, False)
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == (commit, True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert git_state(tmp_path) == (commit, True)


def test_git_that_hangs_or_is_missing_costs_bounded_time(tmp_path, monkeypatch):
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(module, "_SUBPROCESS_TIMEOUT_S", 0.2)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert git_state(tmp_path) == (None, None)
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == (None, None)


@pytest.mark.parametrize(
    "key",
    ["WANDB_API_KEY", "apiKey", "GITHUB_TOKEN", "hf_token", "AWS_SECRET_ACCESS_KEY", "db.password", "DB_PASSWD",
     "credentials", "Authorization", "PRIVATE-KEY", "passphrase", "cookie", "clientSecret", "OPENAIKEY"],
)  # fmt: skip
def test_keys_that_name_secrets_lose_their_values(key):
    assert redact({"outer": [{key: "hidden"}]}) == {"outer": [{key: "***"}]}


@pytest.mark.parametrize(
    ("key", "value"),
    [("tokenizer", "bpe"), ("tokens_hard_ratio", 0.75), ("keyword", "x"), ("author", "someone"), ("seed", 1),
     ("tokens_max", 100), ("key", None)],
)  # fmt: skip
def test_what_is_no_secret_stays(key, value):
    assert redact({key: value}) == {key: value}


def test_a_number_as_password_goes_too():
    assert redact({"password": 1234}) == {"password": "***"}


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hidden@host/path",  # pragma: allowlist secret
        "https://hidden@host/simple",
        "postgresql+psycopg://a:hidden@host:5432/db",  # pragma: allowlist secret
        "https://host/x?api_key=hidden&b=1",
        "https://host/x?b=1&token=hidden",
        "Authorization: Bearer hidden.hidden-hidden",
    ],
)
def test_credentials_in_text_go(text):
    assert "hidden" not in redact_text(text)
    assert "***" in redact({"note": text})["note"]


@pytest.mark.parametrize("head", ["sk-", "ghp_", "hf_", "AKIA", "AIza"])
def test_well_known_forms_of_keys_go(head):
    key = head + "A1B2" * (4 if head == "AKIA" else 8)
    assert redact_text(f"failed with {key}!") == "failed with ***!"


def test_plain_text_is_left_alone():
    text = "see https://docs.example/path?page=2#part and mail me@example.org"
    assert redact_text(text) == text
