"""Losses: pure functions of tensors, one paper per file, computed in float32."""

from wsreid.losses.attention_mil import attention_bag_loss
from wsreid.losses.cross_entropy import (
    candidate_binary_cross_entropy,
    candidate_cross_entropy,
    smoothed_cross_entropy,
)
from wsreid.losses.dgl import graph_loss, pairwise_loss, unary_loss
from wsreid.losses.leveraged_weighted import leveraged_weighted_loss
from wsreid.losses.mil_pooling import pool_bags, pooled_bag_loss
from wsreid.losses.partial_label import classifier_consistent_loss, weighted_candidate_cross_entropy
from wsreid.losses.supervised_contrastive import momentum_contrastive_loss, supervised_contrastive_loss
from wsreid.losses.triplet import batch_hard_triplet_loss
from wsreid.losses.weak_triplet import shares_candidate, weak_triplet_loss

__all__ = [
    "attention_bag_loss",
    "batch_hard_triplet_loss",
    "candidate_binary_cross_entropy",
    "candidate_cross_entropy",
    "classifier_consistent_loss",
    "graph_loss",
    "leveraged_weighted_loss",
    "momentum_contrastive_loss",
    "pairwise_loss",
    "pool_bags",
    "pooled_bag_loss",
    "shares_candidate",
    "smoothed_cross_entropy",
    "supervised_contrastive_loss",
    "unary_loss",
    "weak_triplet_loss",
    "weighted_candidate_cross_entropy",
]
