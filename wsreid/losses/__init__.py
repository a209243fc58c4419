"""Losses: pure functions of tensors, one paper per file, computed in float32."""

from wsreid.losses.attention_mil import attention_bag_loss
from wsreid.losses.cluster_contrast import cluster_centroids, cluster_contrast_loss, update_cluster_memory
from wsreid.losses.contrastive_mil import bag_means, bag_smoothed_cross_entropy, bag_triplet_loss, nearest_image_loss
from wsreid.losses.coperson import co_person_attention_loss, shared_candidates
from wsreid.losses.cross_entropy import (
    candidate_binary_cross_entropy,
    candidate_cross_entropy,
    smoothed_cross_entropy,
)
from wsreid.losses.cvmiml import alignment_and_entropy, bag_maximum_loss, candidate_log_softmax, cross_view_loss
from wsreid.losses.dgl import graph_loss, pairwise_loss, soft_pairwise_loss, unary_loss
from wsreid.losses.distillation import similarity_distribution_loss, similarity_preserving_loss
from wsreid.losses.leveraged_weighted import leveraged_weighted_loss
from wsreid.losses.mil_pooling import pool_bags, pooled_bag_loss
from wsreid.losses.partial_label import classifier_consistent_loss, weighted_candidate_cross_entropy
from wsreid.losses.prototype_contrast import prototype_contrast_loss
from wsreid.losses.supervised_contrastive import momentum_contrastive_loss, supervised_contrastive_loss
from wsreid.losses.triplet import batch_hard_triplet_loss
from wsreid.losses.weak_triplet import shares_candidate, weak_triplet_loss

__all__ = [
    "alignment_and_entropy",
    "attention_bag_loss",
    "bag_maximum_loss",
    "bag_means",
    "bag_smoothed_cross_entropy",
    "bag_triplet_loss",
    "batch_hard_triplet_loss",
    "candidate_binary_cross_entropy",
    "candidate_cross_entropy",
    "candidate_log_softmax",
    "classifier_consistent_loss",
    "cluster_centroids",
    "cluster_contrast_loss",
    "co_person_attention_loss",
    "cross_view_loss",
    "graph_loss",
    "leveraged_weighted_loss",
    "momentum_contrastive_loss",
    "nearest_image_loss",
    "pairwise_loss",
    "pool_bags",
    "pooled_bag_loss",
    "prototype_contrast_loss",
    "shared_candidates",
    "shares_candidate",
    "similarity_distribution_loss",
    "similarity_preserving_loss",
    "smoothed_cross_entropy",
    "soft_pairwise_loss",
    "supervised_contrastive_loss",
    "unary_loss",
    "update_cluster_memory",
    "weak_triplet_loss",
    "weighted_candidate_cross_entropy",
]
