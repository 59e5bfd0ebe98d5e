"""A torch.nn.Module of your own: it scores rows that ifru keeps; its parameters are weights that all scores share.

python examples/own_module.py        trains it, has it forget a user, and stands it beside three retrained models
"""

import torch
from torch import Tensor, nn

import ifru
from ifru.evaluation.beside import verify_beside
from ifru.models.factory import use_module
from ifru.models.module import ModuleConfig
from ifru.models.practice import Practice


class Taste(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.deep = nn.Sequential(nn.Linear(2 * width, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, user: Tensor, item: Tensor, user_features: Tensor | None, item_features: Tensor | None) -> Tensor:
        score: Tensor = self.deep(torch.cat([user, item], 1))[:, 0] + (user * item).sum(1)
        return score


def make() -> nn.Module:
    return Taste()


FACTORY = "examples.own_module:make"


def config() -> ModuleConfig:
    use_module(FACTORY)
    practice = Practice(batch=128, step=0.01, epochs=10)
    return ModuleConfig(factory=FACTORY, columns={"embedding": 8}, rank=8, l2=0.1, practice=practice)


def main() -> None:
    rated = ifru.generate(users=100, items=80, interactions=1_500, seed=0)
    dataset = ifru.split(rated, ifru.LabelRule.parse("rating>=4"), holdout=0.2, seed=0)
    trained = ifru.train(dataset, [config()], dtype=torch.float32)
    asked = {"id": "1", "type": "erase_user", "subject": "u0", "time": "2026-01-01T00:00:00Z"}
    request = ifru.EraseUser.model_validate(asked)
    found = verify_beside(trained.config, trained.parameters, dataset, [request])
    retrained = ", ".join(f"{each.holdout.auc:.3f}" for each in found.retrained)
    print(f"Trained to AUC {trained.auc:.3f}. An update forgot {found.deletions} rows of user u0.")
    print(f"AUC on held-out ratings: {found.after.holdout.auc:.3f} after it, {retrained} in models retrained instead.")


if __name__ == "__main__":
    main()
