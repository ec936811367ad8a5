"""Small settings of real lanes, in which a run takes a few seconds on one thread and may pass or fail.

A setting is a list of overrides, as a person would type them; what varies between runs comes on top. Data and model are
smaller than the defaults and the gates are the lanes' own, so that verdicts mean what they mean elsewhere. One thread
each, because another thread count gives other bits.
"""

from collections.abc import Mapping

_SMALL_TOWER = (
    "lane=query_tower",
    "hardware.threads=1",
    "lane.data.max_pairs=3000",
    "lane.model.encoder.buckets=16384",
    "lane.model.encoder.max_features=512",
    "lane.model.encoder.lexical.dimensions=1024",
    "lane.model.encoder.semantic.dimensions=128",
    "lane.trainer.epochs=12",
    "lane.trainer.converged.tolerance=0.002",
    "lane.search_space={lane.trainer.epochs:{low:1.0,high:16.0,scale:linear,integer:true},"
    "lane.trainer.batch_size:{low:128.0,high:1024.0,scale:log,integer:true},"
    "lane.trainer.hard_negatives:{low:0.0,high:4.0,scale:linear,integer:true}}",
)
"""The search space's upper ends are lower than the lane's own, so that the dearest run takes 15 seconds and not 90. The
tolerance of the convergence check is a fifth of the default, so that a training that hardly moves does not count as
settled. With the lane's own space and tolerance more than half of all random configurations pass, here one in five."""
_SMALL_ADAPTER = (
    "lane=directional_adapter",
    "hardware.threads=1",
    "lane.data.max_documents_per_package=400",
    "lane.model.encoder.buckets=8192",
    "lane.model.encoder.max_features=256",
)
_NO_REGULARISATION = (
    "lane.model.dropout=0.0",
    "lane.model.feature_dropout=0.0",
    "lane.optimizer.weight_decay=0.0",
    "lane.trainer.early_stop_patience=null",
    "lane.trainer.converged.window_epochs=12",
    "lane.trainer.final_weights=last",
)
_SMALL_LVM = (
    "lane=lvm",
    "hardware.threads=1",
    "lane.data.max_documents_per_package=150",
    "lane.trainer.epochs=40",
)
_LVM_BLOCKS = (
    "lane.gates.next_vector_cosine_over_copy_last.severity=block",
    "lane.gates.next_vector_cosine_over_history_mean.severity=block",
)

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "tower": _SMALL_TOWER,
    "tower_mixed": (*_SMALL_TOWER, "lane.model.encoder.semantic.mix=0.4"),
    "tower_few_items": (*_SMALL_TOWER, "lane.data.test_fraction=0.04"),
    "tower_out_of_reach": (*_SMALL_TOWER, "lane.gates.r_at_5.target=0.9"),
    "tower_margin": (*_SMALL_TOWER, "lane.gates.r_at_5_over_bm25.margin=0.01"),
    "adapter": _SMALL_ADAPTER,
    "adapter_overfits": (*_SMALL_ADAPTER, *_NO_REGULARISATION, "lane.gates.accuracy.target=0.92"),
    "adapter_tight": (*_SMALL_ADAPTER, "lane.gates.accuracy.target=0.935"),
    "adapter_beats_bag": (*_SMALL_ADAPTER, "lane.gates.accuracy_over_bag.severity=block"),
    "adapter_out_of_reach": (*_SMALL_ADAPTER, "lane.gates.accuracy.target=0.99"),
    "adapter_few_items": (*_SMALL_ADAPTER, "lane.data.max_documents_per_package=120", "lane.data.test_fraction=0.06"),
    "lvm": _SMALL_LVM,
    "lvm_over_baselines": (*_SMALL_LVM, *_LVM_BLOCKS),
    "lvm_strict": (*_SMALL_LVM, *_LVM_BLOCKS, "lane.gates.r_at_5_over_copy_last.severity=block"),
}
"""Overrides by the setting's name."""

MORE_ITEMS: Mapping[str, tuple[Mapping[str, float], ...]] = {
    "query_tower": ({"lane.data.max_pairs": 6000},),
    "directional_adapter": ({"lane.data.max_documents_per_package": 800},),
    "lvm": ({"lane.data.max_documents_per_package": 300},),
}
"""How more items are gathered, by lane: twice as much of the same source, so that training sees more as well."""
