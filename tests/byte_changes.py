"""Files with one byte changed: what a worn disk or a hostile hand leaves."""


def each_byte_changed(whole, path):
    """Writes the file once for each of its bytes and some values: anew, as the one before may still be mapped."""
    for at in range(len(whole)):
        for value in (0, 1, 7, 127, 128, 255):
            path.unlink(missing_ok=True)
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            yield path
