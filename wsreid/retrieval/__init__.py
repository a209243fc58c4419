"""Features in, retrieval figures out. Knows no method and no data set's files; loads NumPy and torch alone."""

from wsreid.retrieval.bootstrap import Interval, PairedInterval, bootstrap, paired_bootstrap
from wsreid.retrieval.errors import NoMatchError, NonFiniteFeaturesError
from wsreid.retrieval.evaluate import evaluate
from wsreid.retrieval.expansion import QueryExpansion
from wsreid.retrieval.feature_files import FeatureFile, read_features
from wsreid.retrieval.group import Alone, Group, Ranks
from wsreid.retrieval.jaccard_graph import jaccard_graph
from wsreid.retrieval.lost_queries import LostQueries, lost_queries
from wsreid.retrieval.metrics import QueryFigures, query_figures
from wsreid.retrieval.protocols import PROTOCOLS, Protocol, protocol_named
from wsreid.retrieval.rerank import KReciprocal, rerank_distances
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.search_settings import SearchSettings
from wsreid.retrieval.summary import headline, summary
from wsreid.retrieval.verification import verify
from wsreid.retrieval.verification_result import VerificationResult

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
