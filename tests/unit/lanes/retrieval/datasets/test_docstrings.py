"""Pairs from installed documentation: found without importing, in no particular order, split cleanly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.config import SPLITS, DocstringsData
from interlock.lanes.retrieval.datasets.docstring_files import Docstring, open_package, read_docstrings
from interlock.lanes.retrieval.datasets.docstrings import Pair, pair_from
from interlock.lanes.retrieval.datasets.duplicates import families, signatures

EXPLODES = "raise SystemExit('documentation is read, never run')\n"


def install(site: Path, name: str, files: Mapping[str, str], *, record: list[str] | None = None) -> None:
    """Lay a package out as pip would."""
    for file, text in files.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text(text, encoding="utf-8")
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: MIT\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in record or sorted(files)))


def module(*numbers: int) -> str:
    """Source of a module with one documented function per number; importing it would end the test run."""
    functions = [
        f'def f{n}():\n    """Return the answer to number{n} of all.\n\n    {body(n)}\n    """\n' for n in numbers
    ]
    return EXPLODES + "\n".join(functions)


def body(number: int) -> str:
    return " ".join(f"word{number}x{place}" for place in range(20))


def package_files(name: str, *, start: int = 0) -> dict[str, str]:
    return {f"{name}/m{n}.py": module(start + 2 * n, start + 2 * n + 1) for n in range(10)}


def config(*packages: str, **fields: Any) -> DocstringsData:
    return DocstringsData(kind="docstrings", packages=packages, **fields)


def pair(text: str, **fields: Any) -> Pair | str:
    return pair_from(Docstring("p", "p.m", "f", text), config("p", **{"min_document_words": 3, **fields}))


# --- single docstrings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Only a summary of some length.", "no body"),
        ("Too short.\n\nBut it has a body.", "summary too short"),
        (f"{'word ' * 50}\n\nBut it has a body.", "summary too long"),
        ("norm(x, y) -> float that is long enough\n\nBut it has a body.", "summary is a signature"),
        ("Return the norm of x.\n\nToo short.", "body too short"),
        ("Return the norm of x.\n\nHere we return the `norm` of X, again.", "body repeats the summary"),
        ("Return the norm of x.\n\n.. deprecated:: 1.2\n   Use something else.", "deprecated"),
        ("Return the norm of x.\n\nThe character \ud800 is none.", "not valid Unicode"),
    ],
)
def test_what_makes_no_pair_says_why(text: str, reason: str) -> None:
    assert pair(text) == reason


def test_a_pair_is_the_first_paragraph_on_one_line_and_the_rest_as_it_stands() -> None:
    text = "Return the norm\n of a vector.\n\nThe norm is\n    never negative, of course.\n"
    found = pair(text, max_document_words=5)
    assert found == Pair("p.m:f", "p.m", "Return the norm of a vector.", "The norm is\n    never negative,")


def test_names_say_where_a_docstring_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        '"""Module."""\n'
        'class A:\n    """Class."""\n    def f(self):\n        """Method."""\n'
        '        def g():\n            """Inner."""\n'
        'try:\n    async def h():\n        """First."""\nexcept ImportError:\n    def h():\n        """Second."""\n'
    )
    install(tmp_path, "fakepkg", {"fakepkg/__init__.py": source})
    monkeypatch.syspath_prepend(tmp_path)
    _, files = open_package("fakepkg")
    found = {docstring.identifier: docstring.text for docstring in read_docstrings("fakepkg", files[0])}
    assert found == {
        "fakepkg": "Module.",
        "fakepkg:A": "Class.",
        "fakepkg:A.f": "Method.",
        "fakepkg:A.f.g": "Inner.",
        "fakepkg:h": "First.",
        "fakepkg:h#2": "Second.",
    }


# --- whole packages ------------------------------------------------------------------------------------------------


def test_a_package_that_is_not_installed_is_refused(prepare: Any) -> None:
    with pytest.raises(DataError, match=r"the package is not installed \(got 'no-such-package'\)\n  way out: install"):
        prepare(config("no_such_package"))


def test_a_package_without_a_record_is_refused(prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "fakepkg", {})
    (tmp_path / "site" / "fakepkg-1.0.dist-info" / "RECORD").unlink()
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(DataError, match="installed without a record of its files"):
        prepare(config("fakepkg"))


def test_a_damaged_installation_is_refused(prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "fakepkg", {}, record=["fakepkg/gone.py"])
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(DataError, match=r"(?s)gone.py: .*cannot be read: No such file.*force-reinstall fakepkg"):
        prepare(config("fakepkg"))


def test_a_package_without_documentation_is_refused(
    prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", "fakepkg", {"fakepkg/a.py": "x = 1\n", "fakepkg/b.py": '"""Not Python.\n\nNo."""\n)('})
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(DataError, match=r"the package holds no usable docstring \(got 'fakepkg'\)"):
        prepare(config("fakepkg"))


def test_tests_and_vendored_copies_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        "fakepkg/a.py",
        "fakepkg/tests/b.py",
        "fakepkg/_vendor/c.py",
        "fakepkg/test_d.py",
        "fakepkg/e.txt",
        "../bin/f.py",
        "fakepkg/contest.py",
    ]
    install(tmp_path, "fakepkg", {}, record=files)
    monkeypatch.syspath_prepend(tmp_path)
    source, found = open_package("fakepkg")
    assert sorted(map(str, found)) == ["fakepkg/a.py", "fakepkg/contest.py"]
    assert (source.name, source.version, source.licence) == ("fakepkg", "1.0", "MIT")


@given(record=st.permutations(sorted(package_files("alpha"))), reverse=st.booleans())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_result_depends_on_no_order_and_no_place(
    tmp_path_factory: pytest.TempPathFactory, record: list[str], reverse: bool
) -> None:
    digests = []
    for order, packages in ((sorted(record), ("alpha", "beta")), (record, ("beta", "alpha"))):
        root = tmp_path_factory.mktemp("place")
        install(root / "site", "alpha", package_files("alpha"), record=order)
        install(root / "site", "beta", package_files("beta", start=100))
        digests.append(digest_of(root, packages[:: -1 if reverse else 1], max_pairs_per_package=13))
    assert digests[0] == digests[1]


def digest_of(root: Path, packages: tuple[str, ...], **fields: Any) -> str:
    from interlock.lanes.retrieval.datasets.preparation import prepare_dataset

    class Quiet:
        def track(self, items: Any, description: str, total: int | None = None) -> Any:
            return items

        def message(self, text: str) -> None: ...

    (root / "out").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root / "site")
        card = prepare_dataset(config(*packages, **fields), root / "out", root=root, progress=Quiet())
    assert card.documents == 28  # seven modules of two pairs from each package reach the limit
    return card.sha256


def test_modules_never_cross_splits(prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "alpha", package_files("alpha"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    data = prepare(config("alpha", validation_fraction=0.2, test_fraction=0.2))
    modules = [{name.split(":")[0] for name in data.queries(split).ids} for split in SPLITS]
    assert [len(part) for part in modules] == [6, 2, 2]
    assert len(set.union(*modules)) == 10
    assert data.card.split_check.correct


@pytest.mark.parametrize("seed", range(5))
def test_near_copies_and_their_relatives_never_cross(
    prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Each module holds a copy of its neighbour's text (removed), and one that resembles it by two thirds (kept)."""
    files = {}
    for n in range(10):
        text, related = body(n // 2), f"{body(50 + n // 2)} own{n}a own{n}b own{n}c own{n}d"
        files[f"alpha/m{n}.py"] = (
            f'def f():\n    """Explain the thing called copy{n}.\n\n    {text}\n    """\n'
            f'def g():\n    """Explain the thing called related{n}.\n\n    {related}\n    """\n'
        )
    install(tmp_path / "site", "alpha", files)
    monkeypatch.syspath_prepend(tmp_path / "site")
    data = prepare(config("alpha", split_seed=seed, validation_fraction=0.3, test_fraction=0.3))
    assert data.card.near_duplicates_removed == 5
    assert data.num_documents == 15
    labels = families(signatures(data.documents(range(15))), 0.5)
    parts = [set(labels[data.positives(split).doc_row].tolist()) for split in SPLITS]
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]


