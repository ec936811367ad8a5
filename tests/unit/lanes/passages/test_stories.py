"""CSV files of stories: every fault is one clear error or a counted exclusion."""

import pytest

from interlock.errors import DataError
from interlock.lanes.passages.config import StoriesData
from interlock.lanes.passages.preparation import prepare_passages
from interlock.lanes.passages.prepared import PreparedPassages
from interlock.stages.progress import Silent

SPLITS = ("train", "val", "test")


def story(name, sentences=3):
    return "".join(f'{name},"Once {name} did thing number {place}, and more."\n' for place in range(sentences))


def write(folder, **files):
    """Three good files, then what is given in place of them."""
    folder.mkdir(exist_ok=True)
    good = {split: "document_id,text\n" + "".join(story(f"{split}{n}") for n in range(3)) for split in SPLITS}
    for name, text in (good | files).items():
        (folder / f"{name}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def prepare(tmp_path, **fields):
    config = StoriesData(kind="stories", path="stories", name="tiny", **fields)
    return prepare_passages(config, tmp_path / "out", root=tmp_path, progress=Silent())


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("", "the header must name each of document_id, text once"),
        ("id,text\n", "the header must name each of document_id, text once"),
        ("document_id,text\n", "the file holds no stories"),
        ("document_id,text\na,one,two\n", "other number of fields (1): line 2: 3, the header has 2"),
        ("document_id,text\n,A text of nobody.\n", "no document_id (1): line 2"),
        (f"document_id,text\n{story('a')}{story('b')}{story('a')}", "story in several places (1): line 8: 'a' goes on"),
        ('document_id,text\na,"never closed\n', "broken CSV at line 2"),
        (b"document_id,text\na,\xff\xfe\n", "broken UTF-8: ff"),
        (f"document_id,text\n{story('test0')}", "1 stories stand in more than one split"),
        ("document_id,text\na,One lonely passage of a story.\n", "no train documents are left"),
        ("document_id,text\na,\na,\nb,\n", "no train documents are left"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_error(tmp_path, train, message):
    write(tmp_path / "stories", train=train)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path)
    assert message in str(caught.value)
    assert "way out" in str(caught.value)
    assert not (tmp_path / "out" / "dataset_card.json").exists()


def test_a_missing_file_names_those_that_are_there(tmp_path):
    (write(tmp_path / "stories") / "val.csv").unlink()
    with pytest.raises(DataError, match=r"no such file of stories(?s:.*)test\.csv, train\.csv"):
        prepare(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        prepare(tmp_path)


def test_left_out_passages_are_counted_and_part_their_neighbours(tmp_path):
    rows = "a,First of all the passages.\na,\na,Third of all the passages.\na,Fourth of all the passages.\na,Short.\n"
    write(tmp_path / "stories", train=f"document_id,text\n{rows}b,Only one passage was left here.\n")
    card = prepare(tmp_path)
    (document,) = PreparedPassages.open(tmp_path / "out").documents("train")
    assert (document.identifier, document.first) == ("a@2", 2)
    assert document.passages == ("Third of all the passages.", "Fourth of all the passages.")
    assert card.left_out == {
        "passage is empty": 1, "passage is too short": 1, "text without two consecutive passages": 1,
        "text without two consecutive passages once copies are out": 1,
    }  # fmt: skip


def test_what_an_earlier_split_shares_with_a_later_one_is_left_out_of_the_earlier(tmp_path):
    copied = "It was the longest winter that anybody in the whole wide valley could remember."
    train = f"document_id,text\n{story('a')}a,{copied}\n{story('b')}"
    test = f"document_id,text\nx,{copied.upper()}\n{story('x')}"
    write(tmp_path / "stories", train=train, test=test)
    card = prepare(tmp_path)
    data = PreparedPassages.open(tmp_path / "out")
    assert card.left_out == {"near copy of another passage": 1}
    assert card.split_check.correct
    assert copied.upper() in data.documents("test")[0].passages
    assert copied not in data.documents("train")[0].passages


def test_the_content_is_pinned_by_its_digest(tmp_path):
    write(tmp_path / "stories")
    sha256 = prepare(tmp_path).sha256
    assert prepare(tmp_path, sha256=sha256).sha256 == sha256
    with pytest.raises(DataError, match="the dataset changed: its digest is"):
        prepare(tmp_path, sha256="0" * 64)


def test_equal_content_gives_equal_bytes_however_it_is_laid_out(tmp_path):
    write(tmp_path / "stories")
    first = prepare(tmp_path)
    bytes_before = (tmp_path / "out" / "passages.parquet").read_bytes()
    quoted = (tmp_path / "stories" / "train.csv").read_text().replace("train0,", '"train0",').replace("\n", "\r\n")
    write(tmp_path / "stories", train="\ufeff" + quoted)
    second = prepare(tmp_path)
    assert second.sha256 == first.sha256
    assert second.sources != first.sources
    assert (tmp_path / "out" / "passages.parquet").read_bytes() == bytes_before
