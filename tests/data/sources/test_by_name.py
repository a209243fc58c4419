import pkgutil

from wsreid.data import sources
from wsreid.data.published import PUBLISHED
from wsreid.data.sources.base import Source
from wsreid.data.sources.by_name import SOURCES


def test_holds_every_source():
    for module in pkgutil.iter_modules(sources.__path__):
        __import__(f"{sources.__name__}.{module.name}")
    concrete = {kind for kind in Source.__subclasses__() if kind.__module__.startswith(sources.__name__)}
    assert set(SOURCES.values()) == concrete
    assert all(name == kind.name for name, kind in SOURCES.items())


def test_reads_every_set_of_the_comparison_table():
    assert list(SOURCES)[: len(PUBLISHED)] == list(PUBLISHED)


def test_works_without_options_and_says_where_each_set_is_found():
    for kind in SOURCES.values():
        assert kind() == kind()
        assert kind.where.endswith(".")