def test_a_question_asked_twice_is_kept_once(prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = module(900).replace("Return the answer to number900 of all.", "Return the ANSWER, to `number0` of all")
    install(tmp_path / "site", "alpha", {**package_files("alpha"), "alpha/m99.py": twice})
    monkeypatch.syspath_prepend(tmp_path / "site")
    data = prepare(config("alpha"))
    assert data.card.left_out == {"summary seen before": 1}
    assert "alpha.m99:f900" not in data.doc_ids


def test_max_pairs_keeps_whole_modules(prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "alpha", package_files("alpha"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    data = prepare(config("alpha", max_pairs=13, test_fraction=0.2, validation_fraction=0.2))
    assert data.num_documents == 12
    assert data.card.left_out == {"over max_pairs": 8}


def test_one_package_cannot_dominate(prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "alpha", package_files("alpha"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    chosen = config("alpha", max_pairs_per_package=7, test_fraction=0.3, validation_fraction=0.3)
    assert prepare(chosen).num_documents == 8


def test_real_packages_give_clean_splits(prepare: Any) -> None:
    data = prepare(config("networkx", "pydantic", max_pairs_per_package=200))
    assert data.num_documents > 200
    assert data.card.split_check.correct
    assert [source.name for source in data.card.sources] == ["networkx", "pydantic"]
    data.verify()
