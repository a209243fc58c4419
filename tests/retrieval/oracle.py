"""The definition of graph-model.md section 9, in loops over float64 scores."""

import numpy as np

SHARE = {"optimistic": 0.0, "mid": 0.5, "pessimistic": 1.0}


def scores(query, gallery, metric):
    q, g = np.asarray(query, dtype=np.float64), np.asarray(gallery, dtype=np.float64)
    if metric == "cosine":
        q, g = (x / np.where((n := np.sqrt((x * x).sum(1, keepdims=True))) > 0, n, 1) for x in (q, g))
    s = np.stack([(row * g).sum(1) for row in q])
    return 2 * s - (g * g).sum(1) if metric == "euclidean" else s


def naive_ranks(query, gallery, q_pid, g_pid, q_cam=None, g_cam=None, metric="cosine", ties="mid"):
    """Ranks of each query's matches, and the number of tied matches."""
    s = scores(query, gallery, metric)
    result, tied = [], 0
    for i in range(len(q_pid)):
        good, bad = [], []
        for j in range(len(g_pid)):
            if g_pid[j] == -1:
                continue
            if g_pid[j] != q_pid[i]:
                bad.append(s[i, j])
            elif q_cam is None or q_cam[i] == -1 or q_cam[i] != g_cam[j]:
                good.append(s[i, j])
        penalty = []
        for match in good:
            h = sum(1 for x in bad if x > match)
            e = sum(1 for x in bad if x == match)
            tied += e > 0
            penalty.append(h + SHARE[ties] * e)
        result.append(np.array([k + p for k, p in enumerate(sorted(penalty))], dtype=np.float64))
    return result, tied


def naive_figures(ranks, max_rank):
    """CMC, step AP, trapezoid AP and INP of each query, zeros without a match."""
    cmc, rows = np.zeros((len(ranks), max_rank)), np.zeros((len(ranks), 3))
    for n, r in enumerate(ranks):
        if len(r) == 0:
            continue
        count = len(r)
        for k in range(1, max_rank + 1):
            cmc[n, k - 1] = r[0] + 1 <= k
        step = sum((i + 1) / (r[i] + 1) for i in range(count)) / count
        trapezoid = sum(((i + 1) / (r[i] + 1) + (i / r[i] if r[i] > 0 else 1)) / 2 for i in range(count)) / count
        rows[n] = step, trapezoid, count / (r[-1] + 1)
    return cmc, rows
