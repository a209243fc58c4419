from wsreid.tracking.experiment_hash import config_hash, experiment_options


def test_the_hash_is_of_the_experiment_and_not_of_the_seed_or_the_folder():
    config = {"model": {"lr": 1e-4}, "seed_everything": 0, "run": None, "wandb": {"mode": "offline"}}
    same = {**config, "seed_everything": 1, "run": "x", "wandb": {"mode": "online"}}
    assert config_hash(config) == config_hash(same)
    assert config_hash(config) != config_hash({**config, "model": {"lr": 1e-3}})
    assert len(config_hash(config)) == 8


def test_what_is_hashed_is_the_experiment_alone():
    config = {"model": {"lr": 1}, "data": {}, "seed_everything": 3, "run": "x", "ckpt_path": "last", "features": {}}
    assert experiment_options(config) == {"model": {"lr": 1}, "data": {}}
