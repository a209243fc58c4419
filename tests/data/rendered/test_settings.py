import dataclasses

import pytest

from wsreid.data.rendered.settings import RenderSettings
from wsreid.errors import ConfigError


def test_every_setting_changes_the_key():
    default = RenderSettings()
    keys = {default.key}
    for field in dataclasses.fields(default):
        keys.add(dataclasses.replace(default, **{field.name: getattr(default, field.name) + 1}).key)
    assert len(keys) == len(dataclasses.fields(default)) + 1


@pytest.mark.parametrize("setting", ["cameras", "train_ids", "test_ids", "sequences"])
def test_a_setting_out_of_range_is_named(setting):
    with pytest.raises(ConfigError, match=setting):
        RenderSettings(**{setting: 0})
