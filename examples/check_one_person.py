"""Check what a person was told of their data, offline: without a solver, and without trust in whoever made the proof.

python examples/check_one_person.py STORE VERSION DUAL        what `ifru prove --request ID --save-dual DUAL` wrote
"""

import secrets
import sys
from pathlib import Path

import torch

import ifru
from ifru.evaluation.chosen_pairs import pair_scores
from ifru.models import model_of
from ifru.proof import decode_pair_dual, interval


def main(arguments: list[str]) -> None:
    url, version, file = arguments
    held = ifru.Reader(ifru.open_store(url)).load(int(version))  # every byte against its manifest
    dual, config, data = decode_pair_dual(Path(file).read_bytes()), held.manifest.model, held.dataset
    random = torch.Generator().manual_seed(secrets.randbits(63))  # the auditor's own
    found = interval(dual, model_of(config).duality(data.train), random=random)
    published = float((dual.pairs.weight * pair_scores(config, held.serving, dual.pairs)).sum())
    print(f"Version {version} says {published:.6f} of {len(dual.pairs)} pairs; a model retrained exactly, without the")
    print(
        f"deleted data, says from {found.low:.6f} to {found.high:.6f}, but for a chance of {found.failure_probability}."
    )
    print(f"So at most {max(published - found.low, found.high - published):.1e} of what was there can be left.")
    for user, item, weight in list(zip(dual.pairs.user, dual.pairs.item, dual.pairs.weight, strict=True))[:5]:
        print(f"  user row {int(user)}, item row {int(item)}, weight {float(weight):+.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
