import errno
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from wsreid.cli import main
from wsreid.cli.evaluate_options import _READ_BY
from wsreid.errors import ConfigError, FeatureError, WsreidError
from wsreid.retrieval import RetrievalResult, evaluate, summary
from wsreid.retrieval.errors import NonFiniteFeaturesError
from wsreid.retrieval.expansion_settings import QueryExpansion
from wsreid.retrieval.rerank_settings import KReciprocal
from wsreid.retrieval.search_settings import SearchSettings
from wsreid.retrieval.verification import verify

IDS = 24


@pytest.fixture(scope="module")
def sides():
    """Queries and gallery of 24 identities, 2 images of cameras 2 and 3 each; identity 4 under the query's camera."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(IDS, 16))
    pid = np.arange(IDS)
    query = {
        "features": (centres + rng.normal(size=centres.shape)).astype(np.float32),
        "pid": pid,
        "camera": np.ones(IDS, dtype=np.int64),
        "row": pid + 100,
    }
    ids = np.concatenate([np.repeat(pid, 2), [-1, -1, 99, 99]])
    camera = np.tile([2, 3], len(ids) // 2)
    camera[ids == 4] = 1
    shown = np.concatenate([centres.repeat(2, axis=0), rng.normal(size=(4, 16))])
    gallery = {
        "features": (shown + rng.normal(size=shown.shape)).astype(np.float16),
        "pid": ids,
        "camera": camera,
        "row": np.arange(len(ids)) + 500,
    }
    return query, gallery


@pytest.fixture
def files(sides, tmp_path, monkeypatch):
    """The current folder, with q.npz and g.npz in it."""
    monkeypatch.chdir(tmp_path)
    for name, side in zip("qg", sides, strict=True):
        np.savez(f"{name}.npz", **side)
    return tmp_path


def run(*args):
    return main(["evaluate", "--query", "q.npz", "--gallery", "g.npz", *args])


def direct(sides, **options):
    """What `evaluate` gives for the arrays themselves."""
    query, gallery = sides
    return evaluate(
        query["features"],
        gallery["features"],
        q_pid=query["pid"],
        g_pid=gallery["pid"],
        q_cam=query["camera"],
        g_cam=gallery["camera"],
        query_row=query["row"],
        gallery_row=gallery["row"],
        **options,
    )


def test_files_score_as_their_arrays_and_the_table_shows_it(sides, files, capsys):
    found = run("--protocol", "sysu30k", "--save", "kept/result.npz")
    expected = direct(sides, protocol="sysu30k")
    assert summary(found.result) == summary(expected)
    assert [row.retrieval for row in found.results] == [found.result]
    saved = RetrievalResult.load(files / "kept" / "result.npz")
    assert saved.definition == expected.definition
    np.testing.assert_array_equal(saved.query_row, sides[0]["row"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{100 * expected.rank_k(1, over_all=True):.1f}" in shown
    assert "23 of 24 queries have a match" in shown
    assert "Without a match, counted as misses: own camera only 1." in shown
    assert "published split of sysu30k has 1,000 queries" in shown
    assert "Written: g-evaluation.json" in shown


def test_names_with_brackets_are_shown_as_they_are(files, capsys):
    (files / "g.npz").rename("Odd [x].npz")
    main(["evaluate", "--query", "q.npz", "--gallery", "Odd [x].npz", "--save", "kept [b] [/b].npz"])
    shown = capsys.readouterr().out
    assert "q.npz in Odd [x].npz" in shown
    assert "Written: kept [b] [/b].npz\n" in shown
    written = next(line for line in shown.splitlines() if line.endswith("evaluation.json"))
    assert written == "Written: Odd [x]-evaluation.json"
    assert (files / "Odd [x]-evaluation.json").is_file()


def test_the_json_says_what_the_figures_mean_and_of_which_files(sides, files):
    found = run("--protocol", "sysu30k", "--ties", "pessimistic", "--rerank.k1", "5")
    content = json.loads((files / "g-evaluation.json").read_text())
    assert content["figures"] == summary(found.result)
    assert content["definition"] == found.result.definition
    assert content["definition"]["ties"] == "pessimistic"
    assert "k1=5" in content["definition"]["rerank"]
    assert content["lost_queries"] == {"unknown_identity": 0, "identity_not_in_gallery": 0, "own_camera_only": 1}
    assert content["cmc"] == found.result.cmc.tolist()
    low, high = content["intervals"]["figures"]["R1"]
    interval = found.result.intervals(
        content["intervals"]["draws"], content["intervals"]["level"], content["intervals"]["seed"]
    )["R1"]
    assert (low, high) == (interval.low, interval.high)
    assert low < content["figures"]["R1"] < high
    gallery = content["gallery"]
    assert gallery["sha256"] == {"g.npz": hashlib.sha256((files / "g.npz").read_bytes()).hexdigest()}
    assert (gallery["images"], gallery["identities"], gallery["cameras"]) == (52, 25, 3)
    assert (gallery["dimension"], gallery["dtype"]) == (16, "float16")
    assert content["options"]["protocol"] == "sysu30k"
    assert "numpy" in content["versions"]
    assert any("published split" in note for note in content["notes"])


def test_without_a_protocol_nothing_is_said_of_published_splits(files, capsys):
    assert run().result.definition["protocol"] == "market1501"
    assert "published split" not in capsys.readouterr().out


def test_verification_stands_beside_the_ranking(sides, files, capsys):
    run("--verification", "true", "--output", "o.json")
    query, gallery = sides
    expected = verify(
        query["features"],
        gallery["features"],
        q_pid=query["pid"],
        g_pid=gallery["pid"],
        q_cam=query["camera"],
        g_cam=gallery["camera"],
    )
    found = json.loads((files / "o.json").read_text())["verification"]
    assert found["n_impostor"] == expected.n_impostor
    assert found["points"][0]["tpr"] == expected.points[0].tpr
    assert found["points"][-1]["tpr"] is None
    assert "cannot resolve" in found["points"][-1]["reason"]
    assert f"{expected.n_genuine} genuine" in capsys.readouterr().out


def test_reranking_and_expansion_are_those_of_the_library_and_are_written_down(sides, files):
    found = run("--rerank.k1", "5", "--rerank.k2", "2", "--output", "r.json")
    assert summary(found.result) == summary(direct(sides, rerank=KReciprocal(k1=5, k2=2)))
    assert summary(found.result) != summary(direct(sides))
    content = json.loads((files / "r.json").read_text())
    assert (content["options"]["rerank"]["k1"], content["options"]["rerank"]["lam"]) == (5, 0.3)
    on = run("--expand", "true")
    assert summary(on.result) == summary(direct(sides, expand=QueryExpansion()))
    assert on.options.plain()["expand"] == {"k": 10, "alpha": 3.0}
    assert run("--rerank", "false").options.reranking is None


def test_an_expansion_by_no_image_is_none_and_stands_in_no_definition(sides, files, capsys):
    found = run("--expand.k", "0", "--output", "e.json")
    assert summary(found.result) == summary(direct(sides))
    assert "expan" not in json.dumps(json.loads((files / "e.json").read_text())["definition"])
    assert "expan" not in capsys.readouterr().out


def test_lists_of_an_index_are_kept_and_their_recall_is_said(sides, files, capsys):
    exact = run("--topk", "3", "--save", "exact.npz")
    np.testing.assert_array_equal(exact.result.topk, direct(sides, topk=3).topk)
    found = run("--index", "ivf", "--index.nlist", "4", "--topk", "3", "--output", "i.json")
    assert summary(found.result) == summary(exact.result)
    said = json.loads((files / "i.json").read_text())["definition"]["lists"]
    assert said.startswith("ivf index, recall@3 ")
    assert said in " ".join(capsys.readouterr().out.split())


def test_options_may_stand_in_a_file_and_the_command_line_goes_first(files):
    (files / "e.yaml").write_text("{query: q.npz, gallery: g.npz, metric: dot, max_rank: 5, rerank: {k1: 5}}")
    options = main(["evaluate", "--config", "e.yaml", "--max_rank", "7", "--rerank", "false"]).options
    assert (options.metric, options.max_rank, options.reranking) == ("dot", 7, None)


def test_numbers_may_lie_in_a_csv_file_of_any_name(sides, files):
    query = sides[0]
    np.save("q.npy", query["features"])
    lines = [f"{pid},{camera}" for pid, camera in zip(query["pid"], query["camera"], strict=True)]
    (files / "numbers.csv").write_text("\n".join(["pid,camera", *lines]))
    found = main(["evaluate", "--query", "q.npy", "--query_meta", "numbers.csv", "--gallery", "g.npz"])
    assert summary(found.result) == summary(direct(sides))
    hashes = json.loads((files / "g-evaluation.json").read_text())["query"]["sha256"]
    assert set(hashes) == {"q.npy", "numbers.csv"}


def test_every_setting_of_an_index_is_known_to_some_kind():
    assert set(_READ_BY) | {"kind"} == set(SearchSettings.__dataclass_fields__)


def test_settings_and_their_switch_may_agree(files):
    assert run("--rerank", "true", "--rerank.k1", "7").options.reranking.k1 == 7


@pytest.mark.parametrize("side", ["q", "g"])
def test_a_changed_byte_is_not_scored(side, sides, files):
    path = files / f"{side}.npz"
    whole = bytearray(path.read_bytes())
    whole[whole.index(sides["qg".index(side)]["features"].tobytes()) + 5] ^= 1
    path.write_bytes(whole)
    with pytest.raises(FeatureError, match=rf"{side}\.npz is damaged: features .*Copy or write it again"):
        run()
    assert not list(files.glob("*.json"))


@pytest.mark.parametrize(
    ("line", "expected"),
    {
        "--protocol sysu30": "--protocol: expected market1501, sysu30k, msmt17, cuhk03_classic, cuhk03_np or none, got "
        "'sysu30'; did you mean 'sysu30k'?",
        "--metric cosin": "did you mean 'cosine'?",
        "--qurey x": "--qurey: there is no such option; did you mean --query?",
        "--rerank.k3 3": "--rerank.k3: there is no such option; did you mean --rerank.k2?",
        "--rerank.k1 abc": "--rerank.k1: expected int, got 'abc'",
        "--rerank.k1 0": "k1=0: expected at least 1",
        "--rerank maybe": "--rerank: expected bool, got 'maybe'",
        "--index ivx --topk 3": "--index.kind: expected exact, ivf, pq or hnsw, got 'ivx'; did you mean 'ivf'?",
        "--index.nlst 3": "--index.nlst: there is no such option; did you mean --index.nlist?",
        "--index.nlist 0": "nlist=0",
        "--index ivf": "--topk 10",
        "--index ivf --topk 3 --rerank true": "re-ranked lists need no index",
        "--topk 3": "--save FILE.npz",
        "--topk 0 --save x": "--topk 0: expected at least 1",
        "--max_rank x": "--max_rank: expected int, got 'x'",
        "--max_rank 0": "--max_rank 0: expected at least 1",
        "--device abacus": "--device abacus: torch finds no such device",
        "--config no.yaml": "no.yaml",
        "--config index.yaml": "index.yaml: index: write `index: {kind: ivf}`.",
        "--config typo.yaml": "typo.yaml: protocl: there is no such option; did you mean protocol?",
        "--output q.npz": "--output q.npz: there is such a file, and it is no evaluation",
        "--output .": "this is a folder",
        "--output q.npz/x.json": "q.npz is no folder that can be written",
        "--save x.json --output ./x.json": "--save x.json: the figures (--output) go into this file",
        "--save g-evaluation.json": "the figures (--output) go into this file",
        "--seed -1": "--seed -1: expected at least 0",
        "--seed 1": "--seed 1: no draws but those of --protocol cuhk03_classic",
        "--verification": "--verification: write --verification true.",
        "--verification --topk 3": "--verification: write --verification true.",
        "--rerank": "--rerank: write --rerank true, or settings",
        "--rerank false --rerank.k1 7": "--rerank false: it stands beside --rerank.k1. Leave one of them out",
        "--rerank.k1 7 --rerank=False": "--rerank False: it stands beside --rerank.k1",
        "--expand.k 7 --expand true": "--expand true: it stands beside --expand.k",
        "--index.nlist 8": "--index.nlist 8: --index exact does not read it. It goes with --index ivf or pq.",
        "--index ivf --topk 3 --index.m 8": "--index.m 8: --index ivf does not read it. It goes with --index pq.",
        "--save q.npz": "--save q.npz: there is such a file, and it is no retrieval result",
        "stray": "unrecognized arguments: stray",
    }.items(),
)
def test_a_mistake_is_one_line_and_leaves_nothing(line, expected, files, capsys):
    (files / "index.yaml").write_text("index: ivf")
    (files / "typo.yaml").write_text("protocl: none")
    before = {path: path.read_bytes() for path in files.iterdir()}
    with pytest.raises(ConfigError) as caught:
        run(*line.split())
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")
    assert {path: path.read_bytes() for path in files.iterdir()} == before


def test_a_missing_option_is_named():
    with pytest.raises(ConfigError, match="Missing: --query"):
        main(["evaluate", "--gallery", "g.npz"])


def test_what_is_wrong_with_features_names_the_file(sides, files):
    gallery = dict(sides[1])
    features = gallery["features"].copy()
    features[7, 0] = np.nan
    np.savez("nan.npz", **{**gallery, "features": features})
    with pytest.raises(NonFiniteFeaturesError, match=r"nan\.npz, feature 7 \(row 507\)"):
        run("--gallery", "nan.npz")
    del gallery["camera"]
    np.savez("blind.npz", **gallery)
    with pytest.raises(FeatureError, match=r"blind\.npz names no cameras, q\.npz does.*--protocol none"):
        run("--gallery", "blind.npz")
    assert run("--gallery", "blind.npz", "--protocol", "none").result.n_valid == IDS
    np.savez("narrow.npz", **{**gallery, "features": gallery["features"][:, :8]})
    with pytest.raises(FeatureError, match=r"q\.npz, narrow\.npz: .*16 dimensions.* 8"):
        run("--gallery", "narrow.npz", "--protocol", "none")
    with pytest.raises(FeatureError, match=r"nowhere\.npz"):
        run("--gallery", "nowhere.npz")
    assert not list(files.glob("*.json")) or [p.name for p in files.glob("*.json")] == ["blind-evaluation.json"]


def test_an_earlier_evaluation_is_replaced_but_not_by_half_a_file(files, monkeypatch):
    run("--output", "e.json", "--save", "r.npz")
    before = (files / "e.json").read_bytes()
    run("--output", "e.json", "--save", "r.npz", "--metric", "dot")
    after = (files / "e.json").read_bytes()
    assert before != after

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for args in ([], ["--save", "r.npz"]):
        with pytest.raises(ConfigError, match="No space left"):
            run("--output", "e.json", *args)
    assert (files / "e.json").read_bytes() == after
    assert not list(files.glob("*.part"))
    assert not list(files.glob(".*.part"))


def test_it_starts_without_lightning_and_ends_with_exit_code_2_for_the_users_mistakes(files):
    code = (
        "import sys, wsreid.cli; wsreid.cli.main(['evaluate', '--query', 'q.npz', '--gallery', 'g.npz'])\n"
        "print('loaded', *{'lightning', 'faiss', 'scipy', 'wandb', 'matplotlib', 'timm'} & set(sys.modules))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert ran.stdout.splitlines()[-1] == "loaded", ran.stderr
    wrong = [sys.executable, "-m", "wsreid", "evaluate", "--query", "q.npz"]
    ran = subprocess.run(wrong, env=environment, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "wsreid: Missing: --gallery. Give it on the command line or in a --config file.\n"


def test_help_lists_every_command_and_documents_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"  {command} " in shown for command in ("fit", "validate", "test", "predict", "evaluate"))
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "Length of the CMC curve." in words
    assert "Number of cells of `ivf` and `pq`" in words


@pytest.mark.parametrize(("words", "expected"), [(["evalute"], "did you mean 'evaluate'"), ([], "Name a command.")])
def test_no_command_lists_them(words, expected):
    with pytest.raises(WsreidError, match=expected) as caught:
        main(words)
    assert "fit, validate, test, predict, evaluate" in str(caught.value)
