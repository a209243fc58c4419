"""Hears of every connection that Python code of this process asks for."""

import contextlib
import socket
import sys

_heard = None
_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_LOCAL = ("localhost", "127.0.0.1", "::1", "", None)


def _hook(event, args):
    if _heard is None or not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        family, address = args[0].family, args[1]
        if family == socket.AF_UNIX or (isinstance(address, tuple) and str(address[0]).startswith(("127.", "::1"))):
            return
        _heard.append((event, address))
    elif event in _LOOKUPS and args[0] not in (*_LOCAL, socket.gethostname()):
        _heard.append((event, args[0]))


sys.addaudithook(_hook)  # such a hook stays for as long as the process lives; it does nothing outside `connections`


@contextlib.contextmanager
def connections():
    """Yields a list that fills with the connections, and the names looked up, beyond this machine."""
    global _heard
    _heard = []
    try:
        yield _heard
    finally:
        _heard = None
