"""wsreid: weakly supervised person re-identification, from bags of images to exact retrieval metrics."""

__version__ = "0.1.0"
