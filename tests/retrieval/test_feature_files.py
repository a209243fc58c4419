"""Reading features of any model from files, and what is said about files that cannot be read."""

import contextlib
import json
import os
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.byte_changes import each_byte_changed
from wsreid.errors import FeatureError
from wsreid.retrieval import feature_csv
from wsreid.retrieval.feature_files import read_features
from wsreid.retrieval.stored_array import npy_array, npz_arrays

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(7, 5)).astype(np.float32)
PID = np.array([3, 3, -1, 0, -1000, 2**40, 9])
CAMERA = np.array([1, 2, 1, -1, 2, 1, 1], dtype=np.int32)
ROW = np.arange(7) * 10


def mapped(array):
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def write_npz(path, **columns):
    np.savez(path, **{"features": TABLE, "pid": PID, "camera": CAMERA, "row": ROW} | columns)
    return path


def write_csv(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


CSV = ("pid,camera,name,row", *(f"{p},{c},a.jpg,{r}" for p, c, r in zip(PID, CAMERA, ROW, strict=True)))


def write_parquet(path, kind, **columns):
    lists = pa.array(TABLE.tolist(), kind)
    pq.write_table(pa.table({"features": lists, "pid": PID, "camera": CAMERA, "row": ROW} | columns), path)
    return path


def check(found, dtype=np.float32):
    assert found.features.dtype == dtype
    assert np.array_equal(found.features, TABLE.astype(dtype))
    for values, expected in ((found.pid, PID), (found.camera, CAMERA), (found.row, ROW)):
        assert values.dtype == np.int64
        assert np.array_equal(values, expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_an_uncompressed_npz_is_mapped_in_place(tmp_path, dtype):
    found = read_features(write_npz(tmp_path / "q.npz", features=TABLE.astype(dtype)))
    check(found, dtype)
    assert mapped(found.features)
    assert not found.features.flags.writeable
    assert found.sources == (tmp_path / "q.npz",)


def test_a_compressed_or_fortran_ordered_npz_is_loaded(tmp_path):
    np.savez_compressed(tmp_path / "q.npz", features=TABLE, pid=PID, camera=CAMERA, row=ROW)
    found = read_features(tmp_path / "q.npz")
    check(found)
    assert not mapped(found.features)
    found = read_features(write_npz(tmp_path / "f.npz", features=np.asfortranarray(TABLE)))
    check(found)
    assert found.features.flags.c_contiguous


def test_only_features_and_pid_are_needed_and_have_other_names_too(tmp_path):
    np.savez(tmp_path / "q.npz", feats=TABLE, ids=PID)
    found = read_features(tmp_path / "q.npz")
    assert found.camera is None
    assert found.row.tolist() == list(range(7))
    np.savez(tmp_path / "q.npz", feat=TABLE, pids=PID, camids=CAMERA, rows=ROW)
    check(read_features(tmp_path / "q.npz"))


def test_npy_takes_its_ids_from_the_csv_file_beside_it(tmp_path):
    np.save(tmp_path / "q.npy", TABLE)
    write_csv(tmp_path / "q.csv", *CSV)
    found = read_features(tmp_path / "q.npy")
    check(found)
    assert mapped(found.features)
    assert found.sources == (tmp_path / "q.npy", tmp_path / "q.csv")
    np.save(tmp_path / "q.npy", np.asfortranarray(TABLE))
    check(read_features(tmp_path / "q.npy"))


def test_a_named_csv_file_comes_before_the_columns_of_the_file(tmp_path):
    write_npz(tmp_path / "q.npz", pid=PID * 0)
    check(read_features(tmp_path / "q.npz", write_csv(tmp_path / "m.csv", *CSV)))


def test_a_csv_file_may_have_a_byte_order_mark_and_quotes(tmp_path):
    np.save(tmp_path / "q.npy", TABLE)
    (tmp_path / "q.csv").write_text("\ufeffPID, note\n" + "".join(f'"{p}","a, b"\n' for p in PID))
    assert np.array_equal(read_features(tmp_path / "q.npy").pid, PID)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32(), 5), pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16(), 5)]
)
def test_parquet_lists_of_any_kind(tmp_path, kind):
    found = read_features(write_parquet(tmp_path / "q.parquet", kind))
    check(found, np.dtype(kind.value_type.to_pandas_dtype()))


