"""Pseudo labels inside a bag: pure functions of logits and candidates."""

from wsreid.inference.argmax import candidate_argmax, candidate_softmax, most_probable
from wsreid.inference.greedy import greedy_balanced, greedy_balanced_bag
from wsreid.inference.pseudo_labels import PseudoLabels

__all__ = [
    "PseudoLabels",
    "candidate_argmax",
    "candidate_softmax",
    "greedy_balanced",
    "greedy_balanced_bag",
    "most_probable",
]
