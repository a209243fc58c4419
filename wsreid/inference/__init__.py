"""Pseudo labels inside a bag: pure functions of logits and candidates."""

from wsreid.inference.argmax import candidate_argmax, candidate_softmax, most_probable
from wsreid.inference.attention import attend, bag_softmax
from wsreid.inference.greedy import greedy_balanced, greedy_balanced_bag
from wsreid.inference.prototypes import moved_prototypes, nearest_prototype
from wsreid.inference.pseudo_labels import PseudoLabels
from wsreid.inference.random_candidate import hashed_uniform, random_candidate
from wsreid.inference.sharpen import sharpened
from wsreid.inference.sinkhorn import sinkhorn

__all__ = [
    "PseudoLabels",
    "attend",
    "bag_softmax",
    "candidate_argmax",
    "candidate_softmax",
    "greedy_balanced",
    "greedy_balanced_bag",
    "hashed_uniform",
    "most_probable",
    "moved_prototypes",
    "nearest_prototype",
    "random_candidate",
    "sharpened",
    "sinkhorn",
]
