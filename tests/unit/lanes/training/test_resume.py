import torch
from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.training.resume import EpochSampler
from interlock.lanes.training.seeds import derived_seed


@given(st.integers(1, 200), st.integers(0, 2**31 - 1), st.integers(0, 50), st.data())
def test_a_skipped_start_continues_the_same_order(n, seed, epoch, data):
    skip = data.draw(st.integers(0, n))
    whole = list(EpochSampler(n, seed, epoch=epoch))
    assert sorted(whole) == list(range(n))
    assert list(EpochSampler(n, seed, epoch=epoch, skip=skip)) == whole[skip:]


def test_only_the_first_epoch_is_cut():
    sampler = EpochSampler(10, 1, epoch=2, skip=7)
    assert len(list(sampler)) == 3
    sampler.set_epoch(3)
    assert list(sampler) == list(EpochSampler(10, 1, epoch=3))
    assert len(sampler) == 10


def test_the_order_does_not_depend_on_the_global_generator():
    torch.manual_seed(1)
    first = list(EpochSampler(50, 9, epoch=1))
    torch.manual_seed(2)
    assert list(EpochSampler(50, 9, epoch=1)) == first
    assert list(EpochSampler(50, 9, epoch=2)) != first


def test_derived_seeds_are_pinned():
    assert derived_seed(7, "step", 0) == 2105846611
    assert len({derived_seed(7, "step", 1), derived_seed(7, "step", 0), derived_seed(7, "epoch", 0)}) == 3
