"""A model of your own: users like what lies near them. Only its score is written here; derivatives come by autograd.

python examples/own_model.py        trains it, has it forget a user, and compares that with retraining
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import ifru
from ifru.interactions import Interactions
from ifru.models import ModelConfig, register
from ifru.objective import Capabilities, Objective
from ifru.objective.losses import loss_of
from ifru.objective.pairwise import PairwiseObjective
from ifru.objective.parameters import Layout
from ifru.objective.score import Differentiated
from ifru.proof import Duality


class NearConfig(ModelConfig):
    name: Literal["near"] = "near"
    reach: float = 1.0


@dataclass(frozen=True)
class Near(Differentiated):
    config: NearConfig

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(bipartite=True, row_local=True)

    def score(self, user: Tensor, item: Tensor) -> Tensor:
        return self.config.reach - (user - item).square().sum()

    @property
    def columns(self) -> Mapping[str, int]:
        return {"embedding": self.config.rank}

    def layout(self, users: int, items: int) -> Layout:
        return Layout({"user": users, "item": items}, self.columns)

    def objective(self, interactions: Interactions, device: torch.device, dtype: torch.dtype) -> Objective:
        return PairwiseObjective(self, loss_of(self.config.loss), self.config.l2, interactions, device, dtype)

    def serving(self, parameters: ifru.Parameters, train: Interactions) -> ifru.Parameters:
        return parameters

    def duality(self, interactions: Interactions) -> Duality:
        raise NotImplementedError("only models that declare `provable` are asked")


register(NearConfig, Near)


def main() -> None:
    rated = ifru.generate(users=100, items=80, interactions=1_500, seed=0)
    dataset = ifru.split(rated, ifru.LabelRule.parse("rating>=4"), holdout=0.2, seed=0)
    trained = ifru.train(dataset, [NearConfig(rank=8, l2=0.2)])
    asked = {"id": "1", "type": "erase_user", "subject": "u0", "time": "2026-01-01T00:00:00Z"}
    found = ifru.verify(trained.config, trained.parameters, dataset, [ifru.EraseUser.model_validate(asked)], floor=True)
    print(f"Trained to AUC {trained.auc:.3f}. An update forgot {found.deletions} rows of user u0.")
    print(f"It left {found.left.holdout:.1%} of what retraining changes; another seed, {found.floor.holdout:.1%}.")


if __name__ == "__main__":
    main()
