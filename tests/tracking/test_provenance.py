import subprocess

from wsreid.errors import DataError
from wsreid.tracking.provenance import data_hashes, git_commit, versions


def test_versions_name_what_results_depend_on():
    assert {"python", "torch", "lightning", "numpy"} <= set(versions())


def test_git_commit_names_the_commit_and_whether_files_differ(tmp_path):
    assert git_commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    (tmp_path / "f").write_text("1")
    for command in (["init", "-q"], ["add", "f"], ["commit", "-qm", "m"]):
        subprocess.run([*git, *command], check=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "f").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_data_that_has_no_bags_still_names_its_manifest():
    class Data:
        class manifest:  # noqa: N801
            hash = "abc"

        @property
        def hashes(self):
            raise DataError("no training images")

    assert data_hashes(Data()) == {"data": "abc"}
