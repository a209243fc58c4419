from wsreid.report.config_differences import ABSENT, Difference, config_differences


def config(lr=0.1, run=None, **options):
    return {
        "run": run,
        "seed_everything": 0,
        "model": {"class_path": "wsreid.methods.BagCE", "init_args": {"lr": lr, **options}},
        "data": {"init_args": {"bags": {"ids_per_bag": 2, "widths": [1, 3]}}},
    }


def test_options_are_named_as_the_command_line_takes_them():
    other = config(lr=0.2, run="x", weights=None)
    other["model"]["class_path"] = "wsreid.methods.DGL"
    other["data"]["init_args"]["bags"] = {"ids_per_bag": 2, "widths": [1]}
    assert config_differences([config(), other]) == [
        Difference("data.bags.widths", ("[1, 3]", "[1]")),
        Difference("model", ("wsreid.methods.BagCE", "wsreid.methods.DGL")),
        Difference("model.lr", ("0.1", "0.2")),
        Difference("model.weights", (ABSENT, "null")),
    ]


def test_equal_configurations_in_other_folders_do_not_differ():
    assert config_differences([config(run="a"), config(run="b")]) == []
    assert config_differences([config()]) == []
