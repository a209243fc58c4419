def test_the_run_folder_is_shown_as_it_is(run_cli, tmp_path, capsys):
    folder = tmp_path / "test[x] [" / "b]"  # rich takes the `[/b]` in it for the end of something
    run_cli("test", "--run", folder)
    assert f"Run folder: {folder}\n" in capsys.readouterr().out
    assert (folder / "results.json").is_file()
