import csv

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsreid.data.sources.table_file import read_table
from wsreid.errors import DataError

COLUMNS = {"file": "path", "pid": "who", "camera": "camera"}
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)
SAME_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@SAME_FILE
@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=5), st.sampled_from([".csv", ".tsv"]))
def test_reads_back_what_was_written(tmp_path, rows, ending):
    path = tmp_path / f"table{ending}"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if ending == ".tsv" else ",", quoting=csv.QUOTE_ALL)
        writer.writerows([("other", "who", "path"), *rows])
    found = list(read_table(path, COLUMNS, frozenset({"file", "pid"})))
    assert [dict(row.cells) for row in found] == [{"file": r[2].strip(), "pid": r[1].strip()} for r in rows]


@SAME_FILE
@given(
    st.binary(max_size=60) | CELL.map(lambda text: f"path,who\n{text},1\n".encode()),
    st.sampled_from(["csv", "parquet"]),
)
def test_any_bytes_are_rows_or_an_error_that_names_the_file(tmp_path, data, ending):
    path = tmp_path / f"table.{ending}"
    path.write_bytes(data)
    message = ""
    try:
        for row in read_table(path, COLUMNS, frozenset({"file", "pid"})):
            assert row.where.startswith(str(path))
            assert row.cells.keys() >= {"file", "pid"}
    except DataError as error:
        message = str(error)
    assert message == "" or str(path) in message
