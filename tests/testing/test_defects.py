"""Every test of the conformance suite fails for a model that breaks its promise, and passes for one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ifru.interactions import Interactions
from ifru.models import MFConfig
from ifru.objective.parameters import Parameters
from ifru.testing import Conformance
from ifru.testing.subject import CPU
from ifru.training import fit
from tests.testing.spoilt import SpoiltConfig

CAUGHT = {
    "test_its_configuration_is_read_back_from_json": SpoiltConfig(rank=8, l2=0.2, forgotten=1),
    "test_its_objective_lays_out_and_offers_what_the_model_says": "another layout",
    "test_scores_of_pairs_are_those_of_all_items": "another score",
    "test_the_value_is_the_loss_and_the_penalty_of_the_scores": "another value",
    "test_the_gradient_is_autograds": "another gradient",
    "test_a_product_with_the_hessian_is_autograds": "another product",
    "test_a_step_leads_to_the_point_there_and_tells_the_change": "another change",
    "test_a_deletion_changes_the_gradient_by_what_it_tells": "another direct part",
    "test_corrected_labels_change_the_gradient_and_the_blocks_as_it_tells": "labels stay",
    "test_blocks_are_positive_definite": "blocks that are not symmetric",
    "test_an_update_lowers_the_gradient": "products of another size",
    "test_the_order_and_the_batching_of_deletions_do_not_matter": "large batches count more",
    "test_an_empty_request_changes_nothing": "deletions move rows",
    "test_what_is_deleted_already_is_passed_over": "deletions move rows",
    "test_a_row_without_data_is_zero": "emptied rows stay",
    "test_versions_read_back_what_was_written": SpoiltConfig(rank=8, l2=0.2, forgotten=1),
    "test_compiled_loops_say_what_torch_says": "another compiled penalty",
    "test_exact_blocks_are_the_hessians": "other blocks",
    "test_own_blocks_are_their_factors_and_the_penalty": "other factors",
    "test_rows_of_one_side_are_not_coupled": "another cross product",
    "test_local_gradients_follow_moves_exactly": "no local gradients",
    "test_a_support_sees_the_hessian_of_its_rows": "another coupling",
    "test_steps_of_one_side_reach_the_neighbours_that_it_names": "another step",
    "test_a_proof_is_never_better_than_the_truth": "too good a proof",
    "test_seeds_end_in_the_same_scores": SpoiltConfig(rank=1, l2=0.001),
    "test_a_refined_update_scores_like_the_retrained_model": "deletions do not count",
}
"""Test -> the defect that it finds, or a configuration that makes the model break its promise."""

ON_A_GPU = "test_a_gpu_computes_what_the_cpu_does"


class Case(Conformance):
    """A spoilt model at the parameters of the sound one."""

    @classmethod
    def trained(cls, train: Interactions, seed: int) -> Parameters:
        sound = MFConfig(rank=cls.config.rank, l2=cls.config.l2)
        return fit(train, sound, seed=seed, device=CPU, dtype=torch.float64).parameters


def case_of(config: SpoiltConfig) -> Case:
    """With a class of its own, for which data and parameters are made once."""
    found: Case = type("Spoilt", (Case,), {"config": config})()
    return found


def check(case: Case, name: str, folder: Path) -> None:
    test = getattr(case, name)
    test(folder) if name == "test_versions_read_back_what_was_written" else test()


def test_each_test_of_the_suite_is_tried_here() -> None:
    assert {name for name in dir(Conformance) if name.startswith("test_")} == {*CAUGHT, ON_A_GPU}


@pytest.mark.parametrize("name", CAUGHT)
def test_it_finds_a_model_that_breaks_its_promise(name: str, tmp_path: Path) -> None:
    spoilt = CAUGHT[name]
    config = spoilt if isinstance(spoilt, SpoiltConfig) else SpoiltConfig(rank=8, l2=0.2, defect=spoilt)
    with pytest.raises(AssertionError):
        check(case_of(config), name, tmp_path)


@pytest.mark.parametrize("name", CAUGHT)
def test_it_passes_a_model_without_defects(name: str, tmp_path: Path) -> None:
    check(SOUND, name, tmp_path)


SOUND = case_of(SpoiltConfig(rank=8, l2=0.2))
