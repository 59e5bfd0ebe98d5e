"""A user's own module in the daemon's service: its debt is in the versions, and only settings import it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ifru.errors import DataError
from ifru.models.factory import NotConfigured
from ifru.models.module import ModuleConfig
from ifru.models.quality import scores
from ifru.objective.parameters import Parameters
from ifru.snapshots import Version, debt_of, restore
from ifrud.exits import Exit, exit_for
from tests.daemon.world import World, erase_user, trained_dataset
from tests.models.modules import module_config, practised
from tests.models.scored import make

ONE_BY_ONE = {"batch": {"max_requests": 1, "max_backlog": 1}}


def _world(folder: Path, **others: object) -> World:
    config = module_config(**others).described()
    return World(folder, config=config, parameters=practised(config, trained_dataset()).to("cpu", torch.float32))


def _debt(version: Version) -> Tensor:
    found = debt_of(version)
    assert found is not None
    return found.stacked()


@pytest.mark.parametrize("full_every", [1, 2, 100])
def test_a_new_process_owes_exactly_what_the_one_before_it_did(tmp_path: Path, full_every: int) -> None:
    world = _world(tmp_path)
    world.submit(erase_user("r1", 3), erase_user("r2", 5))
    world.drain(**ONE_BY_ONE, full_every=full_every)
    version = world.newest()
    assert [manifest.residual.method for manifest in world.done()][1:] == ["global", "global"]
    engine = world.service().pipeline.model.engine
    assert engine.debt is not None
    assert float(_debt(version).norm()) > 0
    assert torch.equal(engine.debt.stacked(), _debt(version))
    assert torch.equal(engine.parameters.stacked(), version.parameters.stacked())
    assert not version.parameters.user[3].any()
    assert not _debt(version)[3].any()
    world.submit(erase_user("r3", 8))
    world.drain(full_every=full_every)
    assert world.newest().dataset.users.row("user 8") is None
    assert world.newest().manifest.residual.influence is not None


@pytest.mark.parametrize("full_every", [1, 100])
def test_a_base_that_is_not_stationary_answers_by_responses_and_owes_what_these_leave(
    tmp_path: Path, full_every: int
) -> None:
    source = torch.Generator().manual_seed(0)
    tables = Parameters.of(*(torch.randn(count, 4, generator=source) for count in (40, 30)))
    nothing = Parameters.of(*map(torch.zeros_like, tables.tables.values()))
    world = World(tmp_path, parameters=tables, debt=nothing)
    world.submit(erase_user("r1", 3))
    world.drain(full_every=full_every)
    left = _debt(world.newest())
    assert left.any()
    assert not left[3].any()
    assert world.newest().manifest.residual.influence is not None
    engine = world.service().pipeline.model.engine
    assert engine.debt is not None
    assert torch.equal(engine.debt.stacked(), left)


def test_the_module_of_a_version_scores_as_the_model_does(tmp_path: Path) -> None:
    world = _world(tmp_path)
    world.submit(erase_user("r1", 3))
    world.drain()
    version = world.newest()
    module = restore(version, make())
    user, item = version.dataset.train.user[:50], version.dataset.train.item[:50]
    rows = version.serving.user[torch.from_numpy(user).long()], version.serving.item[torch.from_numpy(item).long()]
    with torch.no_grad():
        found = module(*rows, None, None).numpy()
    expected = scores(version.manifest.model, version.serving, user, item)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(tensor, version.parameters.shared[name]) for name, tensor in module.state_dict().items())


def test_a_module_of_other_weights_is_not_restored(tmp_path: Path) -> None:
    version = _world(tmp_path).newest()
    module = torch.nn.Linear(3, 1)
    before = module.weight.clone()
    with pytest.raises(DataError, match=r"the module has the parameters .* and version 1 has"):
        restore(version, module)
    assert torch.equal(module.weight, before)


def test_a_version_never_makes_a_process_import_its_module(tmp_path: Path) -> None:
    """It can be read all the same, as an audit does."""
    known = module_config().described()
    config = ModuleConfig.model_validate(known.model_dump() | {"factory": "tests.models.elsewhere:make"})
    world = World(tmp_path, config=config, parameters=practised(known, trained_dataset()).to("cpu", torch.float32))
    assert world.newest().parameters.shared.keys() == dict(make().named_parameters()).keys()
    with pytest.raises(NotConfigured, match=r"set `model: tests.models.elsewhere:make` \(IFRUD_MODEL\)") as raised:
        world.service()
    assert exit_for(raised.value) == Exit.SETTINGS
    assert len(world.manifests()) == 1
