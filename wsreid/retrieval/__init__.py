"""Features in, retrieval figures out. Knows no method and no data set's files; loads NumPy and torch alone."""

from wsreid.retrieval.errors import NoMatchError, NonFiniteFeaturesError
from wsreid.retrieval.evaluate import evaluate
from wsreid.retrieval.metrics import QueryFigures, query_figures
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.summary import summary

__all__ = [
    "NoMatchError",
    "NonFiniteFeaturesError",
    "QueryFigures",
    "RetrievalResult",
    "evaluate",
    "query_figures",
    "summary",
]
