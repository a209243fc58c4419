"""The table of real images: Oracle, BagCE, both graph models on the PKU-Reid subset, some seeds, and untouched weights.

    python experiments/benchmarks/pku.py --root DIR [--seeds 3] [--out runs/pku-table]

`WSREID_WEIGHTS_DIR` names the folder of osnet_x0_25_msmt17.pth. Finished runs in `--out` are not run again. Prints a
Markdown table, and one JSON object on the last line.
"""

import argparse
import json
import statistics
from pathlib import Path

from wsreid.cli import main as wsreid

METHODS = ("oracle", "bagce", "dgl_official", "dgl")
FIGURES = ("R1", "R5", "R10", "mAP_step", "mAP_trapezoid", "mINP")
EXPERIMENTS = Path(__file__).parents[1]


def run(method: str, seed: int, root: Path, out: Path) -> list[dict[str, float | str | None]]:
    """Fits one method with one seed, or finds that this has been done.

    Args:
        method: Name of the YAML.
        seed: Seed of the run.
        root: Folder of the images.
        out: Folder of the runs.

    Returns:
        The rows of results.json: the last checkpoint, then the network before training.
    """
    folder = out / f"{method}-seed{seed}"
    if not (folder / "results.json").is_file():
        config = EXPERIMENTS / "pku" / f"{method}.yaml"
        args = ["fit", "--config", str(config), "--run", str(folder), "--data.root", str(root)]
        wsreid([*args, "--seed_everything", str(seed), "--trainer.enable_progress_bar", "false"])
    rows: list[dict[str, float | str | None]] = json.loads((folder / "results.json").read_text())["rows"]
    return rows


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds, in per cent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.1f} ± {100 * deviation:.1f}"


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the PKU-Reid subset")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0 (default 3)")
    parser.add_argument("--out", type=Path, default=Path("runs/pku-table"), help="folder of the runs")
    args = parser.parse_args()

    table: dict[str, dict[str, list[float]]] = {}
    for method in METHODS:
        for seed in range(args.seeds):
            for name, row in zip((method, "untouched weights"), run(method, seed, args.root, args.out), strict=True):
                figures = table.setdefault(name, {figure: [] for figure in FIGURES})
                for figure in FIGURES:
                    figures[figure].append(float(str(row[figure])))
    print("| | " + " | ".join(FIGURES) + " |\n|" + "---|" * (len(FIGURES) + 1))
    for name, figures in sorted(table.items(), key=lambda item: item[0] != "untouched weights"):
        print(f"| {name} | " + " | ".join(spread(figures[figure]) for figure in FIGURES) + " |")
    print(json.dumps(table))


if __name__ == "__main__":
    main()
