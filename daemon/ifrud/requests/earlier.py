"""Requests that a process before this one has answered, and has not proven."""

from __future__ import annotations

import torch

from ifru.evaluation.chosen_pairs import pair_scores
from ifru.objective.tilted import ChosenPairs
from ifru.requests import Identity
from ifru.snapshots import Manifest, NoVersion, Reader, erased_between
from ifrud.requests.receipts import Receipt
from ifrud.requests.unproven import Unproven

VERSIONS = 100
"""So many of the newest are looked through."""


def earlier(reader: Reader, newest: Manifest) -> list[Unproven]:
    """Requests of the newest versions that no version says to be proven, the oldest first.

    Only those that had a version for themselves: what a version deleted for several cannot be told apart. Raises
    CorruptFile, StoreError.
    """
    alone = _alone(reader, newest)
    found: list[Unproven] = []
    if not alone:
        return found
    before = reader.load(min(alone) - 1)
    for number in range(min(alone), newest.version + 1):
        after = reader.advance(before, number)
        if number in alone:
            user, item = (torch.from_numpy(side) for side in erased_between(before, after))
            pairs = ChosenPairs(user, item, torch.ones(len(user), dtype=torch.float64))
            if len(pairs):
                scores = pair_scores(before.manifest.model, before.serving, pairs)
                found.append(Unproven(alone[number], user, item, scores))
        before = after
    return found


def _alone(reader: Reader, newest: Manifest) -> dict[int, Identity]:
    """Version -> the one request that it erased something for, if that is not proven."""
    proven, found = set[Identity](), dict[int, Identity]()
    for number in range(newest.version, max(newest.version - VERSIONS, 1), -1):
        try:
            manifest, lines = reader.manifest(number), reader.receipts(number)
            reader.manifest(number - 1)
        except NoVersion:
            break
        if manifest.candidate is not None:
            # Numbers before it are those of another model.
            break
        receipts = [Receipt.read(line) for line in lines]
        proven |= {each.request for each in receipts if each.state == "proven"}
        own = [each for each in receipts if each.version == number and each.state == "published" and each.erased]
        if len(own) == 1 and own[0].request not in proven:
            found[number] = own[0].request
    return found
