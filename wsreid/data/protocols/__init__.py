"""Protocols that put images into bags."""

from wsreid.data.protocols.dealing import deal
from wsreid.data.protocols.random_bags import random_bags
from wsreid.data.protocols.sysu_bags import sysu_bags
from wsreid.data.protocols.window_bags import window_bags

__all__ = ["deal", "random_bags", "sysu_bags", "window_bags"]
