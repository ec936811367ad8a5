"""Passages of installed documentation: found without importing, split by module, free of copies, verified."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlock.errors import DataError
from interlock.lanes.passages.card import CARD_NAME, read_card
from interlock.lanes.passages.config import DocumentationData
from interlock.lanes.passages.preparation import check_splits, prepare_passages
from interlock.lanes.passages.prepared import PASSAGES_FILE, SCHEMA, PreparedPassages
from interlock.stages.progress import Silent

SPLITS = ("train", "validation", "test")


def sentence(*words):
    return f"Sentence about {' '.join(words)} and about nothing else"


def spelled(*numbers):
    return "x".join("".join("abcdefghij"[int(digit)] for digit in str(number)) for number in numbers)


def module(number, functions=4):
    """Source with documented functions of three paragraphs each; importing it would end the test run."""
    docs = [
        "\n\n    ".join(sentence(*(letter + spelled(number, n, place) for letter in "abcdefgh")) for place in range(3))
        for n in range(functions)
    ]
    return "raise SystemExit\n" + "\n".join(f'def f{n}():\n    """{doc}"""\n' for n, doc in enumerate(docs))


@pytest.fixture
def install(tmp_path, monkeypatch):
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def lay_out(name, files):
        for file, text in files.items():
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).write_text(text)
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: MIT\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in sorted(files)))

    return lay_out


@pytest.fixture
def prepare(tmp_path):
    def run(*packages, name="out", **fields):
        config = DocumentationData(kind="documentation", packages=packages, **fields)
        return prepare_passages(config, tmp_path / name, root=tmp_path, progress=Silent())

    return run


@pytest.fixture
def spacious(install):
    """A package of 20 modules that have nothing in common."""
    install("spacious", {f"spacious/m{n}.py": module(n) for n in range(20)})
    return "spacious"


def test_modules_go_to_one_split_whole_and_every_passage_is_there(prepare, spacious, tmp_path):
    card = prepare(spacious)
    data = PreparedPassages.open(tmp_path / "out")
    groups = {split: {document.group for document in data.documents(split)} for split in SPLITS}
    assert card.documents == 80
    assert card.passages == 240
    assert card.split_check.correct
    assert sum(map(len, groups.values())) == 20 == len(set().union(*groups.values()))
    assert all(len(document.passages) == 3 for split in SPLITS for document in data.documents(split))
    data.verify()


def test_an_opening_holds_the_first_passages_alone(prepare, spacious):
    card = prepare(spacious, opening=2)
    assert card.passages == 160
    assert "everything after the first 2 passages of a text" in card.cleaning


def test_a_copy_stays_where_it_stands_first(prepare, install, tmp_path):
    files = {f"twins/m{n}.py": module(n) for n in range(20)}
    install("twins", files | {"twins/z.py": module(7)})
    card = prepare("twins")
    assert card.documents == 80
    assert card.left_out["near copy of another passage"] == 12
    groups = {
        document.group for split in SPLITS for document in PreparedPassages.open(tmp_path / "out").documents(split)
    }
    assert "twins.m7" in groups
    assert "twins.z" not in groups


def test_the_order_in_which_packages_are_named_does_not_matter(prepare, install, spacious):
    install("other", {f"other/m{n}.py": module(100 + n) for n in range(5)})
    assert prepare(spacious, "other").sha256 == prepare("other", spacious, name="again").sha256


def test_a_package_without_two_paragraphs_is_refused(prepare, install):
    install("silent", {"silent/m.py": '"""Only a summary of some length."""\n'})
    with pytest.raises(DataError, match="holds no two consecutive paragraphs of prose"):
        prepare("silent")


def test_a_package_that_is_not_installed_is_refused(prepare):
    with pytest.raises(DataError, match="not installed"):
        prepare("no-such-package-anywhere")


def test_an_empty_split_is_refused(prepare, install):
    install("small", {"small/m.py": module(1)})
    with pytest.raises(DataError, match="no validation documents are left"):
        prepare("small")


def test_a_limit_is_reached_by_whole_files(prepare, spacious):
    assert prepare(spacious, max_documents_per_package=30).documents == 32


def test_packages_are_named_once():
    with pytest.raises(ValueError, match="names a package twice"):
        DocumentationData(kind="documentation", packages=("a", "a"))


# --- reading back ----------------------------------------------------------------------------------------------------


def rewritten(folder, change):
    rows = pq.read_table(folder / PASSAGES_FILE).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / PASSAGES_FILE)


def test_a_changed_word_is_found(prepare, spacious, tmp_path):
    prepare(spacious)
    rewritten(tmp_path / "out", lambda rows: rows[5].update(text="Another text"))
    with pytest.raises(DataError, match="content differs from the dataset card"):
        PreparedPassages.open(tmp_path / "out").verify()


def test_the_check_of_the_splits_sees_what_was_written(prepare, spacious, tmp_path):
    prepare(spacious)

    def leak(rows):
        test = next(row for row in rows if row["split"] == "test")
        train = next(row for row in rows if row["split"] == "train")
        train.update(text=test["text"], group=test["group"])

    rewritten(tmp_path / "out", leak)
    found = check_splits(tmp_path / "out", similarity=0.8)
    assert (found.shared_near_duplicates, found.shared_groups, found.correct) == (1, 1, False)


def test_an_unfinished_or_foreign_folder_is_refused(prepare, spacious, tmp_path):
    with pytest.raises(DataError, match="the folder is unfinished"):
        read_card(tmp_path)
    prepare(spacious)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "out" / PASSAGES_FILE)
    with pytest.raises(DataError, match="columns are"):
        PreparedPassages.open(tmp_path / "out")
    (tmp_path / "out" / PASSAGES_FILE).write_bytes(b"no parquet")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        PreparedPassages.open(tmp_path / "out")
    (tmp_path / "out" / CARD_NAME).write_text("{}")
    with pytest.raises(DataError, match="not a card of passages"):
        PreparedPassages.open(tmp_path / "out")
