import json
import re

import numpy as np
import pytest

from wsreid.cli import bags as command
from wsreid.cli.bags_report import about, bars
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.datamodule import BagDataModule
from wsreid.data.manifest import Manifest, write_manifest
from wsreid.data.sources import Market1501, SYSU30k
from wsreid.errors import ConfigError, DataError

TWO = ["--val_fraction", "0", "--bags.images_per_id", "2"]


@pytest.fixture
def at_market(market_root, tmp_path, monkeypatch):
    """The options that name the tiny set; the current folder is empty."""
    monkeypatch.chdir(tmp_path)
    return ["--source", "Market1501", "--root", str(market_root)]


@pytest.fixture
def sysu_manifest(sysu_root, tmp_path):
    path = tmp_path / "sysu.arrow"
    write_manifest(path, SYSU30k().index(sysu_root), source="sysu30k", root=sysu_root)
    return path


def test_makes_the_bags_of_fit_and_describes_them(at_market, market_root, tmp_path, capsys):
    found = command.run(
        [*at_market, "--data.bags.seed=3", "--val_fraction", "0.34", "--out", "b.arrow", "--json", "b.json"]
    )
    data = BagDataModule(root=market_root, bags=BagSettings(seed=3), val_fraction=0.34)
    assert found.bags.hash == data.bags.hash
    assert Bags.open(tmp_path / "b.arrow").hash == data.bags.hash
    kept = BagDataModule(root=market_root, bag_file=tmp_path / "b.arrow", bags=BagSettings(seed=3), val_fraction=0.34)
    assert len(kept.bags) == len(data.bags)  # fit takes the file: nobody held out for validation is in it

    said = capsys.readouterr().out
    content = json.loads((tmp_path / "b.json").read_text())
    assert content["statistics"]["bags"] == len(data.bags) == 2
    assert content["held_out_identities"] == 2
    assert content["bags_hash"] == data.bags.hash
    assert content["statistics"]["against"]["guess"] == 0.5
    assert content["leak"]["single"] == 0
    assert list(content["leak_of_redrawn_bags"]) == ["1", "2", "3", "5", "10"]
    for text in (
        "images per bag",
        "candidates per bag",
        "bags per identity",
        "2 bags, 16 members, 16 images",
        "2 are held out",
        "random guess in the bag is right for 50.00 %",
        "re-drawn, 10 epochs",
        "Written: b.arrow",
        "Written: b.json",
    ):
        assert text in said, text
    assert found.results == [found.description]


def test_the_leak_of_redrawn_bags_rises_to_one(at_market):
    found = command.run([*at_market, *TWO, "--epochs", "[1,2,12]"])
    single = [leak.single for leak in found.description.redrawn.values()]
    assert list(found.description.redrawn) == [1, 2, 12]
    assert single[0] == 0 < single[1] < 1 == single[2]
    assert found.description.redrawn[12].right == 1
    assert found.description.leak.single == 0  # bags that stay


def notes_of(options):
    return " ".join(about(command.run(options).description)["notes"])


def test_the_notes_say_what_was_measured(at_market):
    said = notes_of([*at_market, *TWO, "--epochs", "[1,2,12]"])
    assert "Bags that are drawn once and kept: their labels alone give away the identity of no image." in said
    assert "after 12 epochs: their labels alone give away the identity of 100.00 % of the images." in said
    said = notes_of([*at_market, *TWO, "--bags.overlap", "1", "--epochs", "[]"])
    assert re.search(r"and kept: their labels alone give away the identity of \d+\.\d\d % of the images", said)
    assert "epochs" not in said


def test_the_notes_of_noisy_labels_that_contradict_each_other(at_market):
    noise = ["--bags.missing", "0.5", "--bags.extra", "0.5", "--epochs", "[1,2,20]"]
    options = [*at_market, *TWO, *noise]
    last = command.run(options).description.redrawn[20]
    assert last.right < last.empty
    said = notes_of(options)
    assert f"contradict each other for {100 * last.empty:.2f} %" in said
    assert "; at most " in said
    assert "after 2 epochs." in said
    assert "a single but wrong candidate for" in said


