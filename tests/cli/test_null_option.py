"""Null for an option that holds others."""

import pytest

from wsreid.cli.null_option import refuse_null
from wsreid.errors import ConfigError


@pytest.mark.parametrize("option", ["rendered", "bags", "augment"])
def test_null_for_a_group_is_refused(option):
    with pytest.raises(ConfigError, match=rf"data\.{option}: null\. Leave it out, or set some of its options: \w+, "):
        refuse_null("data", {"class_path": "wsreid.data.BagDataModule", "init_args": {option: None, "root": None}})


def test_what_may_be_null_passes():
    refuse_null("data", {"class_path": "wsreid.data.BagDataModule", "init_args": {"root": None, "manifest": None}})
    refuse_null("model", {"class_path": "wsreid.methods.BagCE"})


def test_the_command_refuses_it_before_anything_is_made(run_cli, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.rendered: null"):
        run_cli("fit", "--model", "BagCE", "--data.rendered", "null", "--run", tmp_path / "r")
    assert not (tmp_path / "r").exists()
