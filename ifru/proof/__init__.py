"""How far a version is from the exactly retrained model, proven from the version and the retained data alone."""

from ifru.proof.all_pairs import AllPairsDuality
from ifru.proof.bilinear import BilinearDuality
from ifru.proof.bpr import BPRDuality
from ifru.proof.chosen_pairs import Interval, PairDual, interval
from ifru.proof.direction import Direction, first_direction
from ifru.proof.dual import Dual
from ifru.proof.duality import Duality
from ifru.proof.errors import ProofError
from ifru.proof.proof import Proof, proof_by, proof_of, uninterrupted
from ifru.proof.propagated import PropagatedDuality
from ifru.proof.stored import decode_dual, encode_dual
from ifru.proof.stored_pairs import decode_pair_dual, encode_pair_dual
from ifru.proof.trimming import trimmed

__all__ = [
    "AllPairsDuality",
    "BPRDuality",
    "BilinearDuality",
    "Direction",
    "Dual",
    "Duality",
    "Interval",
    "PairDual",
    "Proof",
    "ProofError",
    "PropagatedDuality",
    "decode_dual",
    "decode_pair_dual",
    "encode_dual",
    "encode_pair_dual",
    "first_direction",
    "interval",
    "proof_by",
    "proof_of",
    "trimmed",
    "uninterrupted",
]
