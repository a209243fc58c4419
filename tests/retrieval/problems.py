from dataclasses import dataclass

import numpy as np


@dataclass
class Problem:
    query: np.ndarray
    gallery: np.ndarray
    q_pid: np.ndarray
    g_pid: np.ndarray
    q_cam: np.ndarray
    g_cam: np.ndarray

    def arguments(self):
        return {"q_pid": self.q_pid, "g_pid": self.g_pid, "q_cam": self.q_cam, "g_cam": self.g_cam}


def make_problem(seed=0, queries=7, images=40, width=9, ids=5, cameras=3, kind="random", dtype=np.float32):
    """Features of every kind that makes ranking hard; identities with junk, distractors and lost cameras."""
    rng = np.random.default_rng(seed)
    gallery = rng.normal(size=(images, width))
    query = rng.normal(size=(queries, width))
    if kind == "duplicated":
        gallery = gallery[rng.integers(0, max(1, images // 4), images)]
    elif kind == "near":
        gallery = gallery[rng.integers(0, max(1, images // 8), images)]
        gallery = gallery + 1e-7 * rng.normal(size=gallery.shape)
    elif kind == "constant":
        gallery, query = np.ones_like(gallery), np.ones_like(query)
    elif kind == "small whole numbers":
        gallery = rng.integers(-2, 3, gallery.shape).astype(float)
        query = rng.integers(-2, 3, query.shape).astype(float)
    elif kind == "offset":
        gallery, query = gallery + 100, query + 100
    elif kind == "uneven":
        gallery *= 10.0 ** rng.integers(-4, 5, (images, 1))
    g_pid = rng.integers(-1, ids, images)
    q_pid = rng.integers(0, ids + 1, queries)
    q_cam, g_cam = rng.integers(-1, cameras, queries), rng.integers(-1, cameras, images)
    q_pid[0], g_pid[0], q_cam[0], g_cam[0] = 0, 0, 0, 1  # at least one match
    return Problem(query.astype(dtype), gallery.astype(dtype), q_pid, g_pid, q_cam, g_cam)


KINDS = ("random", "duplicated", "near", "constant", "small whole numbers", "offset", "uneven")
