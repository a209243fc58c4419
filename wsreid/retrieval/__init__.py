"""Features in, retrieval figures out. Knows no method and no data set's files; loads NumPy and torch alone.

Each name is loaded when it is asked for: the options of a command are read without torch.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsreid.retrieval.bootstrap import Interval, PairedInterval, bootstrap, paired_bootstrap
    from wsreid.retrieval.errors import NoMatchError, NonFiniteFeaturesError
    from wsreid.retrieval.evaluate import evaluate
    from wsreid.retrieval.expansion_settings import QueryExpansion
    from wsreid.retrieval.feature_files import FeatureFile, read_features
    from wsreid.retrieval.group import Alone, Group, Ranks
    from wsreid.retrieval.jaccard_graph import jaccard_graph
    from wsreid.retrieval.lost_queries import LostQueries, lost_queries
    from wsreid.retrieval.metrics import QueryFigures, query_figures
    from wsreid.retrieval.protocols import PROTOCOLS, Protocol, protocol_named
    from wsreid.retrieval.rerank import rerank_distances
    from wsreid.retrieval.rerank_settings import KReciprocal
    from wsreid.retrieval.result import RetrievalResult
    from wsreid.retrieval.search_settings import SearchSettings
    from wsreid.retrieval.summary import headline, summary
    from wsreid.retrieval.verification import verify
    from wsreid.retrieval.verification_result import VerificationResult
else:
    _HOME = {
        "Alone": "group",
        "FeatureFile": "feature_files",
        "Group": "group",
        "Interval": "bootstrap",
        "KReciprocal": "rerank_settings",
        "LostQueries": "lost_queries",
        "NoMatchError": "errors",
        "NonFiniteFeaturesError": "errors",
        "PROTOCOLS": "protocols",
        "PairedInterval": "bootstrap",
        "Protocol": "protocols",
        "QueryExpansion": "expansion_settings",
        "QueryFigures": "metrics",
        "Ranks": "group",
        "RetrievalResult": "result",
        "SearchSettings": "search_settings",
        "VerificationResult": "verification_result",
        "bootstrap": "bootstrap",
        "evaluate": "evaluate",
        "headline": "summary",
        "jaccard_graph": "jaccard_graph",
        "lost_queries": "lost_queries",
        "paired_bootstrap": "bootstrap",
        "protocol_named": "protocols",
        "query_figures": "metrics",
        "read_features": "feature_files",
        "rerank_distances": "rerank",
        "summary": "summary",
        "verify": "verification",
    }

    class _Face(ModuleType):
        def __getattr__(self, name: str) -> object:
            if name not in _HOME:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
            value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
            setattr(self, name, value)
            return value

        def __setattr__(self, name: str, value: object) -> None:
            # importing the file `evaluate` would put the file where the function of that name belongs
            file_of_that_name = name in _HOME and isinstance(value, ModuleType)
            super().__setattr__(name, getattr(value, name) if file_of_that_name else value)

    sys.modules[__name__].__class__ = _Face


__all__ = [
    "PROTOCOLS",
    "Alone",
    "FeatureFile",
    "Group",
    "Interval",
    "KReciprocal",
    "LostQueries",
    "NoMatchError",
    "NonFiniteFeaturesError",
    "PairedInterval",
    "Protocol",
    "QueryExpansion",
    "QueryFigures",
    "Ranks",
    "RetrievalResult",
    "SearchSettings",
    "VerificationResult",
    "bootstrap",
    "evaluate",
    "headline",
    "jaccard_graph",
    "lost_queries",
    "paired_bootstrap",
    "protocol_named",
    "query_figures",
    "read_features",
    "rerank_distances",
    "summary",
    "verify",
]
