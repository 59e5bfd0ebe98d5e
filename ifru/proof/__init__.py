"""How far a version is from the exactly retrained model, proven from the version and the retained data alone."""

from ifru.proof.direction import Direction
from ifru.proof.dual import Dual
from ifru.proof.errors import ProofError
from ifru.proof.norm import Progress
from ifru.proof.prove import Proof, prove
from ifru.proof.stored import decode_dual, encode_dual

__all__ = ["Direction", "Dual", "Progress", "Proof", "ProofError", "decode_dual", "encode_dual", "prove"]