def test_too_many_identities_per_bag_are_said(at_market):
    options = [*at_market, *TWO, "--epochs", "[1]", "--bags.ids_per_bag"]
    most = command.run([*options, "50"]).description.statistics.against.ids_per_bag.most
    assert f"data.bags.ids_per_bag is 50, more than there are identities: no bag holds more than {most}." in notes_of(
        [*options, "50"]
    )
    assert "ids_per_bag" not in notes_of([*options, str(most)])


def test_sysu_windows_meet_in_the_folder_by_construction(sysu_manifest, sysu_root, capsys):
    options = ["--manifest", str(sysu_manifest), "--bags.protocol", "sysu"]
    found = command.run(options)
    said = " ".join(capsys.readouterr().out.split())
    assert found.description.leak.single == 1
    assert found.description.leak.right is None
    assert found.description.redrawn == {}
    assert "meet in that folder itself: 1 by construction" in said
    assert f"by {sysu_root / 'bag_level_label.json'}" in said.replace("\n", "")
    assert "if the identity is a candidate" in said
    assert found.description.statistics.bags_per_image == pytest.approx(18 * np.mean([1, 8 / 3, 4]) * 5 / 30)

    wide = command.run([*options, "--bags.sysu_widths", "[5]"]).description.leak
    assert wide.single == pytest.approx(2 / 6)
    assert "save for noise and the ends" in " ".join(capsys.readouterr().out.split())


def test_sysu_without_its_json_says_so(sysu_manifest, sysu_root, monkeypatch, capsys):
    monkeypatch.setattr(SYSU30k, "bag_label_file", lambda self, root: None)
    command.run(["--manifest", str(sysu_manifest), "--bags.protocol", "sysu"])
    assert "sliding windows: there is no bag_level_label.json" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"--label_file nowhere\.json"):
        command.run(["--manifest", str(sysu_manifest), "--bags.protocol", "sysu", "--label_file", "nowhere.json"])


def test_describes_a_file(at_market, tmp_path, capsys):
    made = command.run([*at_market, *TWO, "--out", "b.arrow", "--describe", "false"])
    assert made.description is None
    assert made.results == []
    assert "images per bag" not in capsys.readouterr().out
    found = command.run([*at_market, "--bag_file", "b.arrow", "--describe", "--epochs", "[1,12]"])
    assert found.bags.hash == made.bags.hash
    assert found.description.held_out is None
    assert [leak.single for leak in found.description.redrawn.values()] == [0, 1]


def test_a_file_of_another_manifest_is_refused(at_market, sysu_manifest):
    command.run([*at_market, *TWO, "--out", "b.arrow", "--describe", "false"])
    with pytest.raises(DataError, match=r"^the bags in .*b\.arrow belong to the manifest with the hash"):
        command.run(["--manifest", str(sysu_manifest), "--bag_file", "b.arrow"])


def test_options_that_differ_from_the_files_are_refused(at_market, tmp_path):
    command.run([*at_market, *TWO, "--out", "b.arrow", "--describe", "false"])
    file = [*at_market, "--bag_file", "b.arrow"]
    command.run([*file, "--bags.images_per_id", "2", "--data.bags.protocol=random"])  # as it was made
    for options, says in (
        (["--bags.images_per_id", "4"], "--bags.images_per_id 4: the bags in --bag_file b.arrow were made with 2"),
        (["--data.bags.seed=7"], "--bags.seed 7"),
        (["--bags", '{"extra": 0.5}'], "--bags.extra 0.5"),
        (["--bags.images_per_id", str(BagSettings().images_per_id)], "made with 2"),  # a default that was given
    ):
        with pytest.raises(ConfigError, match=re.escape(says)):
            command.run([*file, *options])
    (tmp_path / "c.yaml").write_text("bags:\n  ids_per_bag: 5\n")
    with pytest.raises(ConfigError, match=r"--bags\.ids_per_bag 5"):
        command.run([*file, "--config", "c.yaml"])


