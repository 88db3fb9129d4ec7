"""blockferry and its peers, by name, in the order in which a round runs them."""

from bench.peers.contract import Contender
from bench.peers.distcp import DistcpPeer
from bench.peers.ferry import FerryPeer
from bench.peers.get_s5cmd import GetS5cmdPeer
from bench.peers.native import NativePeer
from bench.peers.rclone import RclonePeer

_ALL: tuple[Contender, ...] = (FerryPeer(), RclonePeer(), DistcpPeer(), NativePeer(), GetS5cmdPeer())
PEERS = {peer.name: peer for peer in _ALL}
OURS = FerryPeer.name

__all__ = ["OURS", "PEERS"]
