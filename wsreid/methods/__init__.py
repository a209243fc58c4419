"""Methods: one LightningModule per file, all on one base."""

from wsreid.methods.attentionmil import AttentionMIL
from wsreid.methods.bagce import BagCE
from wsreid.methods.base import EvalOutputs, Method
from wsreid.methods.cc import CC
from wsreid.methods.clustercontrast import ClusterContrast
from wsreid.methods.cmil import CMIL
from wsreid.methods.cpal import CPAL
from wsreid.methods.cvmiml import CVMIML
from wsreid.methods.dgl import DGL
from wsreid.methods.dglofficial import DGLOfficial
from wsreid.methods.distill import Distill
from wsreid.methods.folderce import FolderCE
from wsreid.methods.label_refine import LabelRefine, label_refine
from wsreid.methods.label_refine_callback import LabelRefineCallback
from wsreid.methods.lws import LWS
from wsreid.methods.meanteacher import MeanTeacher
from wsreid.methods.milpool import MILPool
from wsreid.methods.oracle import Oracle
from wsreid.methods.oraclebag import OracleBag
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.pico import PiCO
from wsreid.methods.proden import PRODEN
from wsreid.methods.randomcandidate import RandomCandidate
from wsreid.methods.rc import RC
from wsreid.methods.sinkhorn import Sinkhorn
from wsreid.methods.transfer import Transfer

__all__ = [
    "CC",
    "CMIL",
    "CPAL",
    "CVMIML",
    "DGL",
    "LWS",
    "PRODEN",
    "RC",
    "AttentionMIL",
    "BagCE",
    "BagOutputs",
    "ClusterContrast",
    "DGLOfficial",
    "Distill",
    "EvalOutputs",
    "FolderCE",
    "LabelRefine",
    "LabelRefineCallback",
    "MILPool",
    "MeanTeacher",
    "Method",
    "Oracle",
    "OracleBag",
    "PiCO",
    "RandomCandidate",
    "Sinkhorn",
    "Transfer",
    "label_refine",
]
