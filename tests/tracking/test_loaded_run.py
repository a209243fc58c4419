import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import wsreid
from tests.conftest import TINY_RENDERED
from tests.tracking.run_folders import change_results, write_run
from wsreid.cli import main
from wsreid.data.images import ImageLocation, read_image
from wsreid.errors import ConfigError, DataError
from wsreid.retrieval import evaluate


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch of a method that remembers labels by member."""
    folder = tmp_path_factory.mktemp("run") / "r"
    args = ["fit", "--model", "PRODEN", "--model.backbone", "test_resnet", "--run", folder, *TINY_RENDERED]
    args += ["--data.height", "32", "--data.width", "16", "--data.bags_per_batch", "4", "--seed_everything", "5"]
    args += ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "3", "--trainer.accelerator", "cpu"]
    args += [
        "--trainer.enable_progress_bar",
        "false",
        "--trainer.enable_model_summary",
        "false",
        "--pictures.queries",
        "0",
    ]
    main([str(word) for word in args])
    return folder


@pytest.fixture
def run(trained):
    return wsreid.load_run(trained)


@pytest.fixture
def copied(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def change_config(folder, **changes):
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        place = config
        *way, last = key.split(".")
        for name in way:
            place = place[name]
        place[last] = value
    path.write_text(yaml.safe_dump(config))


def test_files_are_read(run):
    assert run.config["model"]["class_path"].endswith("PRODEN")
    assert run.metrics["train/loss"].dropna().size == 1
    assert (run.diagnostics["group"] == "all").sum() == 1
    assert run.checkpoints == ["best", "last"]
    assert "PRODEN" in repr(run)


def test_embeddings_of_the_test_images_give_the_figures_of_the_run(run):
    query, gallery = run.data.test_rows
    features = [run.embed([run.data.image(row) for row in rows.tolist()], batch_size=50) for rows in (query, gallery)]
    pid, camera = (run.data.manifest.take(name, np.concatenate([query, gallery])) for name in ("pid", "camera"))
    n = len(query)
    found = evaluate(*features, q_pid=pid[:n], g_pid=pid[n:], q_cam=camera[:n], g_cam=camera[n:])
    assert found.map_step == pytest.approx(run.result.map_step)
    assert np.array_equal(found.cmc[:10], run.result.cmc[:10])


def test_files_and_images_are_embedded_alike(run, tmp_path):
    row = int(run.data.test_rows[0][0])
    file = run.data.manifest.location(row).path
    image = run.data.image(row)
    by_file, by_text, by_image = (run.embed([each]) for each in (file, str(file), image))
    assert by_file.shape == (1, run.method.network.feature_dim)
    assert by_file.dtype == np.float32
    assert np.array_equal(by_file, by_text)
    assert np.array_equal(by_file, by_image)
    assert np.array_equal(read_image(ImageLocation(file)), image)


def test_bags_are_those_of_the_run(run):
    assert run.bags.hash == run.recorded.hashes["bags"]
    assert run.data.seed == 5
    batch = run.bag_batch(1)
    assert batch.row.tolist() == run.bags.rows(1).tolist()
    assert batch.images.shape == (1, int(run.bags.sizes[1]), 3, 32, 16)
    assert batch.bag_id.tolist() == [run.bags.bag_id[1]]


def test_the_method_has_the_labels_that_it_remembered(run, trained):
    stored = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)["member_table"]
    assert not run.method.training
    at = {int(member): i for i, member in enumerate(stored["member"])}
    bag = next(b for b in range(len(run.bags)) if int(run.bags.member_start[b]) in at)
    batch = run.bag_batch(bag)
    with torch.no_grad():
        labels = run.method.pseudo_labels(batch, run.method.outputs(batch))
    expected = stored["values"][at[int(batch.member[0])]].float()[: labels.probs.shape[1]]
    torch.testing.assert_close(labels.probs[0], expected / expected.sum())


def test_weights_are_those_of_the_checkpoint_and_need_no_file_of_the_start(copied):
    change_config(copied, **{"model.init_args.weights": "gone.pth", "model.init_args.pretrained": True})
    method = wsreid.load_run(copied).method
    stored = torch.load(copied / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, stored[name]) for name, value in method.state_dict().items())


def test_another_checkpoint_is_taken_by_name_or_file(copied, tmp_path):
    last = copied / "checkpoints" / "last.ckpt"
    shutil.copy(last, copied / "checkpoints" / "epoch=03.ckpt")
    shutil.copy(last, tmp_path / "other.ckpt")
    assert wsreid.load_run(copied).checkpoints == ["best", "epoch=03", "last"]
    assert wsreid.load_run(copied, checkpoint="epoch=03").checkpoint.name == "epoch=03.ckpt"
    assert wsreid.load_run(copied, checkpoint=tmp_path / "other.ckpt").method is not None
    with pytest.raises(DataError, match=r"first\.ckpt: there is no such checkpoint"):
        _ = wsreid.load_run(copied, checkpoint="first").method


def test_a_damaged_checkpoint_is_told(copied):
    last = copied / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"last\.ckpt is damaged"):
        _ = wsreid.load_run(copied).method
    shutil.copy(last.with_name("best.ckpt"), last.with_name("last.previous.ckpt"))
    with pytest.raises(DataError, match=r"name last\.previous instead"):
        _ = wsreid.load_run(copied).method
    assert wsreid.load_run(copied, checkpoint="last.previous").method is not None


def test_a_checkpoint_with_a_changed_weight_or_of_no_run_is_told(copied):
    last = copied / "checkpoints" / "last.ckpt"
    whole = bytearray(last.read_bytes())
    state = torch.load(last, weights_only=True)["state_dict"]
    weight = next(v for k, v in state.items() if k.endswith("running_var")).numpy().tobytes()
    whole[whole.index(weight) + 3] ^= 0x80
    last.write_bytes(whole)
    with pytest.raises(DataError, match=r"last\.ckpt is damaged, .*: the checksum of its part"):
        _ = wsreid.load_run(copied).method
    torch.save({"a": 1}, last)
    with pytest.raises(DataError, match=r"no checkpoint of a run: it lacks what"):
        _ = wsreid.load_run(copied).method


def test_a_checkpoint_of_another_network_is_told(copied):
    change_config(copied, **{"model.init_args.backbone": "osnet_x0_25"})
    with pytest.raises(DataError, match=r"last\.ckpt does not fit .*config\.yaml"):
        _ = wsreid.load_run(copied).method


@pytest.mark.parametrize("value", ["nowhere.Method", "wsreid.data.BagDataModule"])
def test_a_class_that_is_not_there_is_told(copied, value):
    change_config(copied, **{"model.class_path": value})
    with pytest.raises(DataError, match=r"config\.yaml: no model can be made of it .*start Python in the folder"):
        _ = wsreid.load_run(copied, allow=["nowhere"]).method


def test_other_data_and_other_bags_are_refused(copied):
    hashes = wsreid.load_run(copied).recorded.hashes
    change_results(copied, hashes={**hashes, "bags": "0" * 64})
    run = wsreid.load_run(copied)
    assert run.data.manifest.hash == hashes["data"]
    with pytest.raises(DataError, match="learned from bags with the hash 000000000000"):
        _ = run.bags
    change_results(copied, hashes={**hashes, "data": "0" * 64})
    with pytest.raises(DataError, match=r"learned from data with the hash 000000000000.*root=DIR"):
        _ = wsreid.load_run(copied).data


def test_the_data_set_may_have_moved(run, copied, tmp_path):
    root = shutil.copytree(run.data.manifest.root, tmp_path / "moved")
    with pytest.raises(DataError, match="no-such-folder"):
        _ = wsreid.load_run(copied, root=tmp_path / "no-such-folder").data
    moved = wsreid.load_run(copied, root=root)
    assert moved.data.manifest.root == root


def test_mistakes_are_told(run, tmp_path):
    with pytest.raises(DataError, match="no run folder"):
        wsreid.load_run(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no bag 999"):
        run.bag_batch(999)
    with pytest.raises(ConfigError, match="takes a list"):
        run.embed([])
    with pytest.raises(ConfigError, match="takes a list"):
        run.embed("image.jpg")
    with pytest.raises(ConfigError, match=r"shape \(4, 4\) and type uint8"):
        run.embed([np.zeros((4, 4), np.uint8)])
    with pytest.raises(DataError, match=r"none\.jpg"):
        run.embed([tmp_path / "none.jpg"])
    with pytest.raises(DataError, match="has not ended with a test"):
        _ = wsreid.load_run(write_run(tmp_path / "begun")).result


def test_importing_the_package_stays_light():
    code = "import sys, wsreid; print({'torch', 'lightning', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "set()"
    from wsreid import load_run

    assert load_run is wsreid.load_run
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = wsreid.no_such_name
