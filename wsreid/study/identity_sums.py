"""What is kept of a result: `wsreid.tracking.identity_sums`, by the name that this folder knows it by."""

from wsreid.tracking.identity_sums import Figure, IdentitySums, identity_sums

__all__ = ["Figure", "IdentitySums", "identity_sums"]