def test_whole_numbers_may_be_floats(tmp_path):
    np.save(tmp_path / "q.npy", TABLE)
    write_csv(
        tmp_path / "q.csv",
        "\ufeffpid,camera,row",
        *(f"{float(p)},{c},{r}.0" for p, c, r in zip(PID, CAMERA, ROW, strict=True)),
    )
    check(read_features(tmp_path / "q.npy"))
    columns = {"pid": PID.astype(float), "camera": CAMERA.astype(np.float16), "row": ROW.astype(np.float32)}
    check(read_features(write_npz(tmp_path / "q.npz", **columns)))
    columns["camera"] = columns["camera"].astype(np.float32)
    check(read_features(write_parquet(tmp_path / "q.parquet", pa.list_(pa.float32()), **columns)))


def flip(path, content):
    """Changes one bit in the middle of bytes of a file."""
    whole = bytearray(path.read_bytes())
    whole[whole.index(content) + len(content) // 2] ^= 1
    path.write_bytes(whole)


@pytest.mark.parametrize(("name", "values"), [("features", TABLE), ("row", ROW)])
def test_a_changed_byte_of_an_npz_file_is_found(tmp_path, name, values):
    path = write_npz(tmp_path / "q.npz")
    read_features(path).check()
    file = read_features(path) if name == "features" else None
    flip(path, values.tobytes())
    with pytest.raises(FeatureError, match=rf"q\.npz.*{name}.*rite it again"):
        (file or read_features(path)).check()


def test_parquet_in_several_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("wsreid.retrieval.parquet_features._BATCH", 2)
    table = pa.table({"features": pa.array(TABLE.tolist(), pa.list_(pa.float32())), "pid": PID, "row": ROW})
    pq.write_table(table, tmp_path / "q.parquet", row_group_size=3)
    found = read_features(tmp_path / "q.parquet")
    assert np.array_equal(found.features, TABLE)
    assert np.array_equal(found.pid, PID)


def test_negative_ids_other_than_unknown_are_pointed_out(tmp_path, caplog):
    with caplog.at_level("INFO", logger="wsreid"):
        read_features(write_npz(tmp_path / "q.npz"))
    assert "1 features have a negative pid other than -1, such as -1000" in caplog.text


def ragged():
    rows = np.empty(2, dtype=object)
    rows[:] = [[1.0], [1.0, 2.0]]
    return rows


NPZ_PROBLEMS = {
    "objects": ({"features": ragged()}, "Python objects, which is never unpickled.*unequal length"),
    "object ids": ({"pid": np.array(["a"] * 7, dtype=object)}, "pid is an array of Python objects"),
    "whole features": ({"features": np.ones((7, 5), int)}, "expected float16, float32 or float64 features, got int64"),
    "bfloat16": ({"features": np.zeros((7, 5), "V2")}, r"bfloat16 is no NumPy type: save features.float\(\)"),
    "one axis": ({"features": TABLE[0]}, r"shape \(N, D\), got \(5,\)"),
    "empty": ({"features": TABLE[:0], "pid": PID[:0]}, r"empty: features of shape \(0, 5\)"),
    "no width": ({"features": TABLE[:, :0]}, r"empty: features of shape \(7, 0\)"),
    "named ids": ({"pid": np.array(["anna"] * 7)}, "pid must be whole numbers, got <U4.*Number the names first"),
    "broken ids": (
        {"pid": np.where(np.isin(PID, [-1, -1000]), PID + 0.5, PID)},
        "pid must be whole.*feature 2 is -0.5, 2 in all",
    ),
    "nan ids": ({"pid": np.where(PID == 0, np.nan, PID)}, "feature 3 is nan, 1 in all are none. Unknown is -1"),
    "infinite cameras": ({"camera": np.where(PID == 9, np.inf, CAMERA)}, "camera must be whole.*feature 6 is inf"),
    "rounded ids": ({"pid": np.full(7, 2**25, np.float32)}, r"at most 2\^24 as float32"),
    "few ids": ({"pid": PID[:6]}, r"7 features need pid of shape \(7,\), got \(6,\)"),
    "few cameras": ({"camera": CAMERA[:3]}, r"7 features need camera of shape \(7,\), got \(3,\)"),
    "one row": ({"row": np.array(5)}, r"7 features need row of shape \(7,\), got \(\)"),
    "huge ids": ({"pid": np.full(7, 2**63, np.uint64)}, "9223372036854775808 does not fit"),
    "two names": ({"camid": CAMERA}, "camera and camid both name the camera"),
}


@pytest.mark.parametrize("problem", NPZ_PROBLEMS)
def test_what_is_wrong_in_an_npz_file_is_said(tmp_path, problem):
    columns, message = NPZ_PROBLEMS[problem]
    path = write_npz(tmp_path / "bad.npz", **columns)
    with pytest.raises(FeatureError, match=message) as error:
        read_features(path)
    assert "bad.npz" in str(error.value)


def test_missing_columns_are_named_with_those_that_are_there(tmp_path):
    np.savez(tmp_path / "q.npz", x=TABLE, pid=PID)
    with pytest.raises(FeatureError, match=r"no features.*feat.*here are x, pid"):
        read_features(tmp_path / "q.npz")
    np.savez(tmp_path / "q.npz", features=TABLE, label=PID)
    with pytest.raises(FeatureError, match=r"no pid.*here are label.*--query_meta"):
        read_features(tmp_path / "q.npz")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.97])
