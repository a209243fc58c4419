import pytest

from wsreid.cli import main
from wsreid.cli.typo import explain, given_options
from wsreid.errors import ConfigError

COMMAND_LINES = {
    "fit --model DLG": "--model: there is no class 'DLG'; did you mean 'DGL'?",
    "fit --model dgl": "--model: there is no class 'dgl'; did you mean 'DGL'?",
    "fit --model no_such_file.Mine": "--model: cannot import 'no_such_file.Mine': No module named 'no_such_file'",
    "fit --model DGL --model.sigmaa 2": "--model.sigmaa: there is no such option; did you mean --model.sigma?",
    "fit --model DGL --data.rot x": "--data.rot: there is no such option; did you mean --data.root?",
    "fit --model DGL --modl.sigma 3": "--modl.sigma: there is no such option; did you mean --model.sigma?",
    "fit --model DGL --data.bags.protocl x": "did you mean --data.bags.protocol?",
    "fit --model DGL --data.bags.protocol randm": "--data.bags.protocol: expected random, windows or sysu, got 'randm'",
    "fit --model DGL --trainer.max_epoch 3": "did you mean --trainer.max_epochs?",
    "fit --model DGL --trainer.max_epochs abc": "--trainer.max_epochs: expected int or null, got 'abc'",
    "fit --model DGL --model.sigma abc": "--model.sigma: expected float, got 'abc'",
    "fit --model DGL --model.optimizer AdmW": "did you mean 'AdamW'?",
    "fit --model DGL --model.optimizer AdamW --model.optimizer.lrr 1": "optimizer.lrr: there is no such option.",
    "fit --model DGL --data.source Market1502": "there is no class 'Market1502'; did you mean 'Market1501'?",
    "fit --model BagCE --model.sigma 1": "--model.sigma: this option does not go with the class that was chosen",
    "fit --model DGL --wandb.mode ofline": "did you mean 'offline'?",
    "fit --model DGL --tags x": "did you mean --wandb.tags?",
    "fit --model DGL --run": "--run: expected one argument",
    "fit --model DGL stray": "unrecognized arguments: stray",
    "fit --config nowhere.yaml": "nowhere.yaml",
    "fit": "Missing: --model",
    "ft": "There is no command 'ft'; did you mean 'fit'?",
}
FILES = {
    "model: {class_path: DGL, init_args: {sigmaa: 2}}": "sigmaa: there is no such option; did you mean model.sigma?",
    "{model: DGL, data: {bags: {protocl: random}}}": "protocl: there is no such option; did you mean data.bags.proto",
    "{model: DGL, data: {class_path: BagDataModule, init_args: {hight: 3}}}": "did you mean data.height?",
    "{model: DGL, trainer: {max_epoch: 2}}": "did you mean trainer.max_epochs?",
    "{model: DGL, retrieval: {metrc: dot}}": "did you mean retrieval.metric?",
    "{model: DGL, retrieval: {metric: dots}}": "expected cosine, dot or euclidean, got 'dots'; did you mean 'dot'?",
    "{model: DGL, modle: {x: 2}}": "did you mean model?",
    "{model: DGL, data: {source: {class_path: Folder, init_args: {patern: x}}}}": "did you mean data.source.pattern?",
    "model: {class_path: DGL, lr: 1}": "`init_args:`",
    "model: {class_path: DGLL}": "model: there is no class 'DGLL'; did you mean 'DGL'?",
    "model: {class_path: DGL, init_args: {sigma: abc}}": "model.sigma: expected float, got 'abc'",
    "model: [DGL": "Problems parsing config",
}


@pytest.mark.parametrize(("line", "expected"), COMMAND_LINES.items())
def test_a_mistake_on_the_command_line_is_one_line(line, expected, capsys):
    with pytest.raises(ConfigError) as caught:
        main(line.split())
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.parametrize(("content", "expected"), FILES.items())
def test_a_mistake_in_a_file_names_the_file(content, expected, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        main(["fit", "--config", str(path)])
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_given_options_reads_both_ways_of_writing_and_the_files(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("{data: {init_args: {bags: {seed: 1}}}, run: x}")
    found = {
        (g.key, g.value, g.origin)
        for g in given_options(["fit", "--a.b=1", "--d", "2", "--flag", "--config", str(path)])
    }
    assert ("a.b", "1", None) in found
    assert ("d", "2", None) in found
    assert ("data.bags.seed", 1, str(path)) in found
    assert ("run", "x", str(path)) in found


def test_what_is_given_by_its_place_is_asked_for_so():
    names = {"manifest", "root"}
    missing = "the following arguments are required: manifest"
    assert explain(missing, [], names, {}, ["manifest"]).startswith("Missing: MANIFEST. It comes first")
    found = explain("Unrecognized arguments: --manifest", ["--manifest", "m.arrow"], names, {}, ["manifest"])
    assert found == "--manifest: it is given by its place, without a name: MANIFEST."


def test_only_what_can_be_chosen_is_listed():
    with pytest.raises(ConfigError) as caught:
        main(["fit", "--model", "Bagce"])
    known = str(caught.value).partition("Known: ")[2].rstrip(".").split(", ")
    assert {"BagCE", "PRODEN", "RC", "LWS", "PiCO", "DGL"} <= set(known)
    assert "TabledMethod" not in known


@pytest.mark.parametrize("name", ["TabledMethod", "wsreid.methods.tabled.TabledMethod"])
def test_an_abstract_class_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=rf"^--model: '{name}' is abstract: .* Known: AttentionMIL, BagCE, "):
        main(["fit", "--model", name])
    path = tmp_path / "run.yaml"
    path.write_text(f"model: {{class_path: {name}}}")
    with pytest.raises(ConfigError, match=rf"run\.yaml: model: '{name}' is abstract: .* Known: AttentionMIL, BagCE, "):
        main(["fit", "--config", str(path)])