def test_windows_and_noise_say_what_the_labels_get_wrong(at_market):
    noise = ["--bags.protocol", "windows", "--bags.window", "4", "--bags.missing", "0.5", "--bags.extra", "1"]
    against = command.run([*at_market, "--val_fraction", "0", *noise]).description.statistics.against
    assert 0 < against.uncovered < 1
    assert 0 < against.absent < 1
    assert against.guess < 1 - against.uncovered


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "name the data set: --manifest FILE"),
        (["--manifest", "m.arrow", "--source", "Market1501", "--root", "."], "one of the two"),
        (["--source", "Market1501"], "--source and --root go together"),
        (["--manifest", "m", "--root", "."], "--source and --root go together"),
        (["--manifest", "m", "--val_fraction", "1"], "--val_fraction must be"),
        (["--manifest", "m", "--epochs", "[0]"], "--epochs"),
        (["--manifest", "m", "--bag_file", "b", "--out", "c"], "leave --out and --label_file out"),
        (["--manifest", "m", "--label_file", "l"], "--label_file l goes with --bags.protocol sysu"),
        (["--manifest", "m", "--json", "j", "--out", "o", "--describe=false"], "--json j: this is the file for"),
        (["--manifest", "m", "--out", "o", "--json", "./o"], "the bags (--out) go into this file"),
        (["--manifest", "m", "--describe", "false"], "nothing is left to do"),
        (["--manifest", "m", "--bags.overlap", "2"], "data.bags.overlap must be in 0..1"),
        (["--manifest", "m", "--bags.ids_per_bgs", "2"], "ids_per_bag"),
        (["--source", "Market150", "--root", "."], "Market1501"),
        (["--manifest", "m", "--data.bags.protocol", "window"], "did you mean 'windows'"),
        (["--manifest", "m", "--out", "."], "this is a folder"),
    ],
)
def test_mistakes_are_named_before_a_file_is_read(options, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(says)):
        command.run(options)


@pytest.mark.parametrize("option", ["--out", "--json"])
def test_other_files_and_data_sets_are_never_written(at_market, market_root, tmp_path, option):
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    with pytest.raises(ConfigError, match=f"{option} notes.txt: there is such a file"):
        command.run([*at_market, *TWO, option, "notes.txt"])
    assert other.read_text() == "mine"
    inside = market_root / "query" / "b"
    with pytest.raises(ConfigError, match=r"inside the data set .*, which is never written to"):
        command.run([*at_market, *TWO, option, str(inside)])
    assert not inside.exists()
    for _ in range(2):  # its own files are replaced
        command.run([*at_market, *TWO, option, "again"])


def test_bars_are_as_long_as_their_counts():
    lines = bars(((0, 9, 4), (10, 19, 0), (20, 29, 1), (30, 39, 4_000)))
    assert [line.split()[0] for line in lines] == ["0-9", "10-19", "20-29", "30-39"]
    assert [line.count("█") for line in lines] == [1, 0, 1, 40]
    assert lines[-1].split()[1] == "4,000"
    assert bars(((3, 3, 5),)) == ["3  5  " + "█" * 40]


def test_a_manifest_that_was_prepared_gives_the_same_bags(at_market, market_root, tmp_path):
    path = tmp_path / "m.arrow"
    write_manifest(path, Market1501().index(market_root), source="market1501", root=market_root)
    named = command.run(["--manifest", str(path), *TWO])
    assert named.bags.manifest_hash == Manifest.open(path).hash
    assert named.bags.hash == command.run([*at_market, *TWO]).bags.hash
