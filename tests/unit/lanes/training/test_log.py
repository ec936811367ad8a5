import pytest

from interlock.lanes.training.log import TrainLog
from interlock.provenance.chain import read_chain


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train_log.jsonl"


def write(log, steps):
    for step in steps:
        log.append(epoch=1, step=step, loss=1.0 / step, lr=1e-3)


def steps_in(path):
    return [line.payload["step"] for line in read_chain(path)]


def test_rewinding_cuts_off_what_came_after(path, tiny):
    log = TrainLog(path, tiny.Messages())
    log.begin()
    write(log, [1, 2])
    lines = log.lines
    write(log, [3, 4])
    log.close()
    again = TrainLog(path, tiny.Messages())
    again.rewind(lines)
    write(again, [3])
    again.close()
    assert steps_in(path) == [1, 2, 3]


def test_lines_carry_the_fields_of_the_format(path, tiny):
    log = TrainLog(path, tiny.Messages())
    log.begin()
    write(log, [1])
    log.close()
    assert {"epoch", "step", "loss", "lr", "timestamp"} <= set(read_chain(path)[0].payload)


DAMAGES = [
    lambda data: data[:-3],
    lambda data: data.replace(b'"step":1', b'"step":7'),
    lambda data: data.replace(b'"step":2', b'"step":7'),
    lambda data: b"",
]


def test_a_file_that_was_not_rewound_is_started_anew(path, tiny):
    path.write_text("left by an attempt that was killed before its first state")
    log = TrainLog(path, tiny.Messages())
    log.begin()
    write(log, [1])
    log.close()
    assert steps_in(path) == [1]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_is_set_aside_and_said(path, tiny, damage):
    log = TrainLog(path, tiny.Messages())
    log.begin()
    write(log, [1, 2])
    lines = log.lines
    log.close()
    path.write_bytes(damage(path.read_bytes()))
    progress = tiny.Messages()
    again = TrainLog(path, progress)
    again.rewind(lines)
    write(again, [3])
    again.close()
    assert steps_in(path) == [3]
    assert "set aside" in progress.texts[0]


def test_a_log_without_lines_is_an_empty_file(path, tiny):
    log = TrainLog(path, tiny.Messages())
    log.begin()
    log.close()
    assert path.read_bytes() == b""


def test_a_log_that_was_never_opened_is_left_alone(path, tiny):
    path.write_text("of an earlier attempt")
    TrainLog(path, tiny.Messages()).close()
    assert path.read_text() == "of an earlier attempt"