def test_a_truncated_npz_names_both_sizes(tmp_path, share):
    path = tmp_path / "q.npz"
    np.savez(path, features=np.zeros((64, 64), np.float32), pid=np.zeros(64, int))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        FeatureError, match=f"cut short: {path.stat().st_size:,} bytes, more than [0-9,]+ were"
    ) as error:
        read_features(path)
    more = int(str(error.value).split("more than ")[1].split(" ")[0].replace(",", ""))
    assert path.stat().st_size <= more < len(whole)
    if share < 0.9:  # within the features, whose size their header says
        assert more > 64 * 64 * 4 > path.stat().st_size - 512


def test_a_truncated_npy_names_both_sizes(tmp_path):
    np.save(tmp_path / "q.npy", TABLE)
    write_csv(tmp_path / "q.csv", *CSV)
    whole = (tmp_path / "q.npy").read_bytes()
    (tmp_path / "q.npy").write_bytes(whole[:-1])
    with pytest.raises(FeatureError, match=rf"cut short: {len(whole) - 1:,} bytes where .* needs {len(whole):,}"):
        read_features(tmp_path / "q.npy")


def test_a_damaged_compressed_file_and_files_of_another_kind(tmp_path):
    path = tmp_path / "q.npz"
    np.savez_compressed(path, features=RNG.normal(size=(50, 50)), pid=np.zeros(50, int))
    damaged = bytearray(path.read_bytes())
    damaged[2000:2100] = bytes(100)
    path.write_bytes(damaged)
    with pytest.raises(FeatureError, match="features cannot be read"):
        read_features(path)
    path.write_text("no zip")
    with pytest.raises(FeatureError, match="no npz file"):
        read_features(path)
    (tmp_path / "q.npy").write_text("no npy")
    write_csv(tmp_path / "q.csv", *CSV)
    with pytest.raises(FeatureError, match="does not begin like an npy array"):
        read_features(tmp_path / "q.npy")
    (tmp_path / "q.parquet").write_text("no parquet")
    with pytest.raises(FeatureError, match="no parquet file, or was cut short"):
        read_features(tmp_path / "q.parquet")


def test_a_member_that_is_shorter_than_its_shape_says_so(tmp_path):
    path = write_npz(tmp_path / "q.npz")
    content = path.read_bytes()
    assert content.count(b"(7, 5)") == 1
    path.write_bytes(content.replace(b"(7, 5)", b"(8, 5)"))
    with pytest.raises(FeatureError, match=r"features is cut short: .* shape \(8, 5\)"):
        read_features(path)


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(FeatureError, match="no such file or folder"):
        read_features(tmp_path / "q.npz")
    with pytest.raises(FeatureError, match=r"features come as \.npz, \.npy, \.parquet, or a folder"):
        read_features(tmp_path / "q.pt")
    np.save(tmp_path / "q.npy", TABLE)
    with pytest.raises(FeatureError, match=r"q\.csv: there is no such file.*pid,camera,row"):
        read_features(tmp_path / "q.npy")
    with pytest.raises(FeatureError, match=r"holds no index\.json"):
        read_features(tmp_path)
    for side in ("query", "gallery"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "index.json").write_text(json.dumps({}))
    with pytest.raises(FeatureError, match=r"Name .*query or .*gallery"):
        read_features(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ("pid,camera", *("1,x" for _ in range(7))),
            r"q\.csv, line 2: camera is 'x', which is no whole number\. Unknown is -1\.$",
        ),
        (("pid,camera", "1,1", "1,", "1,1"), "line 3: camera is ''"),
        (("pid", "1.5"), "line 2: pid is '1.5'"),
        (("pid", "1", "", "nan"), "line 4: pid is 'nan'"),
        (("pid", "1_0"), "line 2: pid is '1_0'"),
        (("pid,camera", "1,1", "1"), "line 3 has 1 cells"),
        (("pid", str(2**63)), "line 2: pid is 9223372036854775808, which does not fit"),
        (("pid", "1e17"), "line 2: pid is '1e17'"),
        (("name,camera", "a,1"), "no pid.*here are name, camera"),
        (("pid", "1", "2"), r"7 features need pid of shape \(7,\), got \(2,\)"),
        (("pid",), r"7 features need pid of shape \(7,\), got \(0,\)"),
        ((), "no pid.*here are none"),
        (("pid,pids", "1,1"), "pid and pids both name the pid"),
        (("pid,pid,camera", "1,2,3"), r"q\.csv: pid and pid both name the pid"),
        (("pid,camera,Camera ", "1,2,3"), "camera and camera both name the camera"),
        (("pid,cam,camid", "1,2,3"), "cam and camid both name the camera"),
        (("pid,row,name,rows", "1,2,a,3"), "row and rows both name the row"),
        (("pid,camera", "1,2", "1,2,3"), r"q\.csv, line 3 has 3 cells, more than the 2 names of the first line"),
        (("pid", *("1",) * 6, "1,"), "line 8 has 2 cells, more than the 1 names"),
        (("pid,name", '1,"a,\n""b"""', "1,a,b"), "line 4 has 3 cells"),
        (("pid,name", '1,"a', 'b",c'), "line 3 has 3 cells"),
        (("pid,camera", "1,2.0", "1,2.0,3"), "line 3 has 3 cells"),
    ],
)
def test_what_is_wrong_in_a_csv_file_is_said(tmp_path, lines, message):
    np.save(tmp_path / "q.npy", TABLE)
    (tmp_path / "q.csv").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(FeatureError, match=message) as error:
        read_features(tmp_path / "q.npy")
    assert "q.csv" in str(error.value)


