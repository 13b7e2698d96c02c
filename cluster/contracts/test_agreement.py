"""C6, and that the table is whole: no kind is left out silently."""

from __future__ import annotations

import pytest

from columns import COLUMNS, WITHOUT_A_COLUMN
from conftest import SUBJECTS, started, why_left_out
from subjects import NOT_SIMULATED_YET, Wish, speaks
from talk import CHAT, ask, chat

KINDS = {"mlx_lm", "vllm_mlx", "llama_cpp", "exo", "ollama", "lm_studio", "omlx", "openai"}
"""All kinds that a configuration may name."""


def test_each_kind_has_a_column_or_a_reason():
    assert set(COLUMNS) | set(WITHOUT_A_COLUMN) == KINDS
    assert not set(COLUMNS) & set(WITHOUT_A_COLUMN)


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_kind_with_a_column_is_simulated_unless_the_list_says_so(kind):
    assert speaks(kind) == (kind not in NOT_SIMULATED_YET)


@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
def test_greedy_text_is_the_same_whoever_writes_it(simulated):
    """A leading space aside, which some strip."""
    chosen = [one for one in SUBJECTS if one.is_simulated == simulated and not why_left_out(one)]
    if not chosen:
        pytest.skip("none of them runs here")
    said = {subject.name: greedy_text(subject) for subject in chosen}
    assert len(chosen) >= 2 and len(set(said.values())) == 1, said


def greedy_text(subject) -> str:
    worker = started(subject, Wish())
    try:
        return ask(worker, CHAT, chat(worker, max_tokens=16)).text().strip()
    finally:
        worker.stop()
