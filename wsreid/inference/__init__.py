"""Pseudo labels inside a bag: pure functions of logits and candidates."""

from wsreid.inference.argmax import candidate_argmax, candidate_softmax, most_probable
from wsreid.inference.attention import attend, bag_softmax
from wsreid.inference.certainty import certainty
from wsreid.inference.clusters import candidate_counts, density_clusters, split_by_candidate
from wsreid.inference.couplings import bag_couplings
from wsreid.inference.greedy import greedy_balanced, greedy_balanced_bag
from wsreid.inference.mean_field import mean_field
from wsreid.inference.prototypes import (
    drawn_prototypes,
    moved_prototypes,
    nearest_prototype,
    prototype_scores,
    prototype_sums,
)
from wsreid.inference.pseudo_labels import PseudoLabels
from wsreid.inference.random_candidate import hashed_uniform, random_candidate
from wsreid.inference.seed_groups import SeedGroups, ViewSums, means_over_views, seed_groups, view_sums
from wsreid.inference.sharpen import sharpened
from wsreid.inference.sinkhorn import sinkhorn

__all__ = [
    "PseudoLabels",
    "SeedGroups",
    "ViewSums",
    "attend",
    "bag_couplings",
    "bag_softmax",
    "candidate_argmax",
    "candidate_counts",
    "candidate_softmax",
    "certainty",
    "density_clusters",
    "drawn_prototypes",
    "greedy_balanced",
    "greedy_balanced_bag",
    "hashed_uniform",
    "mean_field",
    "means_over_views",
    "most_probable",
    "moved_prototypes",
    "nearest_prototype",
    "prototype_scores",
    "prototype_sums",
    "random_candidate",
    "seed_groups",
    "sharpened",
    "sinkhorn",
    "split_by_candidate",
    "view_sums",
]