@pytest.mark.parametrize("piece", [16, 2**20])
def test_cells_beyond_the_names_are_found_wherever_they_stand(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(feature_csv, "_PIECE", piece)
    good = [
        "pid,name,camera",
        *('1,"a, ""b"", c",2', "3,plain,4", '5,"two\nlines, in quotes",6', '7,a stray " mark,8') * 5,
    ]
    path = write_csv(tmp_path / "q.csv", *good)
    assert feature_csv.read_csv(path)["camera"].tolist() == [2, 4, 6, 8] * 5
    for at in (1, 2, 11, 20):
        write_csv(path, *good[:at], "3,plain,4,more", *good[at:])
        with pytest.raises(FeatureError, match=rf"line {at + 1 + good[:at].count(good[3])} has 4 cells"):
            feature_csv.read_csv(path)


def test_a_csv_file_may_end_its_lines_in_any_way(tmp_path):
    for end in ("\r\n", "\r", "\n"):
        (tmp_path / "q.csv").write_bytes(end.join(CSV).encode())
        assert feature_csv.read_csv(tmp_path / "q.csv")["pid"].tolist() == PID.tolist()


def test_a_csv_file_may_come_through_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "q.csv")
    writing = threading.Thread(target=write_csv, args=(tmp_path / "q.csv", *CSV))
    writing.start()
    assert feature_csv.read_csv(tmp_path / "q.csv")["pid"].tolist() == PID.tolist()
    writing.join()


LISTS = TABLE.tolist()
PARQUET_PROBLEMS = {
    "ragged": ({"features": pa.array([*LISTS[:6], [1.0]], pa.list_(pa.float32()))}, "list of row 6 has another length"),
    "no list": ({"features": pa.array(TABLE[:, 0])}, "must be a list of floats for each image, got float"),
    "null list": ({"features": pa.array([*LISTS[:6], None], pa.list_(pa.float32()))}, "row 6 has no features"),
    "null list of a fixed size": (
        {"features": pa.array([*LISTS[:6], None], pa.list_(pa.float32(), 5))},
        "row 6 has no features|index 7 had size=0",  # pyarrow before 26 cannot read such a list
    ),
    "null number": (
        {"features": pa.array([*LISTS[:6], [1.0, None, 1.0, 1.0, 1.0]], pa.list_(pa.float32()))},
        "a number of row 6 is null",
    ),
    "whole numbers": ({"features": pa.array([[1, 2]] * 7)}, "expected float16, float32 or float64 features, got int64"),
    "names": ({"pid": pa.array(["a"] * 7)}, "pid must be whole numbers, got string"),
    "null id": ({"pid": pa.array([1] * 6 + [None])}, "pid of row 6 is null, and 1 in all. Unknown is -1"),
}


@pytest.mark.parametrize("problem", PARQUET_PROBLEMS)
def test_what_is_wrong_in_a_parquet_file_is_said(tmp_path, problem):
    columns, message = PARQUET_PROBLEMS[problem]
    path = write_parquet(tmp_path / "q.parquet", pa.list_(pa.float32()), **columns)
    with pytest.raises(FeatureError, match=message) as error:
        read_features(path)
    assert "q.parquet" in str(error.value)


def test_a_list_of_another_length_in_a_later_batch_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("wsreid.retrieval.parquet_features._BATCH", 3)
    lists = pa.array([*LISTS[:3], *([1.0, 2.0] for _ in range(4))], pa.list_(pa.float32()))
    path = write_parquet(tmp_path / "q.parquet", pa.list_(pa.float32()), features=lists)
    with pytest.raises(FeatureError, match="list of row 3 has another length"):
        read_features(path)


def test_an_empty_parquet_file_and_one_without_ids(tmp_path):
    lists = pa.array([], pa.list_(pa.float32()))
    pq.write_table(pa.table({"features": lists, "pid": pa.array([], pa.int64())}), tmp_path / "q.parquet")
    with pytest.raises(FeatureError, match="is empty"):
        read_features(tmp_path / "q.parquet")
    pq.write_table(pa.table({"features": pa.array(LISTS)}), tmp_path / "q.parquet")
    with pytest.raises(FeatureError, match="no pid"):
        read_features(tmp_path / "q.parquet")
    pq.write_table(pa.table({"pid": pa.array([1])}), tmp_path / "q.parquet")
    with pytest.raises(FeatureError, match="no features"):
        read_features(tmp_path / "q.parquet")


def test_rows_are_read_where_the_array_lies(tmp_path):
    array = npz_arrays(write_npz(tmp_path / "q.npz"))["features"]
    assert np.array_equal(array.rows(2, 6), TABLE[2:6])
    assert array.rows(3, 3).shape == (0, 5)
    out = np.zeros((3, 5), np.float32)
    array.pick(np.array([6, 1]), out, np.array([0, 2]))
    assert np.array_equal(out, np.stack([TABLE[6], 0 * TABLE[0], TABLE[1]]))
    (tmp_path / "q.npz").write_bytes(b"short")
    with pytest.raises(FeatureError, match="became shorter while it was read"):
        array.rows(0, 7)


def test_a_read_that_gives_less_than_asked_for_goes_on(tmp_path):
    class Slow:
        """As a network file system may answer."""

        def __init__(self, content):
            self.content, self.at = content, 0

        def seek(self, at):
            self.at = at

        def readinto(self, view):
            part = self.content[self.at : self.at + min(3, len(view))]
            view[: len(part)] = part
            self.at += len(part)
            return len(part)

    np.save(tmp_path / "q.npy", TABLE)
    array, content = npy_array(tmp_path / "q.npy"), (tmp_path / "q.npy").read_bytes()
    row = np.empty(5, np.float32)
    array._read(Slow(content), 2, memoryview(row.view(np.uint8).data))
    assert np.array_equal(row, TABLE[2])
    with pytest.raises(FeatureError, match="became shorter while it was read"):
        array._read(Slow(content[:-4]), 6, memoryview(row.view(np.uint8).data))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 3)])
def test_a_parquet_file_with_a_changed_byte_is_refused_or_read(tmp_path, kind):
    columns = {"features": pa.array([[0.5, 1, 2], [3, 4, 5]], kind), "pid": [1, 2], "camera": [0, 1]}
    pq.write_table(pa.table(columns), tmp_path / "q.parquet")
    for changed in each_byte_changed((tmp_path / "q.parquet").read_bytes(), tmp_path / "x.parquet"):
        with contextlib.suppress(FeatureError):
            read_features(changed)


@pytest.mark.slow
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_with_a_changed_byte_is_refused_or_read(tmp_path, save):
    save(tmp_path / "q.npz", features=TABLE, pid=PID, camera=CAMERA)
    for changed in each_byte_changed((tmp_path / "q.npz").read_bytes(), tmp_path / "x.npz"):
        with contextlib.suppress(FeatureError):
            read_features(changed)


def test_a_shape_below_zero(tmp_path):
    np.save(tmp_path / "q.npy", TABLE)
    whole = (tmp_path / "q.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole.replace(b"(7, 5)", b"(-7,5)"))
    np.savetxt(tmp_path / "x.csv", PID, "%d", header="pid", comments="")
    with pytest.raises(FeatureError, match="does not begin like an npy array"):
        read_features(tmp_path / "x.npy", tmp_path / "x.csv")
